"""What the provider makes of the tokenizer's count, learned from what it billed.

For each model, with and without tools, a line is fitted: billed = ratio * counted + overhead.
Each sample counts by its relative miss, and less the older it is. The line is drawn to a prior one
(what is counted is billed, and so is the provider's own prompt for tools), weakly: that decides
what one sample, or many of one size, leave open.

One odd bill must not spoil all estimates. A bill that is more than twice what was expected, or less
than half of it, teaches only once the next one of its kind is off by about as much: then both do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from protocol.context import Calibration
from protocol.provider.limits import TOOLS_PROMPT
from protocol.records import CalibrationRecord

DECAY = 0.9
"""The weight of a sample, compared with that of the next one."""

LATEST = 20
"""Estimates over which the miss is averaged."""

NOISE = 0.05
"""By how much of its size a request is off the line: texts of different kinds differ."""

SMALL = 50.0
"""Tokens that are noise in any request."""

RATIO_SPREAD = 0.5
OVERHEAD_SPREAD = 300.0
"""How far from `PRIOR` the two may well be."""

MOST_HIDDEN = 1.25
"""By how much a prompt's hidden text may raise its bill, for the bill to be learned from."""

MOST_SURPRISE = 2.0
"""By what factor a bill may be off at once; next to `OVERHEAD_SPREAD`, which is no surprise."""

LEAST_RATIO, MOST_RATIO = 0.25, 4.0
MOST_OVERHEAD = 3_000.0


class Line(msgspec.Struct, frozen=True):
    """Tokens billed for a count: `ratio` for each, and `overhead` for every request."""

    ratio: float
    overhead: float

    def at(self, counted: float) -> float:
        """What `counted` tokens are billed as."""
        return self.ratio * counted + self.overhead


PRIOR = Line(1.0, 0.0)


class Bills(NamedTuple):
    """What was counted (x) and billed (y), summed; each sample weighs less than the next one."""

    weights: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def plus(self, counted: int, billed: int) -> Bills:
        """The sums with one sample more."""
        weight = (NOISE * (counted + SMALL)) ** -2
        return Bills(
            weights=DECAY * self.weights + weight,
            x=DECAY * self.x + weight * counted,
            y=DECAY * self.y + weight * billed,
            xx=DECAY * self.xx + weight * counted * counted,
            xy=DECAY * self.xy + weight * counted * billed,
        )

    def line(self, prior: Line) -> Line:
        """The line through the samples, drawn to the `prior` one."""
        weights = self.weights + OVERHEAD_SPREAD**-2
        y = self.y + prior.overhead * OVERHEAD_SPREAD**-2
        xx = self.xx + RATIO_SPREAD**-2
        xy = self.xy + prior.ratio * RATIO_SPREAD**-2
        overhead = (xx * y - self.x * xy) / (weights * xx - self.x * self.x)
        overhead = _within(0.0, overhead, MOST_OVERHEAD)
        return Line(_within(LEAST_RATIO, (xy - overhead * self.x) / xx, MOST_RATIO), overhead)


def _within(least: float, value: float, most: float) -> float:
    return max(least, min(value, most))


def _prior(*, has_tools: bool) -> Line:
    return Line(PRIOR.ratio, TOOLS_PROMPT) if has_tools else PRIOR


class _Sample(NamedTuple):
    """A bill, and by what factor it is off what was expected."""

    counted: int
    billed: int
    estimate: float
    surprise: float

    def is_like(self, surprise: float) -> bool:
        """Whether it is off by about as much."""
        return 1 / MOST_SURPRISE <= self.surprise / surprise <= MOST_SURPRISE


class _Learned:
    """What is known of one kind of requests."""

    def __init__(self, prior: Line) -> None:
        self._prior = prior
        self._bills = Bills()
        self.misses: deque[float] = deque(maxlen=LATEST)
        self.count = 0
        self.line = prior

    def add(self, sample: _Sample) -> None:
        self.misses.append(abs(sample.estimate - sample.billed) / sample.billed)
        self._bills = self._bills.plus(sample.counted, sample.billed)
        self.count += 1
        self.line = self._bills.line(self._prior)


class Calibrations:
    """The lines of all models."""

    def __init__(self) -> None:
        self._learned: dict[tuple[str, bool], _Learned] = {}
        self._latest: dict[bool, _Learned] = {}
        self._odd: dict[tuple[str, bool], _Sample] = {}

    def recall(self, records: Iterable[CalibrationRecord]) -> None:
        """Take up what was billed before, oldest first."""
        for record in records:
            self.learn(record)

    def learn(self, record: CalibrationRecord, estimate: float | None = None) -> None:
        """One more request, with what it was estimated at before its bill was known.

        A prompt with text that only the provider can read teaches nothing when it was billed much
        more than can be counted of it: that is most likely such text.
        """
        expected = self.line(record.model, has_tools=record.has_tools).at(record.counted)
        if record.is_opaque and record.billed > MOST_HIDDEN * expected:
            return
        surprise = (record.billed + OVERHEAD_SPREAD) / (expected + OVERHEAD_SPREAD)
        estimate = expected if estimate is None else estimate
        sample = _Sample(record.counted, record.billed, estimate, surprise)
        former = self._odd.pop((record.model, record.has_tools), None)
        if sample.is_like(1.0):
            self._add(record, sample)
        elif former is not None and sample.is_like(former.surprise):
            self._add(record, former)
            self._add(record, sample)
        else:
            self._odd[record.model, record.has_tools] = sample

    def _add(self, record: CalibrationRecord, sample: _Sample) -> None:
        key = record.model, record.has_tools
        if key not in self._learned:
            self._learned[key] = _Learned(_prior(has_tools=record.has_tools))
        self._learned[key].add(sample)
        self._latest[record.has_tools] = self._learned[key]

    def line(self, model: str, *, has_tools: bool) -> Line:
        """The line for `model`, with or without tools.

        If it was billed only the other way, its ratio is kept. If it was never billed, the ratio of
        the model that was billed last is taken, if possible in the same way: the provider's
        tokenizers are closer to each other than to the one that counts here, and what tools add
        is taken for a part of the ratio until it is known.
        """
        known = self._learned.get((model, has_tools))
        if known is not None:
            return known.line
        other = (
            self._learned.get((model, not has_tools))
            or self._latest.get(has_tools)
            or self._latest.get(not has_tools)
        )
        prior = _prior(has_tools=has_tools)
        return prior if other is None else Line(other.line.ratio, prior.overhead)

    def calibration(self, model: str, *, has_tools: bool) -> Calibration:
        """What is known of `model`, for people."""
        known = self._learned.get((model, has_tools)) or self._learned.get((model, not has_tools))
        if known is None:
            ratio = self.line(model, has_tools=has_tools).ratio
            return Calibration(ratio=round(ratio, 4), samples=0)
        return Calibration(
            ratio=round(known.line.ratio, 4),
            samples=known.count,
            error=round(sum(known.misses) / len(known.misses), 4) if known.misses else UNSET,
        )
