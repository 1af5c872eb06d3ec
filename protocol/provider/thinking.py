"""Words for how much a model thinks: the provider's, and a client's budget."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

ThinkingType = Literal["enabled", "adaptive", "disabled", "between_tools"]
THINKING = ("thinking", "redacted_thinking")
"""The types of the blocks that have thoughts."""

Effort = Literal["low", "medium", "high", "xhigh", "max"]


class ThinkingBudget(msgspec.Struct, frozen=True, rename="camel"):
    """A budget of thinking tokens for models that take one; the provider's least is 1024."""

    budget_tokens: Annotated[int, Meta(ge=1024, le=1_000_000)]
    """The most tokens of thinking in one request."""
