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


@given(
    st.integers(1, 9),
    st.floats(0, 1),
    st.none() | st.integers(0, 60_000),
    st.integers(0, 5),
    st.floats(0.01, 30),
)
def test_no_pause_is_longer_than_the_cap(
    attempt: int, jitter: float, asked: int | None, attempts: int, cap: float
) -> None:
    """Whatever was asked for, and never a try beyond the last."""
    policy = RetryPolicy(attempts=attempts, cap_seconds=cap)
    delay = policy.delay(failure(retry_after_ms=asked), attempt, jitter)
    assert delay is None or (0 <= delay <= cap and attempt <= attempts)
