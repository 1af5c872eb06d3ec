"""When to try again: a plain rule."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.turns.retry import RetryPolicy
from protocol.errors import Failure

POLICY = RetryPolicy(attempts=3, cap_seconds=2.0)


def failure(*, retryable: bool = True, retry_after_ms: int | None = None) -> Failure:
    """What went wrong."""
    return Failure(code="LLM_ERROR", message="", retryable=retryable, retry_after_ms=retry_after_ms)


def test_the_pause_doubles_up_to_the_cap() -> None:
    """With all of its jitter: 0.5, 1, 2, and no more."""
    assert [POLICY.delay(failure(), attempt, 1.0) for attempt in (1, 2, 3)] == [0.5, 1.0, 2.0]
    capped = RetryPolicy(attempts=9, cap_seconds=2.0)
    assert capped.delay(failure(), 9, 1.0) == 2.0


def test_jitter_takes_away_at_most_half() -> None:
    """So that clients that failed together do not come back together."""
    assert POLICY.delay(failure(), 1, 0.0) == 0.25
    assert POLICY.delay(failure(), 1, 0.5) == 0.375


def test_after_the_last_attempt_it_gives_up() -> None:
    """The attempts are counted from 1."""
    assert POLICY.delay(failure(), 3, 0.0) is not None
    assert POLICY.delay(failure(), 4, 0.0) is None


def test_what_would_fail_again_is_not_tried_again() -> None:
    """A failure says so itself."""
    assert POLICY.delay(failure(retryable=False), 1, 0.0) is None


def test_the_provider_is_obeyed_up_to_the_cap() -> None:
    """Beyond it the client is told to come back then."""
    assert POLICY.delay(failure(retry_after_ms=1_500), 1, 0.0) == 1.5
    assert POLICY.delay(failure(retry_after_ms=2_000), 1, 0.0) == 2.0
    assert POLICY.delay(failure(retry_after_ms=2_001), 1, 0.0) is None


def test_those_that_got_the_same_hint_come_back_one_by_one() -> None:
    """None of them sooner than they were asked to."""
    asked = failure(retry_after_ms=2_000)
    assert [POLICY.delay(asked, 1, jitter) for jitter in (0.0, 0.5, 1.0)] == [2.0, 2.25, 2.5]


def test_at_once_is_not_to_be_taken_literally() -> None:
    """A provider that says 0 and is still busy is not hammered."""
    assert [POLICY.delay(failure(retry_after_ms=0), attempt, 0.0) for attempt in (1, 2, 3)] == [
        0.25,
        0.5,
        1.0,
    ]


@given(
    st.integers(1, 9),
    st.floats(0, 1),
    st.none() | st.integers(0, 60_000),
    st.integers(0, 5),
    st.floats(0.01, 30),
)
def test_no_pause_is_shorter_than_the_hint_or_much_longer_than_the_cap(
    attempt: int, jitter: float, asked: int | None, attempts: int, cap: float
) -> None:
    """Whatever was asked for, and never a try beyond the last."""
    policy = RetryPolicy(attempts=attempts, cap_seconds=cap)
    delay = policy.delay(failure(retry_after_ms=asked), attempt, jitter)
    assert delay is None or attempt <= attempts
    assert delay is None or (asked or 0) / 1_000 <= delay <= cap * 1.5
