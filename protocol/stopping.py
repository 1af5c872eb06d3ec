"""Why an answer stopped, as the provider says it and as a client is told."""

from __future__ import annotations

import re
from typing import Any, Self

from msgspec import UNSET, UnsetType

from protocol.wire import Wire

LONGEST_EXPLANATION = 1_000
"""Characters; the real ones are two or three sentences."""

LONGEST_CATEGORY = 64
LONGEST_REASON = 64
_NOT_OF_A_REASON = re.compile(r"[^a-zA-Z0-9_.-]")


def reason_of(told: object) -> str | None:
    """The provider's `stop_reason` as a client is told: a short name; `None` for none."""
    if not isinstance(told, str) or not told:
        return None
    return _NOT_OF_A_REASON.sub("_", told[:LONGEST_REASON])


class StopDetails(Wire, frozen=True, kw_only=True):
    """Why the provider refused: its `category`, and its own explanation.

    Either may be missing; the words are not guaranteed to be stable (the provider's page on
    refusals, November 2026).
    """

    category: str | UnsetType = UNSET
    """The provider's word for it, such as `cyber`."""
    explanation: str | UnsetType = UNSET
    """The provider's own explanation."""

    @classmethod
    def of(cls, told: object) -> Self | None:
        """What is usable of the provider's `stop_details`; `None` when nothing is."""
        found: dict[str, Any] = told if isinstance(told, dict) else {}
        category = _short(found.get("category"), LONGEST_CATEGORY)
        explanation = _short(found.get("explanation"), LONGEST_EXPLANATION)
        if category is UNSET and explanation is UNSET:
            return None
        return cls(category=category, explanation=explanation)


def _short(text: object, longest: int) -> str | UnsetType:
    return text[:longest] if isinstance(text, str) and text.strip() else UNSET
