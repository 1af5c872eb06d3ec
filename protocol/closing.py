"""Mending the end of a transcript where a turn broke off, so that a question may follow it.

The provider refuses, or may refuse, a question after four kinds of ends:

- An answer that uses one of the provider's own tools and has no result for it. The turn had paused,
  or had run the client's tools next to a search, and was then cancelled or killed. The answer is
  written again without that use. The thinking after the use is bound to it, so it goes too.
  Thinking at the end may always go.
- An answer that calls the client's or the gateway's tools, without their results: the process died
  while they ran. The model is told that they were cut off and may have had their effect.
- A `system` entry. An answer must follow it (the provider's page on system messages in a
  conversation).
- Results of tools. Together with the question they continue the answer that called the tools, and
  no thinking of such an answer may change or go (its page on extended thinking).

In the last three cases the answer is missing, so a few words take its place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain
from typing import NamedTuple

import msgspec

from protocol.provider.content import Block
from protocol.provider.thinking import THINKING
from protocol.records import Entry
from protocol.tools import CUT_OFF, tool_result

NO_ANSWER: list[Block] = [{"type": "text", "text": "[There was no answer.]"}]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Block] | str).decode


class Mend(NamedTuple):
    """An entry to write: its `content` replaces that of `entry`, or follows `entry`."""

    entry: Entry
    content: bytes


class Closing(NamedTuple):
    """How to mend an end: the `written` entries replace those from the place `first` on, if any."""

    first: int | None
    written: list[Mend]


def closing(turn: Sequence[Entry]) -> Closing:
    """How to mend the last `turn` before a question; `turn` has its sent entries only."""
    blocks = {entry.place: _blocks(entry) for entry in turn if entry.role != "system"}
    pending = _pending([block for found in blocks.values() for block in found])
    if pending:
        return _without(turn, blocks, pending)
    return Closing(None, _ended(turn[-1], [*chain(*blocks.values())]) if turn else [])


def without_gap(blocks: Sequence[Block], gone: Collection[int]) -> list[Block]:
    """The blocks without those at the places `gone`, and without thinking after the first gap."""
    return _left(blocks, gone, min(gone, default=len(blocks)))


def _left(blocks: Sequence[Block], gone: Collection[int], gap: int) -> list[Block]:
    """The blocks without those at the places `gone`, and without thinking from `gap` on."""
    return [
        block
        for at, block in enumerate(blocks)
        if at not in gone and (at < gap or block.get("type") not in THINKING)
    ]


def _without(
    turn: Sequence[Entry], blocks: dict[int, list[Block]], pending: Collection[str]
) -> Closing:
    """The turn, written again from its first answer with a `pending` use."""
    written: list[Mend] = []
    sent: list[Block] = []
    first: int | None = None
    for entry in turn:
        of_entry = blocks.get(entry.place, [])
        gone = {at for at, block in enumerate(of_entry) if _use(block) in pending}
        if first is None and not gone:
            sent += of_entry
            continue
        if first is None:
            first = entry.place
            kept = without_gap(of_entry, gone)
        else:
            kept = _left(of_entry, gone, 0)
        while kept and kept[-1].get("type") in THINKING:
            kept.pop()
        sent += kept
        if kept:
            written.append(Mend(entry, _encode(kept)))
    last = written[-1].entry if written else _before(turn, first)
    return Closing(first, [*written, *([] if last is None else _ended(last, sent))])


def _ended(last: Entry, blocks: Sequence[Block]) -> list[Mend]:
    """What must follow the `last` entry of a turn whose entries have these `blocks`."""
    done = {use for block in blocks if isinstance(use := block.get("tool_use_id"), str)}
    cut_off = [
        tool_result(block["id"], CUT_OFF)
        for block in blocks
        if block.get("type") == "tool_use" and block["id"] not in done
    ]
    if cut_off:
        results = msgspec.structs.replace(last, role="user", model="", sections=())
        return [Mend(results, _encode(cut_off)), _no_answer(results)]
    return [_no_answer(last)] if _is_open(last) else []


def _before(turn: Sequence[Entry], first: int | None) -> Entry | None:
    return next((entry for entry in reversed(turn) if first is None or entry.place < first), None)


def _is_open(last: Entry) -> bool:
    """Whether an answer must follow this entry before a question may."""
    return last.role == "system" or (last.role == "user" and b'"tool_result"' in last.content)


def _no_answer(behind: Entry) -> Mend:
    return Mend(msgspec.structs.replace(behind, role="assistant", sections=()), _encode(NO_ANSWER))


def _blocks(entry: Entry) -> list[Block]:
    decoded = _decode(entry.content)
    return [] if isinstance(decoded, str) else decoded


def _use(block: Block) -> str | None:
    return block.get("id") if block.get("type") == "server_tool_use" else None


def _pending(blocks: Sequence[Block]) -> set[str]:
    """The ids of the uses of the provider's own tools that have no result."""
    done = {use for block in blocks if isinstance(use := block.get("tool_use_id"), str)}
    return {use for block in blocks if (use := _use(block)) is not None and use not in done}
