"""What an answer tells next to itself: what became of the request on its way to the model.

An answer is whole without it, so it is read loosely: what is odd counts as not told. Sources: the
SDK's types of the events, and the provider's page "Context editing", November 2026.
"""

from __future__ import annotations

from typing import Any

import msgspec

from protocol.usage import MOST_FIGURE


class InputTransformation(msgspec.Struct, frozen=True):
    """What the provider did to a thinking block of the request: dropped it, or let it through.

    There may be entries of other types, with other fields.
    """

    type: Any = None
    reason: Any = None

    @property
    def is_mismatch(self) -> bool:
        """Whether what stood before the block was not what it was bound to."""
        return bool(self.reason == "prefix_binding_mismatch")

    @property
    def is_dropped(self) -> bool:
        """Whether the model does not see the block for that reason."""
        return self.is_mismatch and bool(self.type == "thinking_dropped")


class AppliedEdit(msgspec.Struct, frozen=True):
    """How much the provider left out of the prompt by itself."""

    cleared_tool_uses: int = 0
    cleared_input_tokens: int = 0


def transformations(told: object) -> list[InputTransformation]:
    """The entries of a `message_start`'s `input_transformations`."""
    return [InputTransformation(one.get("type"), one.get("reason")) for one in _objects(told)]


def applied_edits(told: object) -> list[AppliedEdit]:
    """The edits in a `message_delta`'s `context_management`."""
    listed = told.get("applied_edits") if isinstance(told, dict) else None
    return [
        AppliedEdit(_figure(one.get("cleared_tool_uses")), _figure(one.get("cleared_input_tokens")))
        for one in _objects(listed)
    ]


def _objects(told: object) -> list[dict[str, Any]]:
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _figure(told: object) -> int:
    is_figure = isinstance(told, int) and not isinstance(told, bool) and 0 <= told <= MOST_FIGURE
    return told if is_figure else 0  # type: ignore[return-value]
