"""Whether the model that answered is the one that was asked."""

import pytest

from protocol.provider.answering import other_model


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("claude-sonnet-5-5", "claude-sonnet-5-5"),
        ("claude-haiku-4-5", "claude-haiku-4-5-20251001"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
        ("claude-opus-4-0", "claude-opus-4-20250514"),
        ("us.anthropic.claude-sonnet-5-5-v1:0", "claude-sonnet-5-5"),
        ("anthropic/claude-sonnet-5.5", "claude-sonnet-5-5-20261001"),
        ("claude-sonnet-5-5@20261001", "claude-sonnet-5-5-20261001"),
        ("a-model-of-ours", "a-model-of-ours"),
    ],
)
def test_another_spelling_is_the_same_model(asked: str, answered: str) -> None:
    """An alias, a date, a cloud's prefix."""
    assert other_model(asked, answered) is None


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("claude-fable-5-1", "claude-opus-5"),
        ("claude-sonnet-4-5", "claude-sonnet-4-6"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5-20260101"),
        ("a-model-of-ours", "a-model-of-theirs"),
        ("claude-sonnet-5-5", "gpt"),
    ],
)
def test_another_model_is_named(asked: str, answered: str) -> None:
    """By the id that the provider told."""
    assert other_model(asked, answered) == answered


def test_a_provider_that_tells_none_is_believed() -> None:
    """There is nothing to compare."""
    assert other_model("claude-sonnet-5-5", None) is None
