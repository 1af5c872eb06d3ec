"""What waits for a connection's writer, and the bell that wakes it."""

from __future__ import annotations

from collections import deque

import trio

from protocol.server import ServerMessage


class Outbox:
    """At most `size` messages for one reader, who can also be woken for other work."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._messages: deque[ServerMessage] = deque()
        self._space = trio.lowlevel.ParkingLot()
        self._emptied = trio.lowlevel.ParkingLot()
        self._rung = False
        self._bell = trio.lowlevel.ParkingLot()
        self.is_waited_for = False
        """Whether the reader has nothing to do: it waits, and has not been rung for."""

    def __len__(self) -> int:
        return len(self._messages)

    async def put(self, message: ServerMessage) -> None:
        """Add `message`; waits while there is no space."""
        while len(self._messages) >= self._size:
            await self._space.park()
        self._messages.append(message)
        self.ring()

    def take(self) -> ServerMessage:
        """The oldest message."""
        message = self._messages.popleft()
        self._space.unpark()
        if not self._messages:
            self._emptied.unpark_all()
        return message

    async def empty(self) -> None:
        """Until all messages have been taken."""
        while self._messages:
            await self._emptied.park()

    def ring(self) -> None:
        """There is something to do for the reader: rung any number of times, heard once."""
        if not self._rung:
            self._rung = True
            self.is_waited_for = False
            self._bell.unpark()

    async def wait(self) -> None:
        """Until the bell has been rung since the last time."""
        if not self._rung:
            self.is_waited_for = True
            try:
                await self._bell.park()
            finally:
                self.is_waited_for = False
        self._rung = False
