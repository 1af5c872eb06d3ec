"""Percentiles of a load, told from buckets."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.load.histogram import Histogram

DURATIONS = st.lists(st.floats(0, 60_000), min_size=1, max_size=200)


def histogram_of(durations: list[float]) -> Histogram:
    histogram = Histogram()
    for seconds in durations:
        histogram.record(seconds)
    return histogram


@given(DURATIONS, st.floats(0, 1))
def test_a_quantile_is_right_to_a_thousandth(durations: list[float], share: float) -> None:
    """Against the same rank in the sorted durations; a microsecond is the least difference."""
    exact = sorted(durations)[max(math.ceil(share * len(durations)), 1) - 1]
    told = histogram_of(durations).quantile(share)
    assert told is not None
    assert abs(told - exact) <= max(exact / 1_000, 1e-6)


@given(DURATIONS)
def test_no_quantile_is_beyond_the_longest_duration(durations: list[float]) -> None:
    """A bucket's end may be."""
    histogram = histogram_of(durations)
    assert histogram.quantile(1.0) is not None
    assert (histogram.quantile(1.0) or 0) <= histogram.most == max(durations)


def test_an_empty_histogram_has_no_figures() -> None:
    """They are not 0."""
    empty = Histogram()
    assert (empty.mean(), empty.quantile(0.5)) == (None, None)
    assert empty.percentiles().count == 0
    assert empty.percentiles().max is None


@pytest.mark.parametrize(("seconds", "told"), [(-1.0, 0.0), (1e9, (2**36 - 1) / 1e6)])
def test_what_is_out_of_range_counts_as_the_end_of_it(seconds: float, told: float) -> None:
    """A clock that went back, and a duration of days."""
    assert histogram_of([seconds, seconds]).quantile(0.5) == pytest.approx(told)


def test_figures_are_in_milliseconds() -> None:
    """The mean and the extremes are exact."""
    figures = histogram_of([0.001, 0.002, 0.006]).percentiles()
    assert (figures.min, figures.mean, figures.max) == (1.0, 3.0, 6.0)
    assert figures.p50 == pytest.approx(2.0, rel=0.001)
