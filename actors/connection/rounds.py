"""Looks after all connections in turn, from one task: a task for each would weigh more than it."""

from __future__ import annotations

from collections.abc import Callable

import trio


class Rounds:
    """Calls each member `seconds` after it joined, and every `seconds` from then on."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # All wait equally long, so whoever was called last is the last again.
        self._due: dict[Callable[[], None], float] = {}
        self._joined = trio.Event()

    def join(self, member: Callable[[], None]) -> None:
        """Call `member` from now on; it must neither wait nor raise."""
        self._due[member] = trio.current_time() + self._seconds
        self._joined.set()

    def leave(self, member: Callable[[], None]) -> None:
        """Call `member` no more."""
        del self._due[member]

    async def run(self) -> None:
        """Make the rounds until cancelled. Who leaves meanwhile is not kept alive by them."""
        while True:
            while self._due:
                await trio.sleep_until(next(iter(self._due.values())))
                self._call_first()
            self._joined = trio.Event()
            await self._joined.wait()

    def _call_first(self) -> None:
        """Call who comes first, if it is time: whoever was waited for may have left."""
        for member, due in self._due.items():
            if due <= trio.current_time():
                del self._due[member]
                self.join(member)
                member()
            return
