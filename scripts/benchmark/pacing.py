"""Streams that the load itself provides, paced and stamped: both ends of each in one thread.

Each delta begins with the time at which it was sent, so that whoever gets it knows how long it took
on its way. The streams take turns, evenly spread. The thread never sleeps: the wait of a selector
is counted in milliseconds, and a late delta would be taken for a slow target.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

import msgspec

from scripts.benchmark.client import PATIENCE, BrokenTarget, Client, Crowd
from scripts.benchmark.provider import Provider, Upstream, delta, start

STAMP: Final = re.compile(rb"@(\d{16})")
SHORTEST: Final = 18
"""Characters of a stamp, and a blank behind it."""


def stamped(chars: int) -> bytes:
    """A delta of so many characters that says when it was made."""
    stamp = f"@{time.perf_counter_ns():016d} "
    return delta(stamp + "x" * max(0, chars - len(stamp)))


class Stream(msgspec.Struct, eq=False):
    """A client, and the target's own connection for it."""

    client: Client
    upstream: Upstream


class Pacing:
    """Paced streams: `rate` deltas a second for each, of `chars` characters.

    `connect` makes a client of what is measured, which asks this provider.
    """

    def __init__(
        self, provider: Provider, connect: Callable[[], Client], rate: float, chars: int
    ) -> None:
        self.streams: list[Stream] = []
        self.delays: list[float] = []
        self.crowd = Crowd()
        self._provider = provider
        self._connect = connect
        self._rate = rate
        self._chars = chars
        self._next = 0

    def open(self, count: int) -> None:
        """Begin so many streams, one after the other; each gets its first delta at once."""
        for _ in range(count):
            self.streams.append(self.begin(self._connect()))

    def begin(self, client: Client) -> Stream:
        """Ask, begin the answer, and wait until the client has seen its first delta."""
        client.listener = self._take_delay
        client.ask("go")
        if client not in self.crowd.clients:
            self.crowd.join(client)
        upstream = self._provider.take()
        upstream.send(start() + stamped(self._chars))
        self.crowd.read_until(lambda: client.first_at > 0)
        return Stream(client, upstream)

    def run(self, seconds: float) -> None:
        """Send and read for so long."""
        limit = time.perf_counter() + seconds
        self.run_until(lambda: time.perf_counter() >= limit, seconds + PATIENCE)

    def run_until(self, done: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Send and read until something is so; BrokenTarget when it does not come."""
        began = time.perf_counter()
        interval = 1 / (len(self.streams) * self._rate)
        due = began
        while not done():
            now = time.perf_counter()
            if now - began > patience:
                raise BrokenTarget(f"no answer within {patience:.0f} seconds")
            if now >= due:
                self._send()
                due += interval
            self._provider.read()
            self.crowd.read()

    def _send(self) -> None:
        """A delta for the stream whose turn it is, if the target still wants it."""
        self._next = (self._next + 1) % len(self.streams)
        upstream = self.streams[self._next].upstream
        if not upstream.closed_at:
            try:
                upstream.send(stamped(self._chars))
            except OSError:
                upstream.closed_at = time.perf_counter()

    def _take_delay(self, frame: bytes, now: float) -> None:
        self.delays += [now - int(stamp) / 1e9 for stamp in STAMP.findall(frame)]

    def close(self) -> None:
        """Hang up on the target's both sides."""
        self.crowd.close()
        self._provider.close()
