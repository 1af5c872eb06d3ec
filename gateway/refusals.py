"""What is logged of refused requests: each kind once, then a sum a minute.

A client that comes back with a wrong token does so many times a second; and what is remembered of
peers must not grow with their number. A kind is a peer and a reason. The first of a kind is told at
once, further ones are counted, and a kind that was quiet for a minute is forgotten. When there are
too many kinds, further peers are one.
"""

from __future__ import annotations

from typing import Final

PERIOD_SECONDS: Final = 60.0
"""How often the sums are to be asked for."""

MOST_KINDS: Final = 64
OTHERS: Final = "other peers"


class Refusals:
    """Counts refusals. Reasons are texts of our own, of which there are few."""

    def __init__(self, most: int = MOST_KINDS) -> None:
        self._most = most
        self._repeated: dict[tuple[str, str], int] = {}

    def note(self, peer: str, reason: str) -> str | None:
        """Count one more; the line to log if it is the first of its kind."""
        kind = (peer, reason)
        if kind not in self._repeated and len(self._repeated) >= self._most:
            kind = (OTHERS, reason)
        if kind in self._repeated:
            self._repeated[kind] += 1
            return None
        self._repeated[kind] = 0
        return f"a request of {kind[0]} was refused: {reason}"

    def sums(self) -> list[str]:
        """The lines to log of what was only counted since the last call."""
        again = {kind: count for kind, count in self._repeated.items() if count}
        self._repeated = dict.fromkeys(again, 0)
        return [
            f"… and {count} more in the last minute: requests of {peer} were refused: {reason}"
            for (peer, reason), count in again.items()
        ]
