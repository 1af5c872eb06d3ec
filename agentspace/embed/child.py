"""One process of the gateway: its ready line, its log, its end.

Both pipes are read until they end, through cancellation too, so that it never waits for us and its
last words are heard. The readers are therefore shielded, and `stop` ends them.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import anyio
import msgspec
from anyio.abc import ByteReceiveStream, Process

from agentspace.lines import Lines
from agentspace.running import GatewayReady

SETTLE_SECONDS: Final = 30.0
"""What a gateway gets beyond its time to drain: to settle what it cut, to send its clients away and
to close its database, each of which has a deadline of its own. Only one that hangs takes it all."""

TERMINATE_SECONDS: Final = 3.0
KILL_SECONDS: Final = 3.0
PIPE_SECONDS: Final = 1.0
"""How long the pipes of a process that is gone may stay open: a process of its own holds them."""


_decode_ready = msgspec.json.Decoder(GatewayReady).decode


class Child:
    """A process that was started."""

    def __init__(self, process: Process, take_line: Callable[[str], None]) -> None:
        self._process = process
        self._take_line = take_line
        self._ready: GatewayReady | None = None
        self._said = anyio.Event()
        self._reading = anyio.CancelScope(shield=True)
        self._read = anyio.Event()

    async def ready(self) -> GatewayReady | None:
        """Wait for the ready line; `None` when stdout ends without one."""
        await self._said.wait()
        return self._ready

    async def ended(self) -> int:
        """Wait for the end; the exit code, negative for a signal."""
        return await self._process.wait()

    @property
    def exit_code(self) -> int:
        """Of a process that has ended; that of SIGKILL for one that even this could not end."""
        code = self._process.returncode
        return -signal.SIGKILL if code is None else code

    async def read(self) -> None:
        """Read both pipes until they end."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        with self._reading:
            async with anyio.create_task_group() as readers:
                readers.start_soon(self._read_stdout, self._process.stdout)
                readers.start_soon(_read_lines, self._process.stderr, self._take_line)
        self._read.set()

    async def _read_stdout(self, stdout: ByteReceiveStream) -> None:
        await _read_lines(stdout, self._hear)
        self._said.set()

    def _hear(self, line: str) -> None:
        with suppress(msgspec.DecodeError):
            self._ready = self._ready or _decode_ready(line)
            self._said.set()

    async def stop(self, drain_seconds: float) -> None:
        """Let it drain; one that cannot drain yet, or does not, is ended."""
        assert self._process.stdin is not None
        await self._process.stdin.aclose()
        if not self._said.is_set():  # else it serves, or ends by itself, with its own exit code
            self._signal(self._process.terminate)
        patience = TERMINATE_SECONDS if self._ready is None else drain_seconds + SETTLE_SECONDS
        if not await self._ends_within(patience):
            self._signal(self._process.terminate)
            if not await self._ends_within(TERMINATE_SECONDS):
                self._signal(self._process.kill)
                await self._ends_within(KILL_SECONDS)
        with anyio.move_on_after(PIPE_SECONDS):
            await self._read.wait()
        self._reading.cancel()
        await self._process.aclose()

    async def _ends_within(self, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            await self._process.wait()
            return True
        return False

    def _signal(self, send: Callable[[], None]) -> None:
        with suppress(ProcessLookupError):  # it was quicker
            send()


@asynccontextmanager
async def open_child(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    take_line: Callable[[str], None],
    drain_seconds: float,
) -> AsyncIterator[Child]:
    """Start a process; it is gone when this is left. Raises OSError when it cannot be started.

    It gets a session of its own: Ctrl-C on the terminal is for the parent, who then lets it drain.
    """
    process = await anyio.open_process(arguments, env=environ, start_new_session=True)
    child = Child(process, take_line)
    async with anyio.create_task_group() as readers:
        readers.start_soon(child.read)
        try:
            yield child
        finally:
            longest = drain_seconds + SETTLE_SECONDS + TERMINATE_SECONDS + KILL_SECONDS
            with anyio.move_on_after(longest + 2 * PIPE_SECONDS, shield=True):
                await child.stop(drain_seconds)


async def _read_lines(stream: ByteReceiveStream, take: Callable[[str], None]) -> None:
    lines = Lines()
    async for piece in stream:
        for line in lines.feed(piece):
            take(line)
    for line in lines.end():
        take(line)
