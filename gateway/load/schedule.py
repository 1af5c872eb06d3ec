"""When turns arrive: by a clock of their own, however long the gateway takes (an open loop).

A load that waits for an answer before it asks again slows down with the gateway, and so leaves out
the very moments that hurt ("coordinated omission"). Here a turn that could not be sent in time is
measured from the moment at which it was to be sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Literal

import msgspec

Arrivals = Literal["even", "poisson"]
"""Every so often, or as people come who do not know of each other."""


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """So many turns a second, for `seconds` or until `count`, whichever ends first.

    One of the two is given.
    """

    rate: float
    seconds: float | None = None
    count: int | None = None
    arrivals: Arrivals = "even"
    seed: int | None = None

    def moments(self) -> Iterator[float]:
        """The seconds after the start at which a turn arrives, in order."""
        random = Random(self.seed)
        at = 0.0
        for number in count():
            at = (
                number / self.rate
                if self.arrivals == "even"
                else at + random.expovariate(self.rate)
            )
            if self.count is not None and number >= self.count:
                return
            if self.seconds is not None and at >= self.seconds:
                return
            yield at
