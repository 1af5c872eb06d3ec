"""Writes to one client: messages that wait, then what a turn's log holds behind its cursor.

An idle client has no task for this. While nothing waits to be written, the turn that appends an
event writes it itself, in `hear`, without an await. Where a frame does not leave whole, or what is
to be said may be long, a task begins, and lives until it has caught up. Meanwhile a slow client
gets fewer and larger frames, and nobody waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import trio

from actors.connection.watch import Watch
from actors.ports import Socket
from protocol.bounds import LARGE
from protocol.codec import Codec
from protocol.server import ChatStreamNotice, ServerMessage
from protocol.turn import (
    LONGEST_JOINED,
    Ended,
    Failed,
    Noticed,
    Reasoning,
    SourceFound,
    Started,
    Text,
    TurnEvent,
    delta_frame,
    frames,
)

_SHORT: Final = frozenset({Started, SourceFound, Noticed, Ended, Failed})
"""Events that have some hundred bytes; what a tool gets or answers may have megabytes."""

IN_A_ROW: Final = 16
"""Frames that are written one after another before the other tasks have a turn."""


class ReadsTooSlowly(Exception):
    """A frame did not leave in time, so no close frame would either: the client is to be cut."""


class WriterOwner(Protocol):
    """The connection that a writer writes for."""

    def begin_writing(self) -> None:
        """Start a task that runs the writer."""
        ...

    def stream_ended(self, watch: Watch) -> None:
        """The terminal frame of the turn is about to be written."""
        ...


class Writer:
    """The only one that sends messages to a client.

    At most `outbox_size` messages wait. A frame has `write_seconds` to leave. Without
    `says_notices` the client has no word for `chat.stream.notice`.
    """

    def __init__(
        self,
        socket: Socket,
        codec: Codec,
        *,
        outbox_size: int,
        write_seconds: float,
        says_notices: bool,
    ) -> None:
        self._socket = socket
        self._encode = codec.encode
        self._outbox_size = outbox_size
        self._write_seconds = write_seconds
        self._says_notices = says_notices
        self._owner: WriterOwner | None = None
        # Most clients are idle, and need none of these.
        self._messages: deque[ServerMessage] | None = None
        self._space: trio.lowlevel.ParkingLot | None = None
        self._emptied: trio.lowlevel.ParkingLot | None = None
        self._has_work = False
        self._is_idle = False
        self._in_a_row = 0
        self.watch: Watch | None = None
        self.is_held_up = False
        """Whether a frame waits for the client to read."""

    def open(self, owner: WriterOwner) -> None:
        """Begin; first with what waits already."""
        self._owner = owner
        self._is_idle = True
        if self._has_work:
            self.ring()

    def close(self) -> None:
        """Begin nothing more: the connection ends."""
        self._owner = None
        self._is_idle = False

    @property
    def waiting(self) -> int:
        """How many messages wait."""
        return 0 if self._messages is None else len(self._messages)

    async def put(self, message: ServerMessage) -> None:
        """Add a message; waits while there is no space."""
        while self.waiting >= self._outbox_size:
            if self._space is None:
                self._space = trio.lowlevel.ParkingLot()
            await self._space.park()
        if self._messages is None:
            self._messages = deque()
        self._messages.append(message)
        self.ring()

    async def empty(self) -> None:
        """Until no message waits any more."""
        while self._messages:
            if self._emptied is None:
                self._emptied = trio.lowlevel.ParkingLot()
            await self._emptied.park()

    def ring(self) -> None:
        """There is something to do; said any number of times."""
        self._has_work = True
        if self._is_idle:
            self._is_idle = False
            assert self._owner is not None
            self._owner.begin_writing()

    def hear(self) -> None:
        """The watched turn has said something. Its own task calls this: nothing may go wrong."""
        if not (self._is_idle and (self._write_delta() or self._write_short())):
            self.ring()

    async def run(self) -> None:
        """Write until nothing is left. Raises SocketClosed, ReadsTooSlowly."""
        while self._has_work:
            self._has_work = False
            if self._socket.is_behind:  # what `hear` began
                await self._flush()
            await self._write_messages()
            await self._write_stream()
        self._is_idle = self._owner is not None

    def _write_delta(self) -> bool:
        """Write the one delta that is new; whether no more is to be done."""
        watch = self.watch
        assert watch is not None  # its cursor is closed with it
        cursor = watch.cursor
        event = cursor.only
        # Exact types: this is done for each delta of each stream.
        if type(event) is not Text and type(event) is not Reasoning:
            return False
        if len(event.text) > LONGEST_JOINED:
            return False
        try:
            frame = delta_frame(event, event.text, cursor.position, watch.request_id)
            has_left = self._socket.write(self._encode(frame))
        except Exception:  # noqa: BLE001 - nothing was written: the writer's task meets it again
            return False
        cursor.position += 1
        return has_left

    def _write_short(self) -> bool:
        """Write the one event that is new, if it is a short one; whether no more is to be done."""
        watch = self.watch
        assert watch is not None
        event = watch.cursor.only
        if type(event) not in _SHORT or self._socket.is_behind:
            return False
        assert event is not None
        try:
            payloads = [*map(self._encode, self._frames([event], watch.cursor.position, watch))]
            for payload in payloads:
                self._socket.write(payload)
        except Exception:  # noqa: BLE001 - as above
            return False
        self._take(watch)
        return not self._socket.is_behind

    async def _write_messages(self) -> None:
        while self._messages:
            message = self._messages.popleft()
            if self._space is not None:
                self._space.unpark()
            if self._emptied is not None and not self._messages:
                self._emptied.unpark_all()
            await self._write(message)
        self._messages = None

    async def _write_stream(self) -> None:
        watch = self.watch
        if watch is None:
            return
        events, first = self._take(watch)
        for message in self._frames(events, first, watch):
            await self._write(message)

    def _take(self, watch: Watch) -> tuple[list[TurnEvent], int]:
        """The events not yet taken, and the seq of the first; see `Cursor.take`."""
        taken = watch.cursor.take()
        if watch.cursor.exhausted:
            # The guard frees here, before the terminal frame is on its way: a client that has
            # seen it may send again at once.
            watch.cursor.close()
            self.watch = None
            if self._owner is not None:
                self._owner.stream_ended(watch)
        return taken

    def _frames(
        self, events: Sequence[TurnEvent], first: int, watch: Watch
    ) -> Iterator[ServerMessage]:
        for message in frames(events, first, watch.request_id):
            if self._says_notices or not isinstance(message, ChatStreamNotice):
                yield message

    async def _write(self, message: ServerMessage) -> None:
        payload = self._encode(message)
        if len(payload) > LARGE:  # a tool's picture: encoding it was a step, and sending it is one
            await trio.lowlevel.checkpoint()
        self._socket.write(payload)
        await self._flush()

    async def _flush(self) -> None:
        """Wait until what was written has left; others have a turn now and then."""
        if not self._socket.is_behind:
            self._in_a_row = (self._in_a_row + 1) % IN_A_ROW
            if not self._in_a_row:
                await trio.lowlevel.checkpoint()
            return
        self.is_held_up = True
        with trio.move_on_after(self._write_seconds) as patience:
            await self._socket.flush()
        if patience.cancelled_caught:
            raise ReadsTooSlowly
        self.is_held_up = False
