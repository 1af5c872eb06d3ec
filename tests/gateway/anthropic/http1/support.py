"""A provider of bare bytes, and the transport before it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import httpx2
import trio

from gateway.anthropic.http1.body import ResponseBody
from gateway.anthropic.http1.head import OutgoingHead
from gateway.anthropic.http1.transport import DirectTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

Handler = Callable[[trio.abc.Stream], Awaitable[None]]


@asynccontextmanager
async def open_server(serve: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that does this with every connection; its address."""

    async def contained(stream: trio.abc.Stream) -> None:
        with suppress(trio.BrokenResourceError, ssl.SSLError):
            async with stream:
                await serve(stream)

    async with trio.open_nursery() as nursery:
        if tls is None:
            listeners = await nursery.start(partial(trio.serve_tcp, contained, 0, host="127.0.0.1"))
            port = listeners[0].socket.getsockname()[1]
        else:
            listeners = await nursery.start(
                partial(trio.serve_ssl_over_tcp, contained, 0, tls, host="127.0.0.1")
            )
            port = listeners[0].transport_listener.socket.getsockname()[1]
        with trio.fail_after(20):  # noqa: ASYNC100 - for what a test does with it
            yield f"http{'s' if tls else ''}://127.0.0.1:{port}"
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_transport(
    serve: Handler, *, tls: ssl.SSLContext | None = None, trust: ssl.SSLContext | None = None
) -> AsyncIterator[DirectTransport]:
    """The transport before a server that does this with every connection."""
    async with open_server(serve, tls) as url:
        transport = DirectTransport(url, trust=trust, connect_seconds=5.0)
        yield transport
        transport.idle.close()


async def request_of(stream: trio.abc.Stream) -> bytes:
    """The next request, to the end of its body; empty when there is none."""
    heard = b""
    while b"\r\n\r\n" not in heard:
        piece = await stream.receive_some(65_536)
        if not piece:
            return b""
        heard += piece
    head, _, body = heard.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += await stream.receive_some(65_536)
    return head + b"\r\n\r\n" + body


def head_of(url: str = "http://provider.example/v1/messages", **headers: str) -> OutgoingHead:
    """The head of a request."""
    return OutgoingHead(httpx2.Request("POST", url, headers=headers))


async def answer_of(
    transport: DirectTransport, body: bytes = b"{}", *, seconds: float = 10.0
) -> httpx2.Response:
    """The whole response to a request."""
    head = head_of()
    with trio.fail_after(seconds):
        response = (await transport.send(head, body)).response(head.request)
        await response.aread()
    return response


async def read(body: ResponseBody) -> bytes:
    """All of a body, which is closed then."""
    whole = b"".join([piece async for piece in body])
    body.close()
    return whole
