"""What a context weighs, section by section, before it is sent.

Tokens are estimates: the tokenizer's count times a ratio learned for the model, beside what the
provider adds to every request of its own. Money is USD.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from protocol.wire import Wire

SectionName = Literal[
    "system_prompt",
    "response_format",
    "memory",
    "skills",
    "tools",
    "history",
    "user_message",
    "provider_overhead",
]
"""The context's sections, in the order in which they are sent.

`provider_overhead` is what the provider adds of its own: it has tokens but no text.
"""


class Section(Wire, frozen=True, kw_only=True):
    """One part of the context: its text, and what it weighs."""

    name: SectionName
    """Which section it is."""
    content: str
    """Its text, as it is sent."""
    byte_count: int
    """UTF-8 bytes of it."""
    token_estimate: int
    """Tokens, estimated."""
    cost_estimate: Decimal | None
    """For a provider that remembers nothing; `null` when the price is not known."""
    cached: bool | UnsetType = UNSET
    """True when the provider most likely has all of it in its cache."""
    cached_tokens: int | UnsetType = UNSET
    """How many of its tokens that most likely has."""
    cached_cost_estimate: Decimal | UnsetType | None = UNSET
    """The cost with that."""
    superseded: int | UnsetType = UNSET
    """Bytes of it that a later part of it replaces."""


class SectionWeight(Wire, frozen=True, kw_only=True):
    """A section without its text."""

    name: SectionName
    """Which section it is."""
    byte_count: int
    """UTF-8 bytes of it."""
    token_estimate: int
    """Tokens, estimated."""
    cost_estimate: Decimal | None
    """`null` when the price is not known."""


class Totals(Wire, frozen=True, kw_only=True):
    """The sums of the sections."""

    byte_count: int
    """UTF-8 bytes."""
    token_estimate: int
    """Tokens, estimated."""
    cost_estimate: Decimal | None
    """For a provider that remembers nothing; `null` when the price is not known."""
    cached_tokens: int | UnsetType = UNSET
    """How many tokens the provider's cache most likely has."""
    cached_cost_estimate: Decimal | UnsetType | None = UNSET
    """The cost with that."""


class Window(Wire, frozen=True, kw_only=True):
    """The model's input window in tokens."""

    limit: int
    """All of it."""
    used: int
    """What the context takes of it, estimated."""
    free: int
    """What is left."""


class Calibration(Wire, frozen=True, kw_only=True):
    """How the provider counts the model's tokens, learned from its bills."""

    ratio: float
    """Billed tokens for each counted one."""
    samples: int
    """How many bills it was learned from."""
    error: float | UnsetType = UNSET
    """By how much the latest estimates missed the bill on average, of 1."""


class SentContext(Wire, frozen=True, kw_only=True):
    """What of the history the model did not see.

    What did not fit the window: whole turns were left out of the request, or the provider cleared
    old tool results. And `epoch`, when with this turn the conversation began anew for the model: it
    got the turns from before without their thinking.
    """

    left_out_turns: int
    """Turns that did not fit the window."""
    left_out_messages: int
    """The messages of these."""
    cleared_tool_uses: int | UnsetType = UNSET
    """Old results of tools that the provider cleared."""
    cleared_tokens: int | UnsetType = UNSET
    """The tokens of these."""
    dropped_thinking: int | UnsetType = UNSET
    """Thinking blocks that the provider found bound to another conversation."""
    epoch: int | UnsetType = UNSET
    """There when the conversation began anew for the model: which beginning it is."""


def with_cleared(sent: SentContext | None, tool_uses: int, tokens: float) -> SentContext | None:
    """What the model does not see when, besides, the provider clears old results of tools."""
    if not tool_uses:
        return sent
    known = sent or SentContext(left_out_turns=0, left_out_messages=0)
    return msgspec.structs.replace(known, cleared_tool_uses=tool_uses, cleared_tokens=round(tokens))


def with_dropped(sent: SentContext | None, blocks: int) -> SentContext | None:
    """What the model does not see when, besides, thinking `blocks` did not fit."""
    if not blocks:
        return sent
    known = sent or SentContext(left_out_turns=0, left_out_messages=0)
    return msgspec.structs.replace(known, dropped_thinking=blocks)


def with_epoch(sent: SentContext | None, epoch: int | UnsetType) -> SentContext | None:
    """What the model does not see when, besides, the conversation began anew."""
    if epoch is UNSET:
        return sent
    known = sent or SentContext(left_out_turns=0, left_out_messages=0)
    return msgspec.structs.replace(known, epoch=epoch)


class TurnInspection(Wire, frozen=True, kw_only=True):
    """A turn that was sent: what it was estimated at, beside what it was billed.

    The figures are of the turn's first request.
    """

    turn_id: str
    sections: list[SectionWeight]
    """What each section weighed."""
    token_estimate: int
    """Tokens of its first request, as estimated."""
    billed_tokens: int
    """Tokens of its first request, as billed."""
    cost_estimate: Decimal | None
    """What these were estimated to cost."""
    billed_cost: Decimal | None
    """What these cost."""
    error: float
    """How far the estimate was off, of 1."""
    estimated: bool | UnsetType = UNSET
    """True when the bill does not tell the cost exactly."""
