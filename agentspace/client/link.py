"""The way to the gateway: one connection at a time, made again when it is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import anyio

from agentspace.client.backoff import Backoff, is_final
from agentspace.client.connection import Connection
from agentspace.client.errors import ConnectError, ConnectionLost, again
from agentspace.messages import FromClient, GatewayHello

LinkState = Literal["connected", "reconnecting", "closed"]
"""`closed`: by this side, or for good."""

Dial = Callable[[], Awaitable[Connection]]


class Link:
    """Connections in a row; `run` makes each after the first. `hello` is the last one's."""

    def __init__(self, first: Connection, dial: Dial) -> None:
        self.hello: GatewayHello = first.hello
        self._dial = dial
        self._connection = first
        self._final: ConnectionLost | None = None
        self._problem = "the connection is lost"
        self._changed = anyio.Event()
        self._scope = anyio.CancelScope(shield=True)
        self._is_closing = False

    @property
    def state(self) -> LinkState:
        """Whether the gateway is there."""
        if self._final is not None or self._is_closing:
            return "closed"
        return "connected" if self._connection.lost is None else "reconnecting"

    async def run(self) -> None:
        """Serve connection after connection until `aclose`, or until another would be useless."""
        backoff = Backoff()
        with self._scope:  # shielded: whoever leaves says goodbye first
            while self._final is None and not self._is_closing:
                await self._connection.run()
                lost = self._connection.lost
                assert lost is not None
                lasted = anyio.current_time() - self._connection.began_at
                backoff.lasted(lasted)
                self._problem = str(lost)
                if is_final(lost.code, lasted):
                    self._end(lost)
                await self._renew(backoff)
        await self._connection.abandon()  # it may have come too late to be served
        self._end(ConnectionLost("the connection was closed"))

    async def _renew(self, backoff: Backoff) -> None:
        while self._final is None and not self._is_closing:
            await anyio.sleep(backoff.pause())
            try:
                self._connection = await self._dial()
            except ConnectError as error:
                self._problem = str(error)
                if not error.passes:
                    self._end(ConnectionLost(str(error)))
            else:
                self.hello = self._connection.hello
                self._tell()
                return

    async def connection(self, seconds: float) -> Connection:
        """The connection; waits for one, at most so many `seconds`. Raises ConnectionLost."""
        with anyio.move_on_after(seconds):
            while True:
                if self._final is not None:
                    raise again(self._final)
                if self._connection.lost is None:
                    return self._connection
                await self._changed.wait()
        raise ConnectionLost(self._problem)

    def check(self, message: FromClient) -> None:
        """Raises MessageTooLarge for what the gateway would not take."""
        self._connection.encode(message)

    async def aclose(self) -> None:
        """Say goodbye, and make no other connection."""
        self._is_closing = True
        await self._connection.aclose()
        self._scope.cancel()

    def _end(self, why: ConnectionLost) -> None:
        if self._final is None:
            self._final = why
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
