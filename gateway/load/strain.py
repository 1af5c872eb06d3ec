"""Whether the load itself was the bottleneck: what it then measured is its own slowness.

Its clock is looked at every 20 ms, and whenever a turn is due. When that comes late, so do the
turns that it sends, and so does the moment at which it takes a frame to have come.
"""

from __future__ import annotations

import time
from typing import Final

import msgspec
import trio

from gateway.load.histogram import Histogram

MOST_CPU: Final = 0.9
"""Share of a core."""

MOST_LAG_SECONDS: Final = 0.010
"""At the 99th percentile."""

TICK_SECONDS: Final = 0.020


class Strain(msgspec.Struct, frozen=True, kw_only=True):
    """How busy the load itself was: `cpu` is a share of one core.

    `reasons` say why its figures are not valid; there are none when they are.
    """

    cpu: float
    reasons: list[str]


class OwnClock:
    """Reads the process's clocks, from `begin` on."""

    def __init__(self, lag: Histogram) -> None:
        self.lag = lag
        self.begin()

    def begin(self) -> None:
        """Count from now on."""
        self._began = self._ended = time.perf_counter()
        self._used = self._used_in_all = time.process_time()

    def end(self) -> None:
        """Count no further."""
        self._ended = time.perf_counter()
        self._used_in_all = time.process_time()

    async def tick(self) -> float:
        """Wait for the next tick, and note how late it came; the moment in seconds."""
        due = time.perf_counter() + TICK_SECONDS
        await trio.sleep(TICK_SECONDS)
        return self.note_late(due)

    def note_late(self, due: float) -> float:
        """Note how late this is; the moment in seconds."""
        now = time.perf_counter()
        self.lag.record(now - due)
        return now

    @property
    def seconds(self) -> float:
        """How long it has counted."""
        return self._ended - self._began

    @property
    def cpu(self) -> float:
        """The share of one core."""
        return (self._used_in_all - self._used) / self.seconds if self.seconds else 0.0

    def strain(self) -> Strain:
        """What is reported of it."""
        return Strain(cpu=round(self.cpu, 4), reasons=reasons(self.cpu, self.lag.quantile(0.99)))


def reasons(cpu: float, lag: float | None) -> list[str]:
    """Why figures are not valid that a load has measured which was so busy, and so late."""
    found = []
    if cpu > MOST_CPU:
        found.append(f"the load used {cpu:.0%} of a core itself")
    if lag is not None and lag > MOST_LAG_SECONDS:
        found.append(f"the load's own clock was {lag * 1e3:.0f} ms late (99th percentile)")
    return found
