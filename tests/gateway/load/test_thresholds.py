"""What a load must not exceed."""

from __future__ import annotations

import pytest

from gateway.load.histogram import Histogram
from gateway.load.strain import OwnClock, reasons
from gateway.load.tally import LoadTally
from gateway.load.thresholds import BadThreshold, read_threshold


def a_tally() -> LoadTally:
    """100 first deltas of 1 to 100 ms; 10 turns, of which 2 have failed."""
    tally = LoadTally()
    for millis in range(1, 101):
        tally.record("first_delta", millis / 1e3)
    tally.kinds["plain"].sent = 6
    tally.kinds["cancel"].sent = 4
    tally.kinds["cancel"].failed = 2
    tally.errors.update({"OVERLOADED": 2, "http_503": 5})
    return tally


@pytest.mark.parametrize(
    ("expression", "value", "failed"),
    [
        ("first_delta.p99>98ms", 99.0, True),
        ("first_delta.p99 > 0.2 s", 99.0, False),
        ("first_delta.p99.9>99ms", 100.0, True),
        ("first_delta.mean>=50500us", 50.5, True),
        ("first_delta.min<1ms", 1.0, False),
        ("first_delta.max<=100ms", 100.0, True),
        ("first_delta.count<101", 100, True),
        ("errors>6", 7, True),
        ("errors.OVERLOADED>2", 2, False),
        ("errors.DRAINING>0", 0, False),
        ("error_rate>19%", 0.2, True),
        ("error_rate>0.21", 0.2, False),
        ("sent<10", 10, False),
        ("failed>1", 2, True),
        ("unfinished>0", 0, False),
    ],
)
def test_a_threshold_judges_its_figure(expression: str, value: float, failed: bool) -> None:
    """Durations are told in milliseconds."""
    judged = read_threshold(expression).judge(a_tally(), OwnClock(Histogram()))
    assert judged.expression == expression
    assert judged.value == pytest.approx(value, rel=0.001)
    assert judged.failed is failed


def test_a_gateway_cannot_fill_the_memory_with_codes() -> None:
    """Beyond some dozens they are one."""
    tally = LoadTally()
    for number in range(1_000):
        tally.count_error(f"CODE_{number}" * 100)
    assert tally.errors.total() == 1_000
    assert len(tally.errors) < 100
    assert max(map(len, tally.errors)) < 100


def test_what_was_never_measured_has_failed() -> None:
    """A check that could not look must not pass."""
    judged = read_threshold("resume.p99>10s").judge(a_tally(), OwnClock(Histogram()))
    assert (judged.value, judged.failed) == (None, True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "first_delta>200ms",
        "first_delta.p99>200",
        "first_delta.p101>2s",
        "first_delta.p99=2s",
        "first_delta.best>2s",
        "latency.p99>200ms",
        "errors>1%",
        "cpu.p99>90%",
        "sent>-1",
    ],
)
def test_what_is_no_threshold_is_one_line(text: str) -> None:
    """Before anything is sent."""
    with pytest.raises(BadThreshold) as refused:
        read_threshold(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("cpu", "lag", "number"), [(0.5, 0.001, 0), (0.95, 0.001, 1), (0.5, 0.03, 1), (1.0, None, 1)]
)
def test_a_load_that_was_too_busy_says_so(cpu: float, lag: float | None, number: int) -> None:
    """By its CPU, and by how late its clock was."""
    assert len(reasons(cpu, lag)) == number
