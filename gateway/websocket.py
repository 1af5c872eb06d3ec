"""A client's WebSocket, as its connection's actor uses it.

trio-websocket reads, answers pings and closes. It is given a connection that has shaken hands
already, for the door has judged the request; what it would keep of that weighs as much as all else
of an idle client. A message from the client goes straight to the actor. A message for the client
is written below trio-websocket: a frame of a server is a header of 2 to 10 bytes and the payload,
without a mask (RFC 6455, 5.2), and trio-websocket makes several objects of each. What a client
sends most, a short message in one frame, is read without wsproto's parser for the same reason.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from typing import Any, Final, NoReturn

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import AcceptConnection, BytesMessage, Event, TextMessage
from wsproto.handshake import H11Handshake

from actors.ports import SocketClosed
from gateway.client_stream import RECEIVE_BYTES, ClientStream
from protocol.codec import Frame
from protocol.errors import CloseCode

TEXT: Final = 0x81
BINARY: Final = 0x82
"""The first byte of a message that is one frame: FIN and the opcode."""

_MASKED: Final = 0x80

_SMALL: Final = {kind: [bytes((kind, size)) for size in range(126)] for kind in (TEXT, BINARY)}


def frame_of(kind: int, payload: bytes) -> bytes:
    """The frame of a whole message of the `kind` TEXT or BINARY."""
    size = len(payload)
    if size < 126:
        return _SMALL[kind][size] + payload
    if size < 1 << 16:
        return struct.pack("!BBH", kind, 126, size) + payload
    return struct.pack("!BBQ", kind, 127, size) + payload


_HAPPENED: Final = trio.Event()
_OVER: Final = H11Handshake(ConnectionType.SERVER)
"""Stands for every handshake that is over: the real one keeps the request in many objects."""


def message_of(data: bytes) -> TextMessage | BytesMessage | None:
    """The message, if `data` is just one whole message of a client, in one frame of up to 64 KB.

    `None` for whatever else it is, a frame that breaks a rule among them.
    """
    size = len(data) - 6  # of the payload, behind two bytes and a mask of four
    if size < 0 or data[0] not in (TEXT, BINARY):
        return None
    if data[1] == _MASKED | 126 and size > 127:
        size -= 2
        if data[2] << 8 | data[3] != size:
            return None
    elif data[1] != _MASKED | size or size > 125:
        return None
    mask = data[-size - 4 : -size or None] * (size // 4 + 1)
    masked = int.from_bytes(data[len(data) - size :]) ^ int.from_bytes(mask[:size])
    payload = masked.to_bytes(size)
    if data[0] == BINARY:
        return BytesMessage(payload)
    try:
        return TextMessage(payload.decode())
    except UnicodeDecodeError:
        return None


class Rules(WSConnection):
    """wsproto's, which need not look at a message that is all that came."""

    _message: TextMessage | BytesMessage | None = None

    def receive_data(self, data: bytes | None) -> None:
        """See `WSConnection`."""
        self._message = message_of(data) if data and self._is_between_messages else None
        if self._message is None:
            super().receive_data(data)

    def events(self) -> Generator[Event, None, None]:
        """See `WSConnection`."""
        message, self._message = self._message, None
        if message is not None:
            yield message
        else:
            yield from super().events()

    @property
    def _is_between_messages(self) -> bool:
        if self.connection is None or self.connection.state is not ConnectionState.OPEN:
            return False
        frames = self.connection._proto
        decoder = frames._frame_decoder
        begun = decoder.header or decoder.buffer or frames._message_decoder.opcode
        # Once it has met what is no frame, it parses no more.
        is_over = frames._parse_more.gi_frame is None  # type: ignore[attr-defined]
        return not (begun or is_over)


async def shake_hands(client: ClientStream, head: bytes, subprotocol: str | None) -> WSConnection:
    """Answer the request in `head` that it may go on as a WebSocket."""
    rules = Rules(ConnectionType.SERVER)
    rules.receive_data(head)
    for _ in rules.events():  # the request
        pass
    await client.send_all(rules.send(AcceptConnection(subprotocol=subprotocol)))
    rules.handshake = _OVER
    assert rules.connection is not None
    # A queue for the end of a connection, of which wsproto is told by nobody here; its deque would
    # be a twentieth of an idle client.
    rules.connection._events = ()  # type: ignore[assignment]
    return rules


class _Nothing:
    """In place of what trio-websocket waits for and we need not: see `_Connection`."""

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        pass


_NOTHING: Final[Any] = _Nothing()


class _Connection(WebSocketConnection):
    """trio-websocket's, whose messages go straight to whoever reads.

    Its queue, its lock (the stream keeps frames whole by itself) and what is only of use in a
    handshake or a test of its own would be a quarter of an idle connection.
    """

    def __init__(
        self, stream: ClientStream, rules: WSConnection, *, max_message_bytes: int
    ) -> None:
        super().__init__(stream, rules, receive_buffer_size=RECEIVE_BYTES)
        self._send_channel = self._recv_channel = self._stream_lock = _NOTHING
        self._connection_proposal = None
        self._open_handshake = self._for_testing_peer_closed_connection = _HAPPENED
        self._max_message_bytes = max_message_bytes
        self.take: Callable[[Frame], Awaitable[None]] | None = None
        """Gets each message; without it they are dropped."""
        self.mistake: Exception | None = None
        """What `take` has raised: nothing that the client has done."""

    def read(self) -> Awaitable[None]:
        """Read until the client goes."""
        return self._reader_task()

    async def _handle_message_event(self, event: TextMessage | BytesMessage) -> None:
        if self.take is None:
            return
        part = event.data if isinstance(event.data, str) else bytes(event.data)
        self._message_size += len(part.encode() if isinstance(part, str) else part)
        if self._message_size > self._max_message_bytes:
            raise SocketClosed(CloseCode.TOO_LARGE, "message too large")
        self._message_parts.append(part)
        if event.message_finished:
            whole = type(part)().join(self._message_parts)  # type: ignore[arg-type]
            self._message_parts, self._message_size = [], 0
            try:
                await self.take(whole)
            except Exception as error:
                self.mistake = error
                raise


class WebSocket:
    """`actors.ports.Socket` on a client's stream after the handshake, whose outcome is `rules`."""

    def __init__(
        self, stream: ClientStream, rules: WSConnection, *, is_text: bool, max_message_bytes: int
    ) -> None:
        self._stream = stream
        self._rules = rules
        self._connection = _Connection(stream, rules, max_message_bytes=max_message_bytes)
        self.kind = TEXT if is_text else BINARY
        """What `write` makes of a payload."""

    async def listen(self, take: Callable[[Frame], Awaitable[None]]) -> NoReturn:
        """Hand over each message, one after the other, until the client goes. Raises SocketClosed.

        What `take` raises leaves as it is.
        """
        self._connection.take = take
        try:
            await self._connection.read()
        except Exception as error:
            if isinstance(error, SocketClosed) or error is self._connection.mistake:
                raise
            raise SocketClosed from error  # what came is more than wsproto can bear
        finally:
            self._connection.take = None
        raise SocketClosed

    @property
    def is_behind(self) -> bool:
        """Whether something that was written has not left yet."""
        return self._stream.is_behind

    @property
    def is_closed(self) -> bool:
        """Whether the client has gone, or a side has said that this is the end."""
        return self._connection.closed is not None

    def write(self, payload: bytes) -> bool:
        """Send a message as far as that goes without waiting; whether nothing is left of it.

        Raises SocketClosed.
        """
        # trio-websocket says so before it writes a close frame, which nothing may follow.
        if self._connection.closed is not None:
            raise SocketClosed
        try:
            return self._stream.write(frame_of(self.kind, payload))
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
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read_out)
            await self._connection.aclose(code, reason)
            nursery.cancel_scope.cancel()

    def let_go(self) -> None:
        """Keep nothing alive once the client has gone."""
        # wsproto's parser is a generator that refers to itself: thousands of them would wait for
        # the collector, which comes rarely, and hold the memory around them.
        assert self._rules.connection is not None  # it shook hands
        self._rules.connection._proto._parse_more.close()

    async def _read_out(self) -> None:
        with suppress(Exception):  # whatever else comes, this is the end
            await self._connection.read()
