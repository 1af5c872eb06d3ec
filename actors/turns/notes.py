"""What running turns were billed so far, written down in case the process dies.

A turn's row is written when it begins, with what it was estimated at, and when it ends. In between
the provider tells what the prompt is billed as. To write that at once would be one commit more a
turn; most turns are over within a second, and then their row says it all. So a note waits for a
second: what a process that dies leaves of a younger answer is settled as its estimate.
"""

from __future__ import annotations

from contextlib import suppress

import trio

from actors.bell import Bell
from actors.mailbox import ActorStopped, Address
from actors.turns.turn import Turn
from protocol.mail import NoteTurn


class Notes:
    """Notes that wait: at most one for each running turn, written `seconds` after it was due."""

    def __init__(self, usage: Address, seconds: float) -> None:
        self._usage = usage
        self._seconds = seconds
        self._due: dict[Turn, float] = {}
        self._bell = Bell()

    def add(self, turn: Turn) -> None:
        """The turn was billed more than its row says."""
        self._due.setdefault(turn, trio.current_time() + self._seconds)
        self._bell.ring()

    def drop(self, turn: Turn) -> None:
        """Its row says it all by now."""
        self._due.pop(turn, None)

    async def run(self) -> None:
        """Write notes until it is cancelled, or the usage actor has ended."""
        with suppress(ActorStopped):
            while True:
                await self._bell.wait()
                while self._due:
                    await self._write(*next(iter(self._due.items())))

    async def _write(self, turn: Turn, due: float) -> None:
        await trio.sleep_until(due)
        if turn in self._due:
            del self._due[turn]
            await self._usage.tell(NoteTurn(turn=turn.row))
