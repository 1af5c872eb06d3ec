"""Old answers of tools that the provider clears from a prompt before its window is full.

It decides from each request alone, so what it will do can be foreseen: once the input takes three
quarters of its room, all but the latest answers go, if that is worth it. The estimate and the
choice of the turns that fit count with what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from actors.context.estimate.scale import Scale
from protocol.provider.content import block_types
from protocol.provider.features import CLEAR_TOOL_USES
from protocol.records import MessageRecord

KEPT_TOOL_USES = 3
CLEARED_AT_LEAST = 5_000
"""Tokens; clearing fewer is not worth that the provider forgets the prompt behind them."""

PLACEHOLDER = 32
"""About the tokens that remain of a cleared answer: the id of its call, and a word about it."""

PICTURE = 6_000
"""Characters of English that cost about what a picture does."""

_blocks = msgspec.json.Decoder(list[dict[str, Any]]).decode


class Cleared(NamedTuple):
    """Answers of tools that go, and about the tokens that they take with them."""

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


def foreseen(
    turns: Sequence[Sequence[MessageRecord]], estimate: float, trigger: int | None, scale: Scale
) -> list[Cleared]:
    """What goes of each of `turns`, all that are sent; `estimate` is of the whole request.

    Without a `trigger` the provider was not asked to clear anything.
    """
    if trigger is None or estimate <= trigger:
        return [Cleared()] * len(turns)
    found = _old_answers(turns, scale)
    worth_it = all_of(found).tokens >= CLEARED_AT_LEAST
    return found if worth_it else [Cleared()] * len(turns)


def all_of(turns: Sequence[Cleared]) -> Cleared:
    """What goes of all of them."""
    return Cleared(sum(turn.tool_uses for turn in turns), sum(turn.tokens for turn in turns))


def _old_answers(turns: Sequence[Sequence[MessageRecord]], scale: Scale) -> list[Cleared]:
    """Of each turn, all answers but the latest of all."""
    spared = KEPT_TOOL_USES
    found: list[Cleared] = []
    for turn in reversed(turns):
        tool_uses, tokens = 0, 0.0
        for message in reversed(turn):
            answers = _answers(message)
            old = max(0, answers - spared)
            spared = max(0, spared - answers)
            tool_uses += old
            tokens += _cleared_tokens(message, old, answers, scale)
        found.append(Cleared(tool_uses, tokens))
    return found[::-1]


def remembered(
    turns: Sequence[Sequence[MessageRecord]], before: int, now: int, scale: Scale
) -> float:
    """The tokens with which two requests begin alike, both of `turns`.

    Of one the provider has cleared the `before` oldest answers of tools, of the other `now`.
    """
    if not (before or now):
        return sum(scale.messages(turn, len(turn)) for turn in turns)
    tokens, seen = 0.0, 0
    for message in chain.from_iterable(turns):
        answers = _answers(message)
        old = _within(now - seen, answers)
        if old != _within(before - seen, answers):
            break
        cleared = _cleared_tokens(message, old, answers, scale)
        tokens += scale.messages([message], 1) - cleared
        seen += answers
    return tokens


def _within(figure: int, most: int) -> int:
    return max(0, min(figure, most))


def _cleared_tokens(message: MessageRecord, old: int, answers: int, scale: Scale) -> float:
    """What goes when the first `old` of a message's `answers` are cleared, about."""
    if not old:
        return 0.0
    part = 1.0
    if old < answers:
        sizes = [_shown_size(block) for block in _blocks(message.content)]
        part = sum(sizes[:old]) / max(1, sum(sizes))
    return max(0.0, scale.messages([message]) * part - old * PLACEHOLDER)


def _shown_size(block: Any) -> int:
    """About how much of an answer the model reads, in characters of English."""
    match block:
        case {"type": "image" | "document"}:
            return PICTURE
        case str():
            return len(block)
        case list():
            return sum(_shown_size(one) for one in block)
        case dict():
            return sum(_shown_size(one) for one in block.values())
    return 1


def _answers(message: MessageRecord) -> int:
    """How many answers of tools a message has."""
    return block_types(message.content).count("tool_result") if message.role == "user" else 0
