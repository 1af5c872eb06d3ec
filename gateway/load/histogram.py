"""Durations counted in buckets, from which any percentile can be told.

Theory: a duration in microseconds keeps its 11 leading bits, and durations that agree in these
share a bucket. So a bucket is at most 1/1024 of its durations wide, be they milliseconds or
minutes. Example: 5,000,123 us has 23 bits; the last 12 are dropped, and it lands in the bucket
from 4,997,120 to 5,001,215. That is the idea of HdrHistogram, in the few lines that are needed of
it: its package for Python has no wheels for Linux on ARM, and needs setuptools when it runs.

What it ignores: the parts of a microsecond, and what is beyond 19 hours.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

_BITS: Final = 11
_HALF: Final = 1 << (_BITS - 1)
_LONGEST: Final = (1 << 36) - 1
"""Microseconds; a longer duration counts as this one."""

_BUCKETS: Final = _HALF * (36 - _BITS) + 2 * _HALF


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """A histogram as it is reported; durations in milliseconds, `None` without any."""

    count: int
    min: float | None
    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p999: float | None
    max: float | None


class Histogram:
    """Counts durations; its size does not depend on how many."""

    def __init__(self) -> None:
        self.count = 0
        self.least = math.inf
        self.most = 0.0
        self._sum = 0.0
        self._counts = [0] * _BUCKETS

    def record(self, seconds: float) -> None:
        """Count a duration; one below zero counts as zero."""
        micros = int(seconds * 1e6)
        if not 0 <= micros <= _LONGEST:
            micros = 0 if micros < 0 else _LONGEST
        bits = micros.bit_length()
        shift = bits - _BITS if bits > _BITS else 0
        self._counts[shift * _HALF + (micros >> shift)] += 1
        self.count += 1
        self._sum += seconds
        # `min` and `max` would cost as much as all the rest.
        if seconds < self.least:  # noqa: PLR1730
            self.least = seconds
        if seconds > self.most:  # noqa: PLR1730
            self.most = seconds

    def mean(self) -> float | None:
        """The mean in seconds."""
        return self._sum / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """The duration in seconds that this share (0 to 1) of all does not exceed."""
        if not self.count:
            return None
        rank = max(math.ceil(share * self.count), 1)
        for bucket, count in enumerate(self._counts):
            rank -= count
            if rank <= 0:
                return min(_longest_of(bucket), self.most)
        return self.most

    def percentiles(self) -> Percentiles:
        """What is reported of it."""
        return Percentiles(
            count=self.count,
            min=_millis(self.least) if self.count else None,
            mean=_millis(self.mean()),
            p50=_millis(self.quantile(0.5)),
            p90=_millis(self.quantile(0.9)),
            p95=_millis(self.quantile(0.95)),
            p99=_millis(self.quantile(0.99)),
            p999=_millis(self.quantile(0.999)),
            max=_millis(self.most) if self.count else None,
        )


def _longest_of(bucket: int) -> float:
    """The longest duration of a bucket, in seconds."""
    shift = max(bucket // _HALF - 1, 0)
    return (((bucket - shift * _HALF + 1) << shift) - 1) / 1e6


def _millis(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 3)
