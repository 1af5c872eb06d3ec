"""A server at an address: MCP's streamable HTTP.

The SDK lets a failed request end the whole session, and reads a JSON answer of any size. The client
here makes a failed request an answer (503) of that request alone, bounds what it reads, and mends
what can be understood (`gateway.mcp.reading`). It remembers what went wrong, for a log line;
nothing of what was sent or said is in it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Final

import httpx2
import trio
from mcp.client._transport import TransportStreams
from mcp.client.streamable_http import streamable_http_client

from gateway.mcp.notices import Notices
from gateway.mcp.reading import readable
from gateway.mcp.settings import McpServer
from gateway.mcp.stdio import LONGEST_MESSAGE
from gateway.outbound import OutboundClient, is_untrusted

for _name in ("httpx2", "httpcore2"):  # they log addresses, which may have a key in them
    logging.getLogger(_name).setLevel(logging.WARNING)

_SESSION: Final = "mcp-session-id"
_REFUSALS: Final = (401, 403, 429)
"""Statuses of a request that was not let in (RFC 9110 and 6585)."""
_OF_SOMETHING_ELSE: Final = (b"-32601", b"-32602")
"""JSON-RPC's codes of an unknown method and of bad parameters, an unknown tool among them."""

CONNECT_SECONDS: Final = 10.0
"""Longest wait for a connection, for one write, and for what a refusal says. Who calls sets the
deadline of an answer."""


class Trouble:
    """What went wrong last, and whom to tell."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self.text = ""
        self.is_refusal = False
        """Whether the server did not let a request in: it has not run the call."""
        self.has_forgotten = False
        """Whether the server does not know the session any more."""

    def note(self, text: str, *, is_refusal: bool = False) -> None:
        """Remember it, and have somebody look at the server."""
        self.text = text
        self.is_refusal = is_refusal
        self._tell()


@asynccontextmanager
async def open_http(
    server: McpServer, trouble: Trouble, notices: Notices
) -> AsyncIterator[TransportStreams]:
    """Speak with the server at its address."""
    async with (
        _Client(server, trouble, notices) as client,
        streamable_http_client(
            server.url, http_client=client, max_sse_event_size=LONGEST_MESSAGE
        ) as streams,
    ):
        yield streams


class _Client(OutboundClient):
    def __init__(self, server: McpServer, trouble: Trouble, notices: Notices) -> None:
        super().__init__(
            server.url,
            headers=server.headers | {"accept-encoding": "identity"},
            timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS, write=CONNECT_SECONDS),
        )
        self._trouble = trouble
        self._notices = notices

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send it; what fails is an answer as well."""
        try:
            response = await super().send(request, **options)
        except httpx2.TransportError as error:
            self._trouble.note(_why(error))
            return httpx2.Response(503, request=request)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()  # a small body could become a large one
            self._trouble.note("compresses its answers, though asked not to")
            return httpx2.Response(503, request=request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        kind = response.headers.get("content-type", "")
        is_stream = kind.startswith("text/event-stream") and response.status_code < 400
        body = response.stream
        response.stream = _EventBody(body, self._notices) if is_stream else _JsonBody(body)
        if request.method == "POST":
            await self._note(request, response)
        return response

    async def _note(self, request: httpx2.Request, response: httpx2.Response) -> None:
        if response.status_code < 400:
            self._trouble.text = ""
        elif _SESSION in request.headers and await _knows_no_session(response):
            self._trouble.has_forgotten = True
            self._trouble.note("has forgotten the session")
        else:
            status = response.status_code
            self._trouble.note(f"answers with HTTP status {status}", is_refusal=status in _REFUSALS)


def _why(error: httpx2.TransportError) -> str:
    if is_untrusted(error):
        return "has a certificate that is not trusted (SSL_CERT_FILE names further ones)"
    if isinstance(error, httpx2.ProxyError):
        return "cannot be reached: the proxy does not let the gateway through"
    return f"cannot be reached ({type(error).__name__})"


async def _knows_no_session(response: httpx2.Response) -> bool:
    """Whether a refusal says that the session is not known.

    That is a 404 (MCP, "Streamable HTTP", session management), unless it is one of the method or
    the tool; many servers say it with a 400.
    """
    if response.status_code not in (400, 404):
        return False
    body = b""
    with suppress(httpx2.StreamError), trio.move_on_after(CONNECT_SECONDS):
        body = (await response.aread()).lower()
    if response.status_code == 400:
        return b"session" in body
    return not any(code in body for code in _OF_SOMETHING_ELSE)


class _JsonBody(httpx2.AsyncByteStream):
    """A body of JSON that the SDK can read; a StreamError when it is too long or breaks off."""

    def __init__(self, body: httpx2.AsyncByteStream) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = bytearray()
        async with aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                read += piece
                _check_length(read)
        yield await readable(bytes(read))

    async def _pieces(self) -> AsyncGenerator[bytes]:
        try:
            async for piece in self._body:
                yield piece
        except httpx2.TransportError as error:
            raise httpx2.StreamError("the answer broke off") from error

    async def aclose(self) -> None:
        await self._body.aclose()


class _EventBody(_JsonBody):
    """A stream of events whose messages the SDK can read, without those that nobody needs."""

    def __init__(self, body: httpx2.AsyncByteStream, notices: Notices) -> None:
        super().__init__(body)
        self._notices = notices

    async def __aiter__(self) -> AsyncIterator[bytes]:
        lines = EventLines()
        async with aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                for event in lines.feed(piece):
                    if needed := await _event(event, self._notices):
                        yield needed  # noqa: ASYNC119 - aclose() ends the body
                _check_length(lines.rest)
        if lines.rest:  # some end without an empty line
            yield await _event(bytes(lines.rest) + b"\n\n", self._notices)


class EventLines:
    """Puts events together from pieces; their lines end with a line feed.

    In however many pieces an event comes, each of its bytes is looked at once.
    """

    def __init__(self) -> None:
        self.rest = bytearray()
        self._held = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """The events that `piece` completes, each with its empty line."""
        piece = self._held + piece
        self._held = b"\r" if piece.endswith(b"\r") else b""  # the line feed may come yet
        piece = piece.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        looked_at = max(0, len(self.rest) - 1)  # up to there is no empty line
        self.rest += piece
        end = self.rest.rfind(b"\n\n", looked_at)
        if end < 0:
            return []
        events = bytes(self.rest[:end]).split(b"\n\n")
        del self.rest[: end + 2]
        return [event + b"\n\n" for event in events]


async def _event(event: bytes, notices: Notices) -> bytes:
    """The event with a message that the SDK can read, on one line.

    Of one that nobody needs only its id is left, with which a stream that breaks is taken up again.
    """
    lines = event.split(b"\n")
    told = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    message = b"\n".join(told)
    if not message:
        return event
    others = [line for line in lines if line and not line.startswith(b"data:")]
    if await notices.take(message):
        named = [line for line in others if line.startswith(b"id:")]
        return b"\n".join([*named, b"data:", b"", b""]) if named else b""
    message = await readable(message)
    return b"\n".join([*others, *(b"data: " + line for line in message.split(b"\n")), b"", b""])


def _check_length(read: bytearray) -> None:
    if len(read) > LONGEST_MESSAGE:
        raise httpx2.StreamError("the answer is too long")
