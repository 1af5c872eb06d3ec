"""One side of an HTTP/1.1 connection: what is sent, and how it breaks.

h11 keeps the state of the connection, but a chunk of a streamed body is framed here: a stream is
thousands of chunks, h11 spends several microseconds on each, and it holds no state between the head
of a chunked body and its end. So the head and the end go through h11 and what lies between does
not. This would not hold for a body with a content-length.
"""

import os
import socket
import struct
from collections.abc import Iterable
from http.client import responses

import h11
import trio

Headers = Iterable[tuple[str, str]]


class HttpWire:
    """Sends responses over `stream`, in step with the h11 connection that reads its requests."""

    def __init__(self, stream: trio.SocketStream, http: h11.Connection) -> None:
        self._stream = stream
        self._http = http

    async def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole response."""
        sized = [*headers, ("content-length", str(len(body)))]
        await self._stream.send_all(
            self._head(status, sized)
            + (self._http.send(h11.Data(data=body)) or b"")
            + (self._http.send(h11.EndOfMessage()) or b"")
        )

    async def respond_in_part(self, status: int, headers: Headers, body: bytes) -> None:
        """Announce a body, send half of it, and hang up."""
        sized = [*headers, ("content-length", str(len(body)))]
        head = self._head(status, sized)
        await self._stream.send_all(head + body[: len(body) // 2])
        await trio.aclose_forcefully(self._stream)

    async def begin(self, headers: Headers) -> None:
        """Send the head of a response whose body comes in chunks."""
        chunked = [*headers, ("transfer-encoding", "chunked")]
        await self._stream.send_all(self._head(200, chunked))

    async def chunk(self, data: bytes) -> None:
        """Send a piece of the body; it must not be empty."""
        await self._stream.send_all(_framed(data))

    def chunk_now(self, data: bytes) -> bytes:
        """Send a piece of the body as far as that needs no waiting; what is left to `send`.

        Nobody else may be sending. An error is not raised here: `send` will meet it again.
        """
        framed = _framed(data)
        if os.name != "posix":
            return framed
        try:
            return framed[os.write(self._stream.socket.fileno(), framed) :]
        except OSError:
            return framed

    async def send(self, framed: bytes) -> None:
        """Send what `chunk_now` left, if it left any."""
        if framed:
            await self._stream.send_all(framed)

    async def end(self) -> None:
        """End the body."""
        await self._stream.send_all(self._http.send(h11.EndOfMessage()) or b"")

    async def truncate(self, data: bytes) -> None:
        """Begin a chunk that holds more than `data`, send that much, and hang up."""
        await self._stream.send_all(b"%x\r\n%b" % (2 * len(data) + 1, data))
        await trio.aclose_forcefully(self._stream)

    async def reset(self) -> None:
        """Hang up with a reset, not an end."""
        linger_for_no_time = struct.pack("ii", 1, 0)
        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_no_time)
        await trio.aclose_forcefully(self._stream)

    def _head(self, status: int, headers: Headers) -> bytes:
        reason = responses.get(status, "").encode("ascii")
        response = h11.Response(status_code=status, reason=reason, headers=[*headers])
        return self._http.send(response) or b""


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
