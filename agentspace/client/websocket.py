"""One WebSocket over a byte stream: the protocol is the library's, the waiting is done here.

The library's own protocol object does no IO (websockets, "Integrate the Sans-I/O layer"), so one
shell serves asyncio and trio. Cancelling a write half way breaks the framing of everything after
it. So one task writes and one reads; whoever has something to say hands it in, which no
cancellation can divide.
"""

from __future__ import annotations

import logging
import ssl
from collections import deque
from typing import Final

import anyio
from anyio.abc import ByteStream
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

SUBPROTOCOL: Final = Subprotocol("agentspace.v1.json")
LONGEST_MESSAGE: Final = 256 * 1024 * 1024
"""Bytes; an inspection carries the text of a whole context."""

PIECE: Final = 64 * 1024
WRITE_SECONDS: Final = 30.0
"""Longest write of one piece."""

_BROKEN: Final = (OSError, ssl.SSLError, anyio.BrokenResourceError, anyio.ClosedResourceError)

# Its debug lines would show the token.
_log = logging.getLogger(__name__)
_log.setLevel(logging.INFO)


class WebSocketClosed(Exception):
    """The connection is over; `code` is `None` when nobody said goodbye."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class WebSocket:
    """An open WebSocket. `heard_at` is when anything came in last, by the loop's clock; `ended` is
    set once nothing is written any more.
    """

    def __init__(self, stream: ByteStream, protocol: ClientProtocol) -> None:
        self.heard_at = anyio.current_time()
        self._stream = stream
        self._protocol = protocol
        self._outgoing = bytearray()
        self._handed_in = anyio.Event()
        self._written = anyio.Event()
        self.ended = anyio.Event()
        self._messages: deque[bytes] = deque()
        self._fragments = bytearray()
        self._take()

    async def receive(self) -> bytes:
        """The next message, whole. Raises WebSocketClosed."""
        while not self._messages:
            self._raise_if_closed()
            try:
                data = await self._stream.receive(PIECE)
            except anyio.EndOfStream:
                self._protocol.receive_eof()
            except _BROKEN as error:
                raise WebSocketClosed(None, "the connection broke") from error
            else:
                self.heard_at = anyio.current_time()
                self._protocol.receive_data(data)
            self._take()
        return self._messages.popleft()

    async def room(self) -> None:
        """Wait until all that was handed in is written. Raises WebSocketClosed."""
        while self._outgoing and not self.ended.is_set():
            await self._written.wait()
        if self.ended.is_set():
            raise WebSocketClosed(None, "the connection is gone")

    def post(self, message: bytes) -> None:
        """Hand a message to the writer; wait for `room` first."""
        self._protocol.send_text(message)
        self._collect()

    def ping(self) -> None:
        """Make the other side say something."""
        self._protocol.send_ping(b"")
        self._collect()

    def say_goodbye(self) -> None:
        """Begin to close."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1000)
            self._collect()

    async def aclose(self) -> None:
        """Let go of the stream, at once."""
        with anyio.CancelScope(shield=True):  # it waits for nobody
            await self._stream.aclose()

    async def write(self) -> None:
        """Write what is handed in. Raises WebSocketClosed."""
        while True:
            await self._handed_in.wait()
            self._handed_in = anyio.Event()
            while self._outgoing:
                piece = bytes(self._outgoing[:PIECE])
                await self._write_piece(piece)
                del self._outgoing[: len(piece)]
            self._tell_written()

    async def _write_piece(self, piece: bytes) -> None:
        try:
            with anyio.fail_after(WRITE_SECONDS):
                await self._stream.send(piece)
        except TimeoutError as error:
            raise WebSocketClosed(None, "the gateway does not read any more") from error
        except _BROKEN as error:
            raise WebSocketClosed(None, "the connection broke") from error

    def end(self) -> None:
        """Nothing is written any more: whoever waits for room hears of it."""
        self.ended.set()
        self._tell_written()

    def _tell_written(self) -> None:
        self._written.set()
        self._written = anyio.Event()

    def _take(self) -> None:
        """What the protocol has made of the bytes that came in."""
        for frame in self._protocol.events_received():
            if isinstance(frame, Frame) and frame.opcode in _DATA:
                self._fragments += frame.data
                if frame.fin:
                    self._messages.append(bytes(self._fragments))
                    self._fragments.clear()
        self._collect()

    def _collect(self) -> None:
        self._outgoing += b"".join(self._protocol.data_to_send())
        if self._outgoing:
            self._handed_in.set()

    def _raise_if_closed(self) -> None:
        if (close := self._protocol.close_rcvd) is not None:
            raise WebSocketClosed(close.code, close.reason or f"closed with code {close.code}")
        if (error := self._protocol.parser_exc) is not None:
            sent = self._protocol.close_sent  # what we made of what came in, if that was it
            raise WebSocketClosed(
                None if sent is None else sent.code, "the connection broke"
            ) from error


_DATA: Final = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})


async def open_websocket(stream: ByteStream, address: WebSocketURI, token: str | None) -> WebSocket:
    """Make a WebSocket of a stream. Raises InvalidHandshake, and OSError when it breaks."""
    protocol = ClientProtocol(
        address, subprotocols=[SUBPROTOCOL], max_size=LONGEST_MESSAGE, logger=_log
    )
    request = protocol.connect()
    if token:
        request.headers["Authorization"] = f"Bearer {token}"
    protocol.send_request(request)
    try:
        await stream.send(b"".join(protocol.data_to_send()))
        while protocol.state is State.CONNECTING and protocol.handshake_exc is None:
            try:
                protocol.receive_data(await stream.receive(PIECE))
            except anyio.EndOfStream:
                protocol.receive_eof()
    except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
        raise ConnectionResetError from error
    if protocol.handshake_exc is not None:
        raise protocol.handshake_exc
    if protocol.subprotocol is None:
        raise InvalidHandshake("it does not speak the subprotocol")
    return WebSocket(stream, protocol)
