"""Requests to one origin, each on a connection of its own while its answer streams."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import httpx2
import trio

from actors.ports import nothing
from gateway.anthropic.http1.body import ResponseBody
from gateway.anthropic.http1.connection import ProviderConnection, SharedReading, connect
from gateway.anthropic.http1.head import OutgoingHead
from gateway.anthropic.http1.idle import IdleConnections
from gateway.anthropic.http1.response import ResponseParser

STALE_SECONDS = 1.0
"""The provider may close an idle connection just when it is taken; that is seen within a round
trip. What ends a connection later is a failure of the request, which may have cost something."""

_SMALL = 64 * 1024
"""Bytes of a body that are sent with the head, in one piece."""

_PORTS = {"http": 80, "https": 443}
_BROKE = (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError)


class _StaleConnection(Exception):
    """A kept connection broke before it brought a byte."""


class DirectTransport:
    """Sends requests to the server at `url`, over TLS with what `trust` trusts if it is given."""

    def __init__(self, url: str, *, trust: ssl.SSLContext | None, connect_seconds: float) -> None:
        origin = httpx2.URL(url)
        self._host = origin.raw_host.decode("ascii")
        self._port = origin.port or _PORTS[origin.scheme]
        self._trust = trust
        self._connect_seconds = connect_seconds
        self._shared = SharedReading()
        self.idle = IdleConnections()

    async def send(
        self, head: OutgoingHead, body: bytes, on_its_way: Callable[[], None] = nothing
    ) -> ResponseBody:
        """The body of the response, which is still to come. Raises httpx2.TransportError.

        `on_its_way` is called when the request has left; that of a large one, or where there is no
        connection yet, takes a while, so there it is called before as well. A connection that turns
        out to be closed already is replaced, once. It waits for the head as long as its caller lets
        it.
        """
        kept = self.idle.take()
        if kept is None or len(body) > _SMALL:
            on_its_way()
        if kept is not None:
            try:
                return await self._exchange(kept, head, body, on_its_way, was_idle=True)
            except _StaleConnection:
                pass
        fresh = await connect(
            self._host,
            self._port,
            trust=self._trust,
            seconds=self._connect_seconds,
            shared=self._shared,
        )
        return await self._exchange(fresh, head, body, on_its_way, was_idle=False)

    def close(self) -> None:
        """Close the idle connections, and watch no others."""
        self.idle.close()
        self._shared.hub.close()

    async def _exchange(
        self,
        connection: ProviderConnection,
        head: OutgoingHead,
        body: bytes,
        on_its_way: Callable[[], None],
        *,
        was_idle: bool,
    ) -> ResponseBody:
        parser, began = ResponseParser(), trio.current_time()
        try:
            await _send(connection, head.before(body), body)
            on_its_way()
            begun = b""
            while not parser.has_head:
                begun += parser.feed(await connection.receive())
        except BaseException as error:
            parser.close()
            connection.close()
            is_early = trio.current_time() - began < STALE_SECONDS
            if was_idle and is_early and not parser.has_begun and isinstance(error, _BROKE):
                raise _StaleConnection from error  # noqa: ASYNC104 - it is no cancel
            raise
        return ResponseBody(connection, parser, self.idle.keep, begun)


async def _send(connection: ProviderConnection, head: bytes, body: bytes) -> None:
    """Send all, or as much as the provider takes: it may answer before, and hang up."""
    try:
        if len(body) <= _SMALL:
            await connection.send(head + body)
        else:
            await connection.send(head)
            await connection.send(body)
    except httpx2.WriteError:
        return
