"""Writes to one client: what waits in the outbox, then what a turn's log holds behind its cursor.

While nothing waits to be written, a delta needs no task of its own: the turn that appends it
writes it, in `hear`, without an await. As soon as the socket does not take a frame whole, or
anything else is to be said, the writer's own task takes over until it has caught up. Then a slow
client gets fewer and larger frames, and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from actors.connection.outbox import Outbox
from actors.connection.watch import Watch
from actors.ports import Socket
from protocol.bounds import LARGE
from protocol.codec import Codec
from protocol.server import ChatStreamNotice, ServerMessage
from protocol.turn import LONGEST_JOINED, Reasoning, Text, delta_frame, frames


class ReadsTooSlowly(Exception):
    """A frame did not leave in time, so no close frame would either: the client is to be cut."""


class Writer:
    """The only one that sends messages to a client.

    A frame has `write_seconds` to leave. `stream_ended` is called before a turn's terminal frame
    is written. Without `says_notices` the client has no word for `chat.stream.notice`.
    """

    def __init__(
        self,
        socket: Socket,
        codec: Codec,
        outbox: Outbox,
        *,
        write_seconds: float,
        says_notices: bool,
        stream_ended: Callable[[Watch], None],
    ) -> None:
        self._socket = socket
        self._encode = codec.encode
        self._outbox = outbox
        self._write_seconds = write_seconds
        self._says_notices = says_notices
        self._stream_ended = stream_ended
        self.watch: Watch | None = None
        self.is_held_up = False
        """Whether a frame waits for the client to read."""

    async def run(self, is_over: Callable[[], bool]) -> None:
        """Write until nothing is left and `is_over`. Raises SocketClosed, ReadsTooSlowly."""
        while True:
            await self._outbox.wait()
            if self._socket.is_behind:  # what `hear` began
                await self._flush()
            while self._outbox:
                await self._write(self._outbox.take())
            await self._write_stream()
            if is_over() and not self._outbox:
                return

    def hear(self) -> None:
        """The watched turn has said something. Its own task calls this: nothing may go wrong."""
        if not (self._outbox.is_waited_for and self._write_delta()):
            self._outbox.ring()

    def _write_delta(self) -> bool:
        """Write the one delta that is new; whether no more is to be done."""
        watch = self.watch
        assert watch is not None  # its cursor is closed with it
        event = watch.cursor.only
        # Exact types: this is done for each delta of each stream.
        if type(event) is not Text and type(event) is not Reasoning:
            return False
        if len(event.text) > LONGEST_JOINED or self._socket.is_behind:
            return False
        try:
            frame = delta_frame(event, event.text, watch.cursor.position, watch.request_id)
            self._socket.write(self._encode(frame))
        except Exception:  # noqa: BLE001 - nothing was written: the writer's task meets it again
            return False
        watch.cursor.step()
        return not self._socket.is_behind

    async def _write_stream(self) -> None:
        watch = self.watch
        if watch is None:
            return
        events, first = watch.cursor.take()
        if watch.cursor.exhausted:
            # The guard frees here, before the terminal frame is on its way: a client that has
            # seen it may send again at once.
            watch.cursor.close()
            self.watch = None
            self._stream_ended(watch)
        for message in frames(events, first, watch.request_id):
            if self._says_notices or not isinstance(message, ChatStreamNotice):
                await self._write(message)

    async def _write(self, message: ServerMessage) -> None:
        payload = self._encode(message)
        if len(payload) > LARGE:  # a tool's picture: encoding it was a step, and sending it is one
            await trio.lowlevel.checkpoint()
        self._socket.write(payload)
        await self._flush()

    async def _flush(self) -> None:
        if not self._socket.is_behind:
            await trio.lowlevel.checkpoint()
            return
        self.is_held_up = True
        with trio.move_on_after(self._write_seconds) as patience:
            await self._socket.flush()
        if patience.cancelled_caught:
            raise ReadsTooSlowly
        self.is_held_up = False
