"""A client's WebSocket, as its connection's actor uses it.

trio-websocket shakes hands, reads, answers pings and closes. A message for the client is written
below it: a frame of a server is a header of 2 to 10 bytes and the payload, without a mask (RFC
6455, 5.2), and trio-websocket makes several objects and copies of each.
"""

from __future__ import annotations

import struct
from typing import Final

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from actors.ports import SocketClosed
from gateway.client_stream import ClientStream
from protocol.codec import Frame
from protocol.errors import CloseCode

TEXT: Final = 0x81
BINARY: Final = 0x82
"""The first byte of a message that is one frame: FIN and the opcode."""

_SMALL: Final = {kind: [bytes((kind, size)) for size in range(126)] for kind in (TEXT, BINARY)}


def frame_of(kind: int, payload: bytes) -> bytes:
    """The frame of a whole message of the `kind` TEXT or BINARY."""
    size = len(payload)
    if size < 126:
        return _SMALL[kind][size] + payload
    if size < 1 << 16:
        return struct.pack("!BBH", kind, 126, size) + payload
    return struct.pack("!BBQ", kind, 127, size) + payload


class WebSocket:
    """`actors.ports.Socket` on a trio-websocket connection and the stream below it."""

    def __init__(
        self,
        connection: WebSocketConnection,
        stream: ClientStream,
        *,
        is_text: bool,
        max_message_bytes: int,
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._kind = TEXT if is_text else BINARY
        self._max_message_bytes = max_message_bytes

    async def receive(self) -> Frame:
        """The next frame. Raises SocketClosed."""
        try:
            frame: Frame = await self._connection.get_message()
        except ConnectionClosed as closed:
            raise SocketClosed from closed
        # The library's limit counts the characters of a text frame, this one its bytes.
        if isinstance(frame, str) and self._is_too_large(frame):
            raise SocketClosed(CloseCode.TOO_LARGE, "message too large")
        return frame

    def _is_too_large(self, text: str) -> bool:
        most = self._max_message_bytes
        return len(text) * 4 > most and len(text.encode()) > most

    @property
    def is_behind(self) -> bool:
        """Whether something that was written has not left yet."""
        return self._stream.is_behind

    def write(self, payload: bytes) -> None:
        """Send a message as far as that goes without waiting. Raises SocketClosed."""
        # trio-websocket says so before it writes a close frame, which nothing may follow.
        if self._connection.closed is not None:
            raise SocketClosed
        try:
            self._stream.write(frame_of(self._kind, payload))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise SocketClosed from error

    async def flush(self) -> None:
        """Wait until all that was written has left. Raises SocketClosed."""
        try:
            await self._stream.flush()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise SocketClosed from error

    async def ping(self) -> None:
        """Ping and wait for the pong. Raises SocketClosed."""
        try:
            await self._connection.ping()
        except ConnectionClosed as closed:
            raise SocketClosed from closed

    async def aclose(self, code: CloseCode, reason: str) -> None:
        """Say that this is the end, and wait for the client's answer."""
        await self._connection.aclose(code, reason)
