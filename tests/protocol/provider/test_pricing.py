"""What makes a request cheaper or dearer than its tokens say."""

from __future__ import annotations

from decimal import Decimal

import pytest

from protocol.provider.pricing import refusal_is_free, region_factor


@pytest.mark.parametrize(
    ("model", "region", "factor"),
    [
        ("claude-opus-5-5", None, "1"),
        ("claude-opus-5-5", "global", "1"),
        ("claude-opus-5-5", "us", "1.1"),
        ("claude-sonnet-4-6", "us", "1.1"),
        ("house-model", "us", "1.1"),
        ("claude-haiku-4-5", "global", "1"),
        ("claude-haiku-4-5", "us", None),
        ("claude-opus-5-5", "mars", None),
    ],
)
def test_a_region_has_its_factor(model: str, region: str | None, factor: str | None) -> None:
    """Nobody knows that of an unknown one, or of a model that can be run in none."""
    assert region_factor(model, region) == (None if factor is None else Decimal(factor))


@pytest.mark.parametrize(
    ("category", "free"),
    [("cyber", True), ("general_harms", True), (None, True), ("bio", False), ("new", None)],
)
def test_a_refusal_is_billed_by_its_category(category: str | None, free: bool | None) -> None:
    """Of a new one nobody knows."""
    assert refusal_is_free(category) is free
