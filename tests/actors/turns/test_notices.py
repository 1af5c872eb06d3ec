"""What a person who waits should know of a turn."""

from __future__ import annotations

import pytest

from actors.turns.notices import left_out, thinking_dropped, waiting
from protocol.context import SentContext
from protocol.errors import ErrorCode, Failure


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("OVERLOADED", "The provider is overloaded; it is asked again in 2.0 s."),
        ("RATE_LIMITED", "The provider's rate limit is reached; it is asked again in 2.0 s."),
        ("LLM_ERROR", "The provider failed; it is asked again in 2.0 s."),
    ],
)
def test_a_pause_says_why_and_how_long(code: ErrorCode, words: str) -> None:
    """In words, and in milliseconds for a program."""
    notice = waiting(Failure(code=code, message=""), 2.0)
    assert (notice.kind, notice.message, notice.retry_after_ms) == ("retry", words, 2_000)


@pytest.mark.parametrize(
    ("turns", "words"), [(1, "its oldest turn is not sent"), (3, "its oldest 3 turns are not sent")]
)
def test_a_window_that_is_full_is_told_once(turns: int, words: str) -> None:
    """When the epoch begins; the end of every turn says how much is left out."""
    begins = SentContext(left_out_turns=turns, left_out_messages=9, epoch=2)
    (notice,) = left_out(begins)
    assert notice.kind == "window"
    assert words in notice.message
    goes_on = SentContext(left_out_turns=3, left_out_messages=9)
    assert [*left_out(goes_on), *left_out(None)] == []


def test_thinking_that_is_left_out_is_told() -> None:
    """Whether the provider dropped it or refused it."""
    begins = SentContext(left_out_turns=0, left_out_messages=0, epoch=2, dropped_thinking=4)
    assert [*left_out(begins)] == [thinking_dropped(4)]
    assert thinking_dropped(4).message.endswith("(blocks: 4).")
