"""What is billed for a count, learned from what was billed."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.context.estimate.calibration import (
    LEAST_RATIO,
    MOST_OVERHEAD,
    MOST_RATIO,
    PRIOR,
    Bills,
    Calibrations,
    Line,
)
from protocol.context import Calibration
from protocol.provider.limits import TOOLS_PROMPT
from protocol.records import CalibrationRecord

counts = st.integers(1, 200_000)


def fit(samples: Iterable[tuple[int, int]]) -> Line:
    """The line through (counted, billed) pairs, oldest first."""
    bills = Bills()
    for counted, billed in samples:
        bills = bills.plus(counted, billed)
    return bills.line(PRIOR)


def sample(counted: int, billed: int, *, has_tools: bool = False) -> CalibrationRecord:
    """A billed request of the model `m`."""
    return CalibrationRecord(model="m", has_tools=has_tools, counted=counted, billed=billed)


@given(
    st.lists(st.integers(100, 100_000), min_size=20, max_size=40),
    st.floats(0.5, 2),
    st.integers(0, 2_000),
    st.integers(100, 100_000),
)
def test_another_tokenizer_and_a_fixed_overhead_are_learned(
    sizes: list[int], ratio: float, overhead: int, following: int
) -> None:
    """Within 5 % for a request of any size that was seen."""
    size = min(max(following, min(sizes)), max(sizes))
    line = fit([(count, round(ratio * count + overhead)) for count in sizes])
    assert line.at(size) == pytest.approx(ratio * size + overhead, rel=0.05)


def test_the_overhead_is_told_from_the_ratio() -> None:
    """Small requests show the one, long ones the other."""
    line = fit([(count, round(1.37 * count + 346)) for count in (20, 500, 3_000, 9_000) * 4])
    assert line.ratio == pytest.approx(1.37, rel=0.01)
    assert line.overhead == pytest.approx(346, rel=0.02)


def test_recent_requests_weigh_more() -> None:
    """A provider that changes its tokenizer is followed."""
    line = fit([(1_000, 1_000)] * 30 + [(1_000, 1_500)] * 12)
    assert line.at(1_000) == pytest.approx(1_500, rel=0.1)


@given(st.lists(st.tuples(counts, st.integers(1, 2_000_000)), max_size=30))
def test_the_line_is_sane_whatever_was_billed(samples: list[tuple[int, int]]) -> None:
    """Its ratio and its overhead keep within their bounds."""
    line = fit(samples)
    assert LEAST_RATIO <= line.ratio <= MOST_RATIO
    assert 0 <= line.overhead <= MOST_OVERHEAD


@given(counts, st.floats(0.5, 2))
def test_one_request_is_believed(counted: int, ratio: float) -> None:
    """A like one is estimated at nearly the same."""
    billed = max(1, round(counted * ratio))
    at = fit([(counted, billed)]).at(counted)
    assert abs(at - billed) <= 0.1 * abs(billed - counted) + 1


def test_nothing_is_assumed_of_a_model_that_was_never_billed() -> None:
    """What is counted is billed, and for tools what the provider says that they take."""
    calibrations = Calibrations()
    assert calibrations.line("m", has_tools=False) == PRIOR
    assert calibrations.line("m", has_tools=True) == Line(PRIOR.ratio, TOOLS_PROMPT)
    assert calibrations.calibration("m", has_tools=True) == Calibration(ratio=1, samples=0)


def test_requests_with_and_without_tools_are_learned_apart() -> None:
    """The provider adds a prompt of its own for tools; until it is seen, the ratio is shared."""
    calibrations = Calibrations()
    sizes = (100, 1_000, 10_000) * 5
    calibrations.recall(sample(size, round(size * 1.4)) for size in sizes)
    plain = calibrations.line("m", has_tools=False)
    assert plain.ratio == pytest.approx(1.4, rel=0.01)
    guess = calibrations.line("m", has_tools=True)
    assert guess == Line(plain.ratio, TOOLS_PROMPT)
    assert calibrations.calibration("m", has_tools=True).samples == len(sizes)
    calibrations.recall(sample(n, round(n * 1.4 + 500), has_tools=True) for n in sizes)
    assert calibrations.line("m", has_tools=True).overhead == pytest.approx(500, rel=0.05)
    assert calibrations.line("m", has_tools=False) == plain


def test_a_model_that_was_never_billed_is_taken_to_be_like_the_latest_one() -> None:
    """Its window would overflow, were each token of another model's history counted as one."""
    calibrations = Calibrations()
    calibrations.recall(sample(size, round(size * 1.4)) for size in (100, 1_000, 10_000) * 5)
    known = calibrations.line("m", has_tools=False)
    assert calibrations.line("another", has_tools=False) == Line(known.ratio, 0)
    assert calibrations.line("another", has_tools=True) == Line(known.ratio, TOOLS_PROMPT)
    told = calibrations.calibration("another", has_tools=True)
    assert told == Calibration(ratio=round(known.ratio, 4), samples=0)


def test_a_turn_with_tools_is_no_model_for_one_without() -> None:
    """What its tools were billed is in its ratio; only where nothing else is known, it is taken."""
    calibrations = Calibrations()
    calibrations.recall([sample(1_000, 2_500, has_tools=True)])
    tools = calibrations.line("m", has_tools=True)
    assert calibrations.line("another", has_tools=False).ratio == tools.ratio > 1.4
    calibrations.recall(sample(size, round(size * 1.2)) for size in (100, 1_000, 10_000) * 5)
    plain = calibrations.line("m", has_tools=False)
    calibrations.recall([sample(1_000, 2_500, has_tools=True)])
    assert calibrations.line("another", has_tools=False).ratio == plain.ratio
    tools = calibrations.line("m", has_tools=True)
    assert calibrations.line("another", has_tools=True).ratio == tools.ratio


ODD = [(20, 90_000), (90_000, 200)]
"""Bills that no tokenizer makes of such counts."""


@pytest.mark.parametrize(("counted", "billed"), ODD)
def test_one_odd_bill_teaches_nothing(counted: int, billed: int) -> None:
    """Whatever was known before, and as often as it comes between others."""
    for known in ([], [sample(size, round(1.2 * size)) for size in (100, 1_000, 9_000)]):
        calibrations = Calibrations()
        calibrations.recall(known)
        before = calibrations.line("m", has_tools=False)
        calibrations.learn(sample(counted, billed))
        assert calibrations.line("m", has_tools=False) == before
        assert calibrations.line("another", has_tools=False).ratio == before.ratio
        assert calibrations.calibration("m", has_tools=False).samples == len(known)
        for _ in range(2):
            calibrations.learn(sample(1_000, 1_200))
            calibrations.learn(sample(counted, billed))
        assert calibrations.line("m", has_tools=False).at(1_000) == pytest.approx(1_200, rel=0.02)


def test_two_odd_bills_that_agree_are_believed() -> None:
    """A tokenizer that changes is followed, with the second bill; two that differ teach nothing."""
    calibrations = Calibrations()
    calibrations.learn(sample(1_000, 3_500))
    calibrations.learn(sample(20, 90_000))
    assert calibrations.calibration("m", has_tools=False).samples == 0
    calibrations.learn(sample(1_000, 3_500))
    calibrations.learn(sample(5_000, 17_500))
    assert calibrations.calibration("m", has_tools=False).samples == 2
    assert calibrations.line("m", has_tools=False).at(2_000) == pytest.approx(7_000, rel=0.05)


def test_odd_bills_with_tools_say_nothing_of_those_without() -> None:
    """Each kind has its own next one."""
    calibrations = Calibrations()
    calibrations.learn(sample(1_000, 9_000, has_tools=True))
    calibrations.learn(sample(1_000, 9_000))
    assert calibrations.calibration("m", has_tools=False).samples == 0


def test_the_error_is_how_far_the_estimates_missed() -> None:
    """Each was made before its bill was known; without one, it is what the line would have said."""
    calibrations = Calibrations()
    calibrations.learn(sample(1_000, 1_000), estimate=900)
    calibrations.learn(sample(1_000, 1_000), estimate=1_300)
    assert calibrations.calibration("m", has_tools=False).error == pytest.approx(0.2)
    others = Calibrations()
    others.learn(sample(1_000, 1_250))
    assert others.calibration("m", has_tools=False).error == pytest.approx(0.2)


def test_a_bill_with_much_that_cannot_be_counted_teaches_nothing() -> None:
    """A little more is noise; and what is billed less has nothing hidden."""
    for billed, learned in ((1_250, 1), (900, 1), (1_300, 0)):
        calibrations = Calibrations()
        calibrations.learn(
            CalibrationRecord(
                model="m", has_tools=False, counted=1_000, billed=billed, is_opaque=True
            )
        )
        assert calibrations.calibration("m", has_tools=False).samples == learned
