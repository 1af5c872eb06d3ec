"""Shake hands, contain, drain.

What goes wrong in a connection ends that connection alone. trio-websocket's own server would end
with it, since an exception there leaves its nursery, even one that an unauthenticated request
provokes; so each connection has one boundary around it.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Final, Protocol

import msgspec
import trio

from actors.connection.connection import Connection, ConnectionEnd
from actors.connection.rounds import Rounds
from actors.mailbox import ActorStopped, Address, MailboxFull
from actors.ports import Socket
from gateway.client_stream import ClientStream
from gateway.door import Door, Guest
from gateway.footprint import Footprint
from gateway.handshake import Admission
from gateway.websocket import WebSocket, shake_hands
from protocol.codec import CODECS, JSON, Codec
from protocol.errors import CloseCode
from protocol.mail import Drain

log = logging.getLogger(__name__)

SENT_AWAY: Final = ConnectionEnd(code=CloseCode.GOING_AWAY, reason="the gateway goes away")
"""How a guest ends that came before the drain, and whose actor came too late for it."""


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the server is told at its start; seconds and bytes."""

    handshake_seconds: float
    close_seconds: float
    max_message_bytes: int


class Connect(Protocol):
    """Makes the actor of a new connection."""

    async def __call__(self, socket: Socket, codec: Codec, *, says_hello: bool) -> Connection: ...


class Server:
    """Makes a contained connection of every accepted stream."""

    def __init__(self, settings: ServerSettings, door: Door, connect: Connect) -> None:
        self._settings = settings
        self._door = door
        self._connect = connect
        self._footprint = Footprint()
        # trio keeps up to a thousand deadlines that were met until their time comes, and each of
        # them would keep the memory around it.
        self._handshakes = Rounds(settings.handshake_seconds)
        self._arrivals: set[trio.CancelScope] = set()  # guests that wait for their actor
        self._is_over = False
        self._connections: set[Connection] = set()
        self._drain: Drain | None = None
        self.empty = trio.Event()
        """Set when the last guest of a draining gateway has gone."""

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
        self._door.is_draining = True
        for connection in self._connections:
            self._tell(connection, self._drain)
        self._note_empty()

    def send_away(self) -> None:
        """End what is left of the connections, and those that would still come."""
        self._is_over = True
        for connection in self._connections:
            connection.send_away()
        for arrival in self._arrivals:
            arrival.cancel()

    def _note_empty(self) -> None:
        if self._drain is not None and self._door.is_empty:
            self.empty.set()

    def _tell(self, connection: Connection, drain: Drain) -> None:
        with suppress(MailboxFull, ActorStopped):  # then it is cut at the deadline
            connection.mailbox.offer(drain)

    async def accept(self, connections: trio.Nursery, stream: trio.SocketStream) -> None:
        """Let a client in, as a task in `connections`: an idle one keeps nothing of its arrival.

        Here and in that task is the boundary of a connection: nothing leaves it but a cancel.
        """
        try:
            with trio.CancelScope() as patience:
                self._handshakes.join(patience.cancel)
                try:
                    await self._let_in(connections, stream)
                finally:
                    self._handshakes.leave(patience.cancel)
        except* Exception as group:  # noqa: BLE001 - nothing may leave but a cancel
            _tell_of(group)

    async def watch_handshakes(self) -> None:
        """End the handshakes that take too long, until cancelled."""
        await self._handshakes.run()

    async def _let_in(self, connections: trio.Nursery, stream: trio.SocketStream) -> None:
        guest = await self._door.admit(stream)
        if guest is None:
            return
        client = ClientStream(stream, guest.rest)
        try:
            socket = await self._shake_hands(client, guest)
        except BaseException:
            self._see_off(client)
            raise
        connections.start_soon(self._stay, client, socket, guest.admission)

    async def _stay(self, client: ClientStream, socket: WebSocket, admission: Admission) -> None:
        """A client's life: one coroutine, and few below it, for an idle client is made of them."""
        connection = None
        try:
            connection = await self._meet(socket, admission)
            end = SENT_AWAY if connection is None else await self._run(connection)
            await self._close(socket, end)
        except* Exception as group:  # noqa: BLE001 - nothing may leave but a cancel
            _tell_of(group)
        finally:
            if connection is not None:
                self._connections.discard(connection)
            socket.let_go()
            self._see_off(client)

    def _see_off(self, client: ClientStream) -> None:
        client.close()
        self._door.leave()
        self._note_empty()
        self._footprint.note(len(self._connections))

    async def _shake_hands(self, client: ClientStream, guest: Guest) -> WebSocket:
        return WebSocket(
            client,
            await shake_hands(client, guest.head, guest.admission.subprotocol),
            is_text=_codec(guest.admission).is_text,
            max_message_bytes=self._settings.max_message_bytes,
        )

    async def _meet(self, socket: WebSocket, admission: Admission) -> Connection | None:
        """The actor for a guest; `None` when the gateway's time to drain is over before."""
        codec, says_hello = _codec(admission), admission.subprotocol is not None
        connection = None
        with trio.CancelScope() as patience:
            self._arrivals.add(patience)
            try:
                if not self._is_over:
                    connection = await self._connect(socket, codec, says_hello=says_hello)
            finally:
                self._arrivals.discard(patience)
        return None if self._is_over else connection

    async def _run(self, connection: Connection) -> ConnectionEnd:
        self._connections.add(connection)
        self._footprint.note(len(self._connections))
        if self._drain is not None:  # it arrived while the others were told
            self._tell(connection, self._drain)
        try:
            return await connection.run()
        except Exception:
            log.exception("a connection ended by a mistake of the gateway")
            return ConnectionEnd(code=CloseCode.INTERNAL, reason="internal error")

    async def _close(self, socket: WebSocket, closing: ConnectionEnd) -> None:
        if closing.code is not CloseCode.NORMAL:
            log.info("a connection is closed with %d: %s", closing.code, closing.reason)
        if not closing.forcibly and not socket.is_closed:
            with trio.move_on_after(self._settings.close_seconds):
                await socket.aclose(closing.code, closing.reason)


def _tell_of(group: ExceptionGroup[Exception]) -> None:
    # Broken handshakes are the network's everyday; bugs are logged where they happen.
    log.debug("a connection ended: %r", group.exceptions)


def _codec(admission: Admission) -> Codec:
    name = admission.subprotocol
    return JSON if name is None else CODECS[name]
