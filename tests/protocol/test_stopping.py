"""Why an answer stopped, as the provider says it."""

import pytest

from protocol.stopping import (
    LONGEST_CATEGORY,
    LONGEST_EXPLANATION,
    LONGEST_REASON,
    StopDetails,
    reason_of,
)


def test_a_refusal_tells_its_category_and_its_reason() -> None:
    """As the provider's page on refusals shows them."""
    told = {"type": "refusal", "category": "cyber", "explanation": "Not this one."}
    assert StopDetails.of(told) == StopDetails(category="cyber", explanation="Not this one.")


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ({"category": None, "explanation": "Why."}, StopDetails(explanation="Why.")),
        ({"category": "bio", "explanation": None}, StopDetails(category="bio")),
        ({"category": {"name": "bio"}, "explanation": "Why."}, StopDetails(explanation="Why.")),
    ],
)
def test_what_is_missing_or_strange_is_left_out(told: object, kept: StopDetails) -> None:
    """The rest is told all the same."""
    assert StopDetails.of(told) == kept


@pytest.mark.parametrize("told", [None, {}, "refusal", 7, [], {"category": None}, {"category": ""}])
def test_without_anything_usable_there_are_none(told: object) -> None:
    """An answer is no worse for that."""
    assert StopDetails.of(told) is None


def test_they_are_short() -> None:
    """Whatever the provider sends."""
    details = StopDetails.of({"category": "c" * 10_000, "explanation": "e" * 10_000})
    assert details == StopDetails(
        category="c" * LONGEST_CATEGORY, explanation="e" * LONGEST_EXPLANATION
    )


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("end_turn", "end_turn"),
        ("", None),
        (None, None),
        (5, None),
        ({"type": "end_turn"}, None),
        ("model_context_window_exceeded", "model_context_window_exceeded"),
        ("a\nb\0\ufffd é", "a_b____"),
        ("x" * 5_000, "x" * LONGEST_REASON),
    ],
)
def test_a_reason_is_a_short_name(told: object, reason: str | None) -> None:
    """A new one is told as it came."""
    assert reason_of(told) == reason
