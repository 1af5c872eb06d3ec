"""What is to be done later, without a task for each."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


class Pauses:
    """Calls by the moment at which they are due; of two at once, the first that came goes first."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def add(self, moment: float, call: Callable[[], None]) -> None:
        """Make this call at `moment`."""
        heapq.heappush(self._due, (moment, next(self._numbers), call))

    def run(self, now: float) -> None:
        """Make the calls that are due."""
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
