"""Listen, shake hands, contain, drain (trio-websocket).

What goes wrong in a connection ends that connection alone. trio-websocket's own server would end
with it, since an exception there leaves its nursery, even one that an unauthenticated request
provokes; so each connection has its own nursery and one boundary around it.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from http import HTTPStatus
from typing import Protocol

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from actors.connection.connection import Connection, ConnectionEnd
from actors.mailbox import ActorStopped, Address, MailboxFull
from actors.ports import Socket, SocketClosed
from gateway.handshake import LONGEST_HEAD, AccessRules, Admission, Refusal, judge, parse_head
from protocol.codec import CODECS, JSON, Codec, Frame
from protocol.errors import CloseCode
from protocol.mail import Drain

log = logging.getLogger(__name__)

RECEIVE_BYTES = 16_384


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the server is told at its start; seconds, bytes and connections."""

    handshake_seconds: float
    close_seconds: float
    max_connections: int
    max_message_bytes: int


class Connect(Protocol):
    """Makes the actor of a new connection."""

    def __call__(self, socket: Socket, codec: Codec, *, says_hello: bool) -> Connection: ...


class WebSocket:
    """`actors.ports.Socket` on a trio-websocket connection."""

    def __init__(self, connection: WebSocketConnection, *, max_message_bytes: int) -> None:
        self._connection = connection
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

    async def send(self, frame: Frame) -> None:
        """Write one frame. Raises SocketClosed."""
        try:
            await self._connection.send_message(frame)
        except ConnectionClosed as closed:
            raise SocketClosed from closed

    async def ping(self) -> None:
        """Ping and wait for the pong. Raises SocketClosed."""
        try:
            await self._connection.ping()
        except ConnectionClosed as closed:
            raise SocketClosed from closed


class Server:
    """Makes a contained connection of every accepted stream."""

    def __init__(self, settings: ServerSettings, rules: AccessRules, connect: Connect) -> None:
        self._settings = settings
        self._rules = rules
        self._connect = connect
        self._streams = 0
        self._connections: set[Connection] = set()
        self._drain: Drain | None = None
        self.empty = trio.Event()
        """Set when the last client of a draining gateway has gone."""

    @property
    def draining(self) -> bool:
        """Whether the gateway is about to stop."""
        return self._drain is not None

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    @property
    def deepest_mailbox(self) -> Address | None:
        """The connections' mailbox in which most waits; `None` without a client."""
        boxes = (connection.mailbox for connection in self._connections)
        return max(boxes, key=lambda box: box.waiting, default=None)

    def drain(self, deadline_ms: int) -> None:
        """Take no more clients, and tell those that are here."""
        self._drain = Drain(deadline_ms=deadline_ms)
        for connection in self._connections:
            self._tell(connection, self._drain)
        self._note_empty()

    def send_away(self) -> None:
        """End what is left of the connections."""
        for connection in self._connections:
            connection.send_away()

    def _note_empty(self) -> None:
        if self._drain is not None and not self._connections:
            self.empty.set()

    def _tell(self, connection: Connection, drain: Drain) -> None:
        with suppress(MailboxFull, ActorStopped):  # then it is cut at the deadline
            connection.mailbox.offer(drain)

    async def accept(self, stream: trio.SocketStream) -> None:
        """Serve one client. The boundary of a connection: nothing leaves it but a cancel."""
        self._streams += 1
        try:
            async with trio.open_nursery() as nursery:
                await self._serve(nursery, stream)
                nursery.cancel_scope.cancel()
        except* Exception as group:  # noqa: BLE001 - nothing may leave but a cancel
            # Broken handshakes are the network's everyday; bugs are logged where they happen.
            log.debug("a connection ended: %r", group.exceptions)
        finally:
            self._streams -= 1
            await trio.aclose_forcefully(stream)

    async def _serve(self, nursery: trio.Nursery, stream: trio.SocketStream) -> None:
        with trio.move_on_after(self._settings.handshake_seconds) as deadline:
            head = await _read_head(stream)
            judgement = self._judge(head, stream)
            if isinstance(judgement, Refusal):
                await stream.send_all(judgement.response())
                await stream.send_eof()
                return
            request = await wrap_server_stream(
                nursery,
                _Replay(stream, head),
                max_message_size=self._settings.max_message_bytes,
                receive_buffer_size=RECEIVE_BYTES,
            )
            websocket = await request.accept(subprotocol=judgement.subprotocol)
        if deadline.cancelled_caught:
            return
        assert isinstance(judgement, Admission)
        await self._converse(websocket, judgement)

    def _judge(self, head: bytes, stream: trio.SocketStream) -> Admission | Refusal:
        request = parse_head(head)
        if isinstance(request, Refusal):
            return request
        local_host = str(stream.socket.getsockname()[0])
        judgement = judge(request, self._rules, local_host=local_host)
        if isinstance(judgement, Refusal):
            log.info("a request was refused: %d %s", judgement.status, judgement.reason)
        elif self.draining or self._streams > self._settings.max_connections:
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "The gateway is full or stopping.")
        return judgement

    async def _converse(self, websocket: WebSocketConnection, admission: Admission) -> None:
        name = admission.subprotocol
        socket = WebSocket(websocket, max_message_bytes=self._settings.max_message_bytes)
        codec = JSON if name is None else CODECS[name]
        connection = self._connect(socket, codec, says_hello=name is not None)
        self._connections.add(connection)
        if self._drain is not None:  # it shook hands while the others were told
            self._tell(connection, self._drain)
        try:
            await self._close(websocket, await self._run(connection))
        finally:
            self._connections.discard(connection)
            self._note_empty()

    async def _run(self, connection: Connection) -> ConnectionEnd:
        try:
            return await connection.run()
        except Exception:
            log.exception("a connection ended by a mistake of the gateway")
            return ConnectionEnd(code=CloseCode.INTERNAL, reason="internal error")

    async def _close(self, websocket: WebSocketConnection, closing: ConnectionEnd) -> None:
        if closing.code is not CloseCode.NORMAL:
            log.info("a connection is closed with %d: %s", closing.code, closing.reason)
        if not closing.forcibly:
            with trio.move_on_after(self._settings.close_seconds):
                await websocket.aclose(closing.code, closing.reason)


class _Replay(trio.abc.Stream):
    """A stream of which the beginning has already been read."""

    def __init__(self, stream: trio.SocketStream, read: bytes) -> None:
        self._stream = stream
        self._read = read

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self._read:
            await trio.lowlevel.checkpoint()
            data, self._read = self._read, b""
            return data
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _read_head(stream: trio.SocketStream) -> bytes:
    """What came up to and with the head's empty line; also what came right behind it."""
    data = bytearray()
    while b"\r\n\r\n" not in data and len(data) <= LONGEST_HEAD:
        more = await stream.receive_some(RECEIVE_BYTES)
        if not more:
            break
        data += more
    return bytes(data)
