"""The body of a response, as its bytes come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx2

from gateway.anthropic.http1.connection import ProviderConnection
from gateway.anthropic.http1.response import ResponseParser

TakePiece = Callable[[bytes], bool]
"""Takes a piece of a body; whether that is enough."""


class ResponseBody(httpx2.AsyncByteStream):
    """What `parser` makes of a connection's bytes, beginning with those that it has read already.

    A connection that the next request may take is given to `keep`; any other one is closed. Raises
    httpx2.ReadError, httpx2.RemoteProtocolError.
    """

    def __init__(
        self,
        connection: ProviderConnection,
        parser: ResponseParser,
        keep: Callable[[ProviderConnection], None],
        begun: bytes,
    ) -> None:
        self._connection: ProviderConnection | None = connection
        self._parser = parser
        self._keep = keep
        self._begun = begun

    def header(self, name: bytes) -> str | None:
        """The value of the header of this name, which is in lower case."""
        return self._parser.header(name)

    @property
    def is_success(self) -> bool:
        """Whether the provider has done what it was asked."""
        return 200 <= self._parser.status < 300

    @property
    def is_whole(self) -> bool:
        """Whether it has all been read."""
        return self._parser.is_whole and not self._begun

    def response(self, request: httpx2.Request) -> httpx2.Response:
        """The response to `request` with this body, for the HTTP library."""
        parser = self._parser
        return httpx2.Response(parser.status, headers=parser.headers, stream=self, request=request)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._begun:
            begun, self._begun = self._begun, b""
            return begun
        parser = self._parser
        while not (parser.is_whole or self._connection is None):
            if piece := parser.feed(await self._connection.receive()):
                return piece
        raise StopAsyncIteration

    async def each(self, take: TakePiece) -> bool:
        """Give the body to `take`, piece by piece, until it has enough.

        Whether it has; otherwise the body is over. Raises what `take` raises, too.
        """
        parser, enough = self._parser, False

        def feed(data: memoryview) -> bool:
            nonlocal enough
            if piece := parser.feed(data):
                enough = take(piece)
            return enough or parser.is_whole

        if self._begun:
            begun, self._begun = self._begun, b""
            enough = take(begun)
        if not (enough or parser.is_whole or self._connection is None):
            await self._connection.each(feed)
        return enough

    async def aclose(self) -> None:
        """As `close`."""
        self.close()

    def close(self) -> None:
        """Read no more: the provider sees it at once."""
        if self._connection is None:
            return
        connection, self._connection = self._connection, None
        self._parser.close()
        if self._parser.leaves_connection:
            self._keep(connection)
        else:
            connection.close()
