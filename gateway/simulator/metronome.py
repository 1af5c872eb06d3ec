"""One task that keeps time for every paced stream.

Problem: a task of its own that sleeps before each delta costs a cancel scope, a deadline and two
turns of the scheduler, several times what the delta itself costs; two hundred streams of fifty
deltas a second would fill a processor. Trick: the streams' tasks wait, and one task calls each
stream's `beat`, a plain function, when it is due. Limits: a beat must not take long and cannot
wait; when it would have to, it returns None and its stream's task goes on by itself.
"""

import heapq
import math
from collections.abc import Callable
from itertools import count
from typing import TypeAlias

import trio

Beat: TypeAlias = Callable[[float], float | None]
"""Does what is due at a time (of trio's clock, seconds); the next time, or None for no more."""


class _Part:
    """A beat, and whether it is over."""

    def __init__(self, beat: Beat) -> None:
        self.beat = beat
        self.over = trio.Event()
        self.error: Exception | None = None

    def play(self, now: float) -> float | None:
        """The next time; None once it is over, for whatever reason."""
        if self.over.is_set():
            return None
        try:
            due = self.beat(now)
        except Exception as error:  # noqa: BLE001 - it is raised where the beat came from
            self.error = error
            due = None
        if due is None:
            self.over.set()
        return due


class Metronome:
    """Calls beats when they are due."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, _Part]] = []
        self._order = count()
        self._nap: trio.CancelScope | None = None

    async def conduct(self, beat: Beat, due: float) -> None:
        """Have `beat` called from `due` on, until it returns None; raises what it raises."""
        part = _Part(beat)
        heapq.heappush(self._due, (due, next(self._order), part))
        if self._nap is not None:
            self._nap.deadline = min(self._nap.deadline, due)
        try:
            await part.over.wait()
        finally:
            part.over.set()  # a beat whose task was cancelled is not called again
        if part.error is not None:
            raise part.error

    async def run(self) -> None:
        """Keep time until cancelled."""
        while True:
            with trio.CancelScope(deadline=self._next()) as self._nap:
                await trio.sleep_forever()
            self._play(trio.current_time())

    def _next(self) -> float:
        return self._due[0][0] if self._due else math.inf

    def _play(self, now: float) -> None:
        while self._next() <= now:
            _, order, part = self._due[0]
            due = part.play(now)
            if due is None:
                heapq.heappop(self._due)
            else:
                heapq.heapreplace(self._due, (due, order, part))
