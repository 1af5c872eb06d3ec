"""Which turns of the history are sent: the latest ones for which there is room.

Whole turns only: never a tool call without its result, never an assistant's message first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple

from actors.attachments import EDGE_AMONG_MANY, MANY_PICTURES
from actors.context.estimate.clearing import Cleared, all_of, foreseen
from actors.context.estimate.scale import Scale
from protocol.prompt import Allowance
from protocol.records import Attached, MessageRecord

MOST_BYTES = 30 * 1024 * 1024
"""Of all messages; a request may have 32 MB (the provider's page on errors)."""

NOTHING = Attached()

Turns = Sequence[list[MessageRecord]]


class Fitted(NamedTuple):
    """How many of the oldest turns are left out, and the estimated tokens of what is sent.

    `cleared` is what the provider clears of that by itself; `history` and `own` are without it.
    """

    skipped: int
    history: float
    own: float
    cleared: Cleared


def fitted(
    turns: Turns,
    own: Sequence[MessageRecord],
    *,
    fixed: float,
    scale: Scale,
    allowance: Allowance,
    left_out_before: int = 0,
) -> Fitted:
    """What is sent of `turns`, beside `own` messages and `fixed` tokens that are sent in any case.

    `left_out_before` counts the tokens of the turns that are left out already.
    """
    tokens, mine = scale.turns(turns), scale.messages(own)

    def cleared_behind(skipped: int) -> list[Cleared]:
        estimate = fixed + sum(tokens[skipped:]) + mine
        return foreseen([*turns[skipped:], own], estimate, allowance.clears_at, scale)

    def skipped_with(gone: Sequence[Cleared]) -> int:
        *of_turns, of_own = gone
        left = [whole - old.tokens for whole, old in zip(tokens, of_turns, strict=True)]
        room = allowance.room - fixed - mine + of_own.tokens
        return fitting(turns, left, room, own, allowance.most_attached, left_out_before)

    gone = cleared_behind(0)
    skipped = skipped_with(gone)
    if skipped and all_of(gone).tool_uses:
        gone = [*[Cleared()] * skipped, *cleared_behind(skipped)]
        if not all_of(gone).tool_uses:  # of less, the provider clears nothing
            skipped = max(skipped, skipped_with(gone))
    *of_turns, of_own = gone[skipped:]
    return Fitted(
        skipped=skipped,
        history=sum(tokens[skipped:]) - all_of(of_turns).tokens,
        own=mine - of_own.tokens,
        cleared=all_of([*of_turns, of_own]),
    )


def fitting(
    turns: Turns,
    tokens: Sequence[float],
    room: float,
    own: Sequence[MessageRecord],
    most_attached: int,
    left_out_before: int = 0,
) -> int:
    """How many of the oldest `turns`, estimated at `tokens`, to leave out."""
    crowd = _crowded_out(turns, own, most_attached)
    counted = counted_turns(turns)
    before = left_out_before + sum(counted[:crowd])
    return crowd + fit(tokens[crowd:], counted[crowd:], room, left_out_before=before)


def counted_turns(turns: Turns) -> list[int]:
    """What each turn was counted when it was stored."""
    return [sum(one.token_count + one.media_tokens for one in turn) for turn in turns]


def _crowded_out(turns: Turns, own: Sequence[MessageRecord], most_attached: int) -> int:
    """How many to leave out for what the provider takes of bytes, pictures and documents."""
    messages = [*chain.from_iterable(turns), *own]
    size = sum(message.byte_count for message in messages)
    if size <= MOST_BYTES and not any(message.attached != NOTHING for message in messages):
        return 0  # nearly always, and a history may be long
    return max(
        _fit_sizes(turns, own, _attachments, most_attached),
        _fit_sizes(turns, own, lambda one: one.byte_count, MOST_BYTES),
        _small_or_few(turns, own),
    )


def _small_or_few(turns: Turns, own: Sequence[MessageRecord]) -> int:
    """Either no more than a few pictures, or none that is large."""
    for_few = _fit_sizes(turns, own, lambda one: one.attached.pictures, MANY_PICTURES)
    large = [
        number
        for number, turn in enumerate([*turns, own], start=1)
        if any(one.attached.edge > EDGE_AMONG_MANY for one in turn)
    ]
    return min(for_few, max(large, default=0))


def _attachments(message: MessageRecord) -> int:
    return message.attached.pictures + message.attached.documents


def _fit_sizes(
    turns: Turns, own: Sequence[MessageRecord], size: Callable[[MessageRecord], int], most: int
) -> int:
    sizes = [sum(map(size, turn)) for turn in turns]
    return fit(sizes, sizes, most - sum(map(size, own)))


def fit(
    turns: Sequence[float], counted: Sequence[int], room: float, *, left_out_before: int = 0
) -> int:
    """How many of the oldest turns to leave out to keep the rest within `room`.

    `turns` are their estimated tokens, `counted` what was counted when they were stored, and
    `left_out_before` counts the turns that are left out already.

    Were as few left out as need be, a full window would begin elsewhere at every turn, and the
    provider's cache would never have it again. So they go in blocks of about an eighth of the
    room, whose ends lie where they lie however the history grows.
    """
    rest = sum(turns)
    if rest <= room:
        return 0
    block = _block(room * sum(counted) / max(1.0, rest))
    end = left_out_before
    for number, (tokens, count) in enumerate(zip(turns, counted, strict=True), start=1):
        rest -= tokens
        ends_a_block = (end + count) // block > end // block
        end += count
        if rest <= room and ends_a_block:
            return number
    return len(turns)


def _block(room: float) -> int:
    """About an eighth of so many counted tokens.

    A power of two, so that it does not follow each change of the estimate, and the ends of large
    blocks are ends of small ones too.
    """
    return 1 << max(0, int(room / 8).bit_length() - 1)
