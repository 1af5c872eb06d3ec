"""The provider's dated features."""

from __future__ import annotations

import pytest

from protocol.provider.models import fallback


@pytest.mark.parametrize(
    "model",
    [
        "claude-sonnet-4-5",
        "claude-haiku-4-5-20251001",
        "claude-opus-4-8",
        "claude-opus-5",
        "claude-sonnet-5-5",
        "claude-fable-5-2",
        "claude-mythos-preview",
        "claude-opus-11",
        "us.anthropic.claude-sonnet-5-5-v1:0",
        "anthropic/claude-sonnet-4.5",
        "claude-sonnet-5@20260301",
    ],
)
def test_models_from_version_4_5_on_send_arguments_as_they_are_written(model: str) -> None:
    """However their ids are spelled."""
    assert fallback(model).eager_inputs


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus-4-1-20250805",
        "claude-sonnet-4-20250514",
        "claude-sonnet-4-0",
        "claude-opus-4",
        "claude-3-7-sonnet-20250219",
        "claude-3-5-haiku-latest",
        "claude-2.1",
        "gpt-5",
    ],
)
def test_of_older_and_other_models_it_is_not_asked(model: str) -> None:
    """The provider's page does not list them."""
    assert not fallback(model).eager_inputs
