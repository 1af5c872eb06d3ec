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
    """One part of the context: its text, UTF-8 bytes, tokens and USD.

    `cost_estimate` is for a provider that remembers nothing. `cached` when the provider most
    likely has all of it in its prompt cache, `cached_tokens` how much of it; `cached_cost_estimate`
    is the USD with that. `superseded` are the bytes of it that a later part of it replaces.
    """

    name: SectionName
    content: str
    byte_count: int
    token_estimate: int
    cost_estimate: Decimal | None
    cached: bool | UnsetType = UNSET
    cached_tokens: int | UnsetType = UNSET
    cached_cost_estimate: Decimal | UnsetType | None = UNSET
    superseded: int | UnsetType = UNSET


class SectionWeight(Wire, frozen=True, kw_only=True):
    """A section without its text."""

    name: SectionName
    byte_count: int
    token_estimate: int
    cost_estimate: Decimal | None


class Totals(Wire, frozen=True, kw_only=True):
    """The sums of the sections."""

    byte_count: int
    token_estimate: int
    cost_estimate: Decimal | None
    cached_tokens: int | UnsetType = UNSET
    cached_cost_estimate: Decimal | UnsetType | None = UNSET


class Window(Wire, frozen=True, kw_only=True):
    """The model's input window in tokens."""

    limit: int
    used: int
    free: int


class Calibration(Wire, frozen=True, kw_only=True):
    """Billed tokens over counted tokens, learned from `samples` billed requests of the model.

    `error` is by how much, of 1, the latest estimates missed what was billed, on average.
    """

    ratio: float
    samples: int
    error: float | UnsetType = UNSET


class SentContext(Wire, frozen=True, kw_only=True):
    """What of the history the model did not see.

    What did not fit the window: whole turns were left out of the request, or the provider cleared
    old tool results. `dropped_thinking` are blocks that it found bound to another conversation. And
    `epoch` when with this turn the conversation began anew for the model: it got the turns from
    before without their thinking.
    """

    left_out_turns: int
    left_out_messages: int
    cleared_tool_uses: int | UnsetType = UNSET
    cleared_tokens: int | UnsetType = UNSET
    dropped_thinking: int | UnsetType = UNSET
    epoch: int | UnsetType = UNSET


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

    The figures are of the turn's first request; `error` is how far the estimate was off, of 1. The
    cost is `estimated` when the bill does not tell it exactly.
    """

    turn_id: str
    sections: list[SectionWeight]
    token_estimate: int
    billed_tokens: int
    cost_estimate: Decimal | None
    billed_cost: Decimal | None
    error: float
    estimated: bool | UnsetType = UNSET
