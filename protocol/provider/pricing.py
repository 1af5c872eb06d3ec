"""What makes a request cheaper or dearer than its tokens say: the provider's rules, dated.

Sources, all of November 2026: the provider's pages "Data residency" (`inference_geo`), "Fast mode",
"Refusals and fallback", "Code execution tool" and "Pricing".
"""

from __future__ import annotations

from decimal import Decimal

from protocol.provider.model_ids import read_id

PLAIN = Decimal(1)

_REGIONS = {"us": Decimal("1.1"), "global": PLAIN}
_SINCE = (4, 6)
"""Models before these run in no region of one's choice."""

_FREE_REFUSALS = ("cyber", "general_harms", None)
_BILLED_REFUSALS = ("bio", "frontier_llm", "reasoning_extraction")


def region_factor(model: str, region: str | None) -> Decimal | None:
    """What the price of a token is multiplied by where the request ran; `None`: nobody knows.

    Searches cost the same everywhere.
    """
    if region is None:
        return PLAIN
    factor = _REGIONS.get(region)
    name = read_id(model)
    known = name.seller is None or name.version >= _SINCE
    return factor if known or factor == PLAIN else None


def refusal_is_free(category: str | None) -> bool | None:
    """Whether a refusal of this category, before any output, is not billed; `None`: unknown."""
    if category in _FREE_REFUSALS:
        return True
    return False if category in _BILLED_REFUSALS else None
