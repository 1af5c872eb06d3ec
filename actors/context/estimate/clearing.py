"""Old answers of tools that the provider clears from a prompt before its window is full.

It decides from each request alone, so what it will do can be foreseen: once the input takes three
quarters of its room, all but the latest answers go, if that is worth it. The estimate and the
choice of the turns that fit count with what is left.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from actors.context.estimate.scale import Scale
from protocol.provider.features import CLEAR_TOOL_USES
from protocol.transcript import Transcript

KEPT_TOOL_USES = 3
CLEARED_AT_LEAST = 5_000
"""Tokens; clearing fewer is not worth the cache of the prompt after them, which is lost."""

PLACEHOLDER = 32
"""About the tokens that remain of a cleared answer: the id of its call, and a word about it."""


class Cleared(NamedTuple):
    """How many answers of tools are cleared, and about how many tokens that saves."""

    tool_uses: int = 0
    tokens: float = 0.0


def clears_at(room: int) -> int:
    """The input tokens beyond which the provider is to clear, if the input may take `room`."""
    return room * 3 // 4


def clearing(trigger: int) -> dict[str, Any]:
    """The request's `context_management`: clear beyond `trigger` input tokens."""
    edit = {
        "type": CLEAR_TOOL_USES,
        "trigger": {"type": "input_tokens", "value": trigger},
        "keep": {"type": "tool_uses", "value": KEPT_TOOL_USES},
        "clear_at_least": {"type": "input_tokens", "value": CLEARED_AT_LEAST},
    }
    return {"edits": [edit]}


def foreseen(transcript: Transcript, estimate: float, trigger: int | None, scale: Scale) -> Cleared:
    """What goes of a request that is estimated at `estimate` tokens.

    Without a `trigger` the provider was not asked to clear anything.
    """
    uses = len(transcript.results) - KEPT_TOOL_USES
    if trigger is None or estimate <= trigger or uses <= 0:
        return Cleared()
    tokens = cleared_tokens(transcript, uses, scale)
    return Cleared(uses, tokens) if tokens >= CLEARED_AT_LEAST else Cleared()


def cleared_tokens(transcript: Transcript, uses: int, scale: Scale) -> float:
    """What the `uses` oldest answers take with them."""
    if not uses:
        return 0.0
    gone = transcript.results[uses - 1]
    return max(0.0, scale.old(gone.counted) + gone.media - uses * PLACEHOLDER)


def alike(transcript: Transcript, end: int, before: int, now: int) -> int:
    """How many first messages of two requests are the same for the provider.

    Both have the same first `end` messages. The provider has cleared the `before` oldest answers of
    tools from the former request, and clears the `now` oldest ones from the next.
    """
    first = min(before, now)  # the first answer that one has and the other has not
    if before == now or first >= len(transcript.results):
        return end
    return min(end, transcript.results[first].message)


def remaining(transcript: Transcript, end: int, cleared: int, scale: Scale) -> float:
    """The tokens of the first `end` messages without the `cleared` oldest answers of tools."""
    uses = min(cleared, transcript.sums(end).results)
    return scale.messages(transcript, 0, end) - cleared_tokens(transcript, uses, scale)
