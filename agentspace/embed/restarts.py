"""How soon a gateway that ended is started again, and when it is not."""

from __future__ import annotations

from typing import Final

BAD_CONFIGURATION: Final = 2
DATABASE_UNUSABLE: Final = 3
USELESS: Final = frozenset({BAD_CONFIGURATION, DATABASE_UNUSABLE})
"""Exit codes after which the next process would end in the same way."""

_MOST_DOUBLINGS: Final = 30


class Restarts:
    """Counts the restarts in a row; a process that served for long enough begins a new row."""

    def __init__(
        self, limit: int, *, window_seconds: float, first_seconds: float, cap_seconds: float
    ) -> None:
        self._limit = limit
        self._window_seconds = window_seconds
        self._first_seconds = first_seconds
        self._cap_seconds = cap_seconds
        self._row = 0

    def after(self, exit_code: int, served_seconds: float) -> float | None:
        """Seconds until the next start, doubled each time; `None` when there shall be none."""
        if exit_code in USELESS:
            return None
        self._row = 1 if served_seconds >= self._window_seconds else self._row + 1
        if self._row > self._limit:
            return None
        doublings = min(self._row - 1, _MOST_DOUBLINGS)
        return min(self._first_seconds * 2.0**doublings, self._cap_seconds)
