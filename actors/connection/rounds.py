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
        """Make the rounds until cancelled."""
        while True:
            while self._due:
                member, due = next(iter(self._due.items()))
                await trio.sleep_until(due)
                if self._due.get(member) == due:  # it has not left meanwhile
                    del self._due[member]
                    self.join(member)
                    member()
            self._joined = trio.Event()
            await self._joined.wait()
