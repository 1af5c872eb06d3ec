"""Mending the end of a transcript, where a turn broke off, so that a question may follow.

Three kinds of ends are refused by the provider when a question follows them, or may be:

- An answer that uses one of the provider's own tools and has no result of it: a turn that paused,
  or ran the client's tools beside a search, and was then cancelled or killed. The answer is written
  once more without that use. A block is missing then in front of the thinking behind it, which is
  bound to what stood before: so that thinking goes too. Thinking may always go from the end.
- A `system` entry: it must stand before an answer (the provider's page on system messages in a
  conversation).
- Results of tools: together with the question they continue the answer that called the tools, and
  of such an answer no thinking may be changed or left out (its page on extended thinking).

Behind the last two there has been no answer, so a few words take its place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from protocol.provider.content import Block
from protocol.records import Entry

NO_ANSWER: list[Block] = [{"type": "text", "text": "[There was no answer.]"}]

THINKING = ("thinking", "redacted_thinking")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Block] | str).decode


class Mend(NamedTuple):
    """An entry that is to be written: the content in the place of `entry`'s, or behind it."""

    entry: Entry
    content: bytes


class Closing(NamedTuple):
    """How to mend an end: the entries from the place `first` on give way to `written` ones."""

    first: int | None
    written: list[Mend]


def closing(turn: Sequence[Entry]) -> Closing:
    """What must be mended of the last `turn`, all whose entries are sent, before a question."""
    blocks = {entry.place: _blocks(entry) for entry in turn if entry.role != "system"}
    pending = _pending([block for found in blocks.values() for block in found])
    if pending:
        return _without(turn, blocks, pending)
    return Closing(None, [_no_answer(turn[-1])] if turn and _is_open(turn[-1]) else [])


def without_gap(blocks: Sequence[Block], gone: Collection[int]) -> list[Block]:
    """The blocks but for those at the places `gone`, and but for the thinking behind the first."""
    if not gone:
        return list(blocks)
    first = min(gone)
    return [
        block
        for at, block in enumerate(blocks)
        if at not in gone and (at < first or block.get("type") not in THINKING)
    ]


def _without(
    turn: Sequence[Entry], blocks: dict[int, list[Block]], pending: Collection[str]
) -> Closing:
    """The turn once more from the first answer on that has a `pending` use."""
    written: list[Mend] = []
    first: int | None = None
    for entry in turn:
        of_entry = blocks.get(entry.place, [])
        gone = {at for at, block in enumerate(of_entry) if _use(block) in pending}
        if first is None and not gone:
            continue
        if first is None:
            first = entry.place
            kept = without_gap(of_entry, gone)
        else:
            kept = [
                block
                for at, block in enumerate(of_entry)
                if at not in gone and block.get("type") not in THINKING
            ]
        while kept and kept[-1].get("type") in THINKING:
            kept.pop()
        if kept:
            written.append(Mend(entry, _encode(kept)))
    last = written[-1].entry if written else _before(turn, first)
    if last is not None and _is_open(last):
        written.append(_no_answer(last))
    return Closing(first, written)


def _before(turn: Sequence[Entry], first: int | None) -> Entry | None:
    return next((entry for entry in reversed(turn) if first is None or entry.place < first), None)


def _is_open(last: Entry) -> bool:
    """Whether an answer must come behind an entry before a question may."""
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
    done = {block.get("tool_use_id") for block in blocks}
    return {use for block in blocks if (use := _use(block)) is not None and use not in done}
