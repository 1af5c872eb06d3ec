"""What a client's test needs behind the scene: a gateway in a thread, and a wire that can be cut.

The gateway runs under trio in a thread of its own, so that a client can run under either loop.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
import trio
from anyio.abc import ByteStream

from tests.support import World, open_world

SECONDS = 60.0

either = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def run(backend: str, scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a client under `backend`, with a deadline."""

    async def client() -> None:
        with anyio.fail_after(SECONDS):
            await scenario()

    anyio.run(client, backend=backend)


@contextmanager
def world_in_a_thread(folder: Path, **settings: Any) -> Iterator[World]:
    """A gateway and its simulated provider, for a client in this thread."""
    started: queue.Queue[tuple[World, trio.CancelScope, trio.lowlevel.TrioToken]] = queue.Queue()

    async def serve() -> None:
        with trio.CancelScope() as scope:
            async with open_world(folder, **settings) as world:
                started.put((world, scope, trio.lowlevel.current_trio_token()))
                await trio.sleep_forever()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    world, scope, token = started.get(timeout=SECONDS)
    try:
        yield world
    finally:
        token.run_sync_soon(scope.cancel)
        thread.join(SECONDS)


class Wire:
    """A way to the gateway that can be cut: all connections, or the next ones after some bytes."""

    def __init__(self, url: str, scheme: str = "ws") -> None:
        self.connections = 0
        self.bytes_to_live: list[int] = []
        self._address = urlsplit(url)
        self._scheme = scheme
        self._port = 0
        self._scopes: set[anyio.CancelScope] = set()

    @property
    def url(self) -> str:
        """Where to connect."""
        return f"{self._scheme}://127.0.0.1:{self._port}/gateway"

    def cut(self) -> None:
        """Break all connections."""
        for scope in self._scopes:
            scope.cancel()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Pass everything on."""
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            self._port = listener.extra(anyio.abc.SocketAttribute.local_port)
            task_status.started()
            await listener.serve(self._carry)

    async def _carry(self, near: ByteStream) -> None:
        self.connections += 1
        lives = self.bytes_to_live.pop(0) if self.bytes_to_live else 1 << 60
        far = await anyio.connect_tcp(str(self._address.hostname), self._address.port or 0)
        try:
            with anyio.CancelScope() as scope:
                self._scopes.add(scope)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._pass, near, far, 1 << 60, scope)
                    tasks.start_soon(self._pass, far, near, lives, scope)
        finally:
            self._scopes.discard(scope)
            with anyio.CancelScope(shield=True):
                await near.aclose()
                await far.aclose()

    async def _pass(
        self, source: ByteStream, sink: ByteStream, lives: int, scope: anyio.CancelScope
    ) -> None:
        try:
            async for data in source:
                await sink.send(data[:lives])
                lives -= len(data)
                if lives <= 0:
                    break
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        scope.cancel()
