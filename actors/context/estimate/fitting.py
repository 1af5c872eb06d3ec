"""Which turns still go upstream once there is no room for all of them.

Whole turns only, the oldest first: never a tool call without its result, never an assistant's
message first. Since a model's thinking and the provider's cache are lost with every cut, what is
left takes three quarters of the room: the next cut is then a quarter of the room away.

Example: a window with room for 100,000 tokens, turns of 2,000. The 51st turn does not fit; 14 turns
go, 37 stay with 74,000 tokens, and the next 13 turns find their thinking and their cache.
"""

from __future__ import annotations

from actors.context.estimate.scale import Scale
from protocol.prompt import Allowance
from protocol.provider.limits import MANY_PICTURES, MOST_BYTES
from protocol.transcript import Transcript


def is_crowded(transcript: Transcript, allowance: Allowance) -> bool:
    """Whether it has more bytes, pictures or documents than the provider takes."""
    return _is_crowded_from(transcript, 0, allowance.most_attached, MOST_BYTES, MANY_PICTURES)


def cut(
    transcript: Transcript, own: int, *, fixed: float, scale: Scale, allowance: Allowance
) -> int:
    """How many of the oldest messages to leave out, at the most the `own` first ones.

    `fixed` are the tokens that are sent in any case.
    """
    room = allowance.room * 3 / 4 - fixed
    most = allowance.most_attached * 3 // 4
    for turn in transcript.turns:
        if turn >= own:
            break
        fits = scale.messages(transcript, turn) <= room
        if fits and not _is_crowded_from(
            transcript, turn, most, MOST_BYTES * 3 // 4, MANY_PICTURES * 3 // 4
        ):
            return turn
    return own


def _is_crowded_from(
    transcript: Transcript, begin: int, most_attached: int, most_bytes: int, many: int
) -> bool:
    sums = transcript.sums().minus(transcript.sums(begin))
    has_large = bool(transcript.large) and transcript.large[-1] >= begin
    return (
        sums.size > most_bytes
        or sums.pictures + sums.documents > most_attached
        or (has_large and sums.pictures > many)
    )
