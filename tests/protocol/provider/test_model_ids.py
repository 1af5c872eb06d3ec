"""Reading an id in every spelling, and whether two ids name the same model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.provider.model_ids import PREVIEW, ReadName, Seller, other_model, read_id


@pytest.mark.parametrize(
    ("model", "line", "version", "seller"),
    [
        ("claude-sonnet-5-5", "sonnet", (5, 5), "provider"),
        ("claude-sonnet-5-5-20260928", "sonnet", (5, 5), "provider"),
        ("claude-sonnet-5-5-latest", "sonnet", (5, 5), "provider"),
        ("claude-opus-4-20250514", "opus", (4, 0), "provider"),
        ("claude-opus-4-0", "opus", (4, 0), "provider"),
        ("claude-3-7-sonnet-20250219", "sonnet", (3, 7), "provider"),
        ("claude-3-haiku-20240307", "haiku", (3, 0), "provider"),
        ("claude-mythos-preview", "mythos", PREVIEW, "provider"),
        ("anthropic.claude-sonnet-5-5", "sonnet", (5, 5), "aws_regional"),
        ("us.anthropic.claude-sonnet-5-5-v1:0", "sonnet", (5, 5), "aws_regional"),
        ("us.anthropic.claude-opus-5-v1:0", "opus", (5, 0), "aws_regional"),
        ("eu.anthropic.claude-opus-4-1-20250805-v1:0", "opus", (4, 1), "aws_regional"),
        ("us-gov.anthropic.claude-3-haiku-20240307-v1:0:200k", "haiku", (3, 0), "aws_regional"),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "sonnet", (4, 5), "aws_global"),
        ("claude-sonnet-5-5@20261001", "sonnet", (5, 5), "google"),
        ("claude-3-5-sonnet-v2@20241022", "sonnet", (3, 5), "google"),
        ("claude-opus-5@default", "opus", (5, 0), "google"),
        ("anthropic/claude-sonnet-5.5", "sonnet", (5, 5), "router"),
        ("anthropic/claude-3.7-sonnet", "sonnet", (3, 7), "router"),
        ("claude-2.1", "", (2, 1), "provider"),
        ("claude-1.3-100k", "", (1, 3), "provider"),
        ("claude-instant-1.2", "instant", (1, 2), "provider"),
        ("anthropic/claude-2.0", "", (2, 0), "router"),
    ],
)
def test_a_name_is_read_in_every_spelling(
    model: str, line: str, version: tuple[int, int], seller: Seller
) -> None:
    """A dot in the version, a date, a version of the cloud's own."""
    assert read_id(model)[:3] == (line, version, seller)


@pytest.mark.parametrize(
    ("model", "line", "version"),
    [
        ("claude-sonnet-4-5-mini", "sonnet", (4, 5)),
        ("claude-sonnet-4-5-20250929-fast", "sonnet", (4, 5)),
        ("anthropic/claude-opus-5.5:thinking", "opus", (5, 5)),
        ("anthropic/claude-opus-5-5-v1:0", "opus", (5, 5)),
        ("our-own/claude-opus-5", "opus", (5, 0)),
        ("prod-claude-opus-5", "opus", (5, 0)),
        ("claude-opus-5-v2:1", "opus", (5, 0)),
        ("Claude-Sonnet-4.5", "sonnet", (4, 5)),
        ("claude-4-5-sonnet", "sonnet", (4, 5)),
        ("claude-sonnet-3-7", "sonnet", (3, 7)),
        (
            "arn:aws:bedrock:us-east-1:123456789012:profile/us.anthropic.claude-sonnet-4-5-v1:0",
            "sonnet",
            (4, 5),
        ),
        ("claude-2.1-sonnet", "sonnet", (2, 1)),
        ("claude-sonnet-2.1", "sonnet", (2, 1)),
        ("claude-5-5", "", (5, 5)),
        ("claude-mistyped-5-5", "mistyped", (5, 5)),
    ],
)
def test_what_is_not_understood_is_nobodys(model: str, line: str, version: tuple[int, int]) -> None:
    """It is likely of that line, and may be another model."""
    assert read_id(model)[:3] == (line, version, None)


@pytest.mark.parametrize(
    "model", ["claude", "claude-next", "gpt-5-5", "5-5", "-", "", "claudette-5", "claude-5555"]
)
def test_an_id_may_tell_nothing(model: str) -> None:
    """Then there is neither line nor version."""
    assert read_id(model) == ReadName(more=model)


@given(st.text())
def test_no_id_is_too_strange(model: str) -> None:
    """Clients name what they like."""
    assert isinstance(read_id(model), ReadName)


# --- whether the model that answered is the one that was asked ------------------------------------


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
        ("claude-sonnet-4-5", "anthropic/claude-4.5-sonnet"),
        ("claude-2.1", "anthropic/claude-2.1"),
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
        ("claude-sonnet-5-5", "claude-sonnet-5-5-mini"),
        ("claude-sonnet-5-5", "claude-sonnet-5-5-20260928-fast"),
        ("claude-sonnet-5-5", "anthropic/claude-sonnet-5.5:thinking"),
    ],
)
def test_another_model_is_named(asked: str, answered: str) -> None:
    """By the id that the provider told."""
    assert other_model(asked, answered) == answered


def test_a_provider_that_tells_none_is_believed() -> None:
    """There is nothing to compare."""
    assert other_model("claude-sonnet-5-5", None) is None
