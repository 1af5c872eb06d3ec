"""A server at an address: MCP's streamable HTTP.

The SDK lets a failed request end the whole session, and reads a JSON answer of any size. The client
here makes a failed request an answer (503) of that request alone, and bounds what it reads. It
remembers what went wrong, for a log line; nothing of what was sent or said is in it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
from mcp.client._transport import TransportStreams
from mcp.client.streamable_http import streamable_http_client

from gateway.loopback import is_loopback
from gateway.mcp.settings import McpServer
from gateway.mcp.stdio import LONGEST_MESSAGE

for _name in ("httpx2", "httpcore2"):  # they log addresses, which may have a key in them
    logging.getLogger(_name).setLevel(logging.WARNING)

CONNECT_SECONDS: Final = 10.0
"""Longest wait for a connection, and for one write. Who calls sets the deadline of an answer."""


class Trouble:
    """What went wrong last, and whom to tell."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self.text = ""

    def note(self, text: str) -> None:
        """Remember it, and have somebody look at the server."""
        self.text = text
        self._tell()


@asynccontextmanager
async def open_http(server: McpServer, trouble: Trouble) -> AsyncIterator[TransportStreams]:
    """Speak with the server at its address."""
    async with (
        _Client(server, trouble) as client,
        streamable_http_client(
            server.url, http_client=client, max_sse_event_size=LONGEST_MESSAGE
        ) as streams,
    ):
        yield streams


class _Client(httpx2.AsyncClient):
    def __init__(self, server: McpServer, trouble: Trouble) -> None:
        super().__init__(
            headers=server.headers | {"accept-encoding": "identity"},
            timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS, write=CONNECT_SECONDS),
            trust_env=not is_loopback(urlsplit(server.url).hostname or ""),
        )
        self._trouble = trouble

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send it; what fails is an answer as well."""
        try:
            response = await super().send(request, **options)
        except httpx2.TransportError as error:
            self._trouble.note(f"cannot be reached ({type(error).__name__})")
            return httpx2.Response(503, request=request)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()  # a small body could become a large one
            self._trouble.note("compresses its answers, though asked not to")
            return httpx2.Response(503, request=request)
        if request.method == "POST":
            if response.status_code >= 400:
                self._trouble.note(f"answers with HTTP status {response.status_code}")
            else:
                self._trouble.text = ""
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Bounded(response.stream)
        return response


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with a StreamError when it is too long or breaks off."""

    def __init__(self, body: httpx2.AsyncByteStream) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        try:
            async for piece in self._body:
                read += len(piece)
                if read > LONGEST_MESSAGE:
                    raise httpx2.StreamError("the answer is too long")
                yield piece
        except httpx2.TransportError as error:
            raise httpx2.StreamError("the answer broke off") from error

    async def aclose(self) -> None:
        await self._body.aclose()
