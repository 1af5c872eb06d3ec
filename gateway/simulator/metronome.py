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


class Metronome:
    """Calls beats when they are due."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Beat, trio.Event]] = []
        self._order = count()
        self._nap: trio.CancelScope | None = None

    async def conduct(self, beat: Beat, due: float) -> None:
        """Have `beat` called from `due` on, until it returns None."""
        over = trio.Event()
        entry = (due, next(self._order), beat, over)
        heapq.heappush(self._due, entry)
        if self._nap is not None:
            self._nap.deadline = min(self._nap.deadline, due)
        try:
            await over.wait()
        finally:
            over.set()  # a beat whose task was cancelled is not called again

    async def run(self) -> None:
        """Keep time until cancelled."""
        while True:
            with trio.CancelScope(deadline=self._next()) as self._nap:
                await trio.sleep_forever()
            self._beat_all(trio.current_time())

    def _next(self) -> float:
        return self._due[0][0] if self._due else math.inf

    def _beat_all(self, now: float) -> None:
        while self._next() <= now:
            _, order, beat, over = self._due[0]
            due = None if over.is_set() else beat(now)
            if due is None:
                heapq.heappop(self._due)
                over.set()
            else:
                heapq.heapreplace(self._due, (due, order, beat, over))
