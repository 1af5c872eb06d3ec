"""Reads from all sockets in one task.

Problem: a task for each socket costs a system call and a task switch whenever a few bytes come,
some 20 us, and a load of thousands of streams has little else to do. Trick: a selector that holds
all the sockets is itself a descriptor that can be waited for. So one task wakes once for all that
have become readable, and calls each of their readers. Limit: a system whose selector is no
descriptor (Windows) has no such hub.
"""

from __future__ import annotations

import selectors
import socket
from typing import Final, Protocol

import trio

MOST_AT_ONCE: Final = 256
"""Sockets that are read before another task gets its turn: some 3 ms of work."""


class SocketReader(Protocol):
    """Who is called when its socket can be read or written. Neither call may wait.

    A call may still come soon after the socket was removed.
    """

    def read(self) -> None:
        """Take what has come."""
        ...

    def write(self) -> None:
        """Send what is left."""
        ...


class Hub:
    """Sockets and their readers."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def add(self, watched: socket.socket, reader: SocketReader, *, writes: bool = False) -> None:
        """Call `reader` from now on; with `writes` also once the socket takes more."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writes else 0)
        if watched in self._selector.get_map():
            self._selector.modify(watched, events, reader)
        else:
            self._selector.register(watched, events, reader)

    def remove(self, watched: socket.socket) -> None:
        """Call nobody for this socket."""
        if watched in self._selector.get_map():
            self._selector.unregister(watched)

    async def run(self) -> None:
        """Until cancelled."""
        descriptor = self._selector.fileno()
        while True:
            await trio.lowlevel.wait_readable(descriptor)
            for number, (key, events) in enumerate(self._selector.select(0), 1):
                if number % MOST_AT_ONCE == 0:
                    await trio.lowlevel.checkpoint()
                if events & selectors.EVENT_WRITE:
                    key.data.write()
                if events & selectors.EVENT_READ:
                    key.data.read()

    def close(self) -> None:
        """Let go of all."""
        self._selector.close()
