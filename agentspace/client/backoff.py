"""When a lost connection is made again, and when that is useless.

A gateway that takes a connection and closes it at once must not be called for ever: a close that
means "not again" is believed, and pauses only begin anew after a connection that has lasted
(BasedHardware/omi#7313, pipecat-ai/pipecat#3824: both reconnected without end).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

FIRST_SECONDS: Final = 0.2
LONGEST_SECONDS: Final = 5.0
LASTING_SECONDS: Final = 5.0
"""A connection that lasted for this long was a good one."""

POLICY: Final = 1008
TOO_LARGE: Final = 1009

_USELESS: Final = frozenset({1002, 1003, 1007, 1010})
"""Close codes that say that the two sides speak differently (RFC 6455, section 7.4.1)."""


def is_final(code: int | None, lasted_seconds: float) -> bool:
    """Whether the next connection would end in the same way.

    A policy that is against this client (1008) shows at once. After a while the code means that
    this client paused, as a laptop does that sleeps: it did not read or answer a ping.
    """
    return code in _USELESS or (code == POLICY and lasted_seconds < LASTING_SECONDS)


class Backoff:
    """Seconds between attempts: doubled, capped, and spread, so that clients come one by one."""

    def __init__(self, spread: Callable[[float, float], float] = random.uniform) -> None:
        self._spread = spread
        self._next = FIRST_SECONDS

    def lasted(self, seconds: float) -> None:
        """Take in how long the connection was there."""
        if seconds >= LASTING_SECONDS:
            self._next = FIRST_SECONDS

    def pause(self) -> float:
        """The pause before the next attempt."""
        pause, self._next = self._next, min(2 * self._next, LONGEST_SECONDS)
        return self._spread(pause / 2, pause)
