"""A bell: one task waits for it, and anybody may ring it.

trio's events and channels serve any number of tasks, and cost several times as much to wake one.
"""

from __future__ import annotations

from collections.abc import Callable

import trio


class Bell:
    """Rung any number of times, it is heard once. One task at a time may wait for it."""

    __slots__ = ("_rung", "_sleeper")

    def __init__(self) -> None:
        self._rung = False
        self._sleeper: trio.lowlevel.Task | None = None

    @property
    def is_rung(self) -> bool:
        """Whether it has been rung, and not been heard yet."""
        return self._rung

    def ring(self) -> None:
        """Wake the task that waits, now or as soon as it waits."""
        if self._rung:
            return
        self._rung = True
        if self._sleeper is not None:
            trio.lowlevel.reschedule(self._sleeper)
            self._sleeper = None

    async def wait(self) -> None:
        """Until it has been rung since the last time: no checkpoint, if it has been already."""
        if not self._rung:
            assert self._sleeper is None, "one task waits for a bell"
            self._sleeper = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._give_up)
        self._rung = False

    def _give_up(self, _: Callable[[], None]) -> trio.lowlevel.Abort:
        self._sleeper = None
        return trio.lowlevel.Abort.SUCCEEDED
