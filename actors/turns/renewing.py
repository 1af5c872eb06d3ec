"""When a request that the provider refused is made anew: a rule on what it said.

A prompt that is too long was estimated too low. Where the provider counted `counted` tokens and
takes `most`, an estimate `e` stands for `counted`, so what may be estimated at most is

    room = min(the model's room, most) * e / counted

Of 200,000 tokens that were estimated at 180,000 with room for 190,000, it is 171,000. That is less
than the estimate, so something goes, or the context says that nothing is left to go. One time is
mostly enough: the error of what stays is about that of the whole.

A refusal of what was said before the turn is answered with a new epoch. Should the provider refuse
that one too, it was something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from protocol.errors import ProviderError, TooLong
from protocol.prompt import Prompt
from protocol.provider.refusals import blames_the_past

MOST_SHORTER = 4
"""How often a turn's prompts are shortened: the provider counts all of a prompt to refuse it."""


class Renewal(NamedTuple):
    """How to make a request anew: for less `room`, or without one in a new epoch."""

    room: int | None


def renewal(
    error: ProviderError, prompt: Prompt, room: int, earlier: Sequence[int | None]
) -> Renewal | None:
    """How to make `prompt` anew after the provider refused it; `None` where that is no use.

    The model's input has `room` tokens; `earlier` are the rooms that the turn has asked with.
    """
    if error.too_long is not None:
        return _shorter(error.too_long, prompt, room, [one for one in earlier if one is not None])
    if error.refusal is None or None in earlier:
        return None
    return Renewal(None) if blames_the_past(error.refusal, prompt.own_from) else None


def _shorter(found: TooLong, prompt: Prompt, room: int, earlier: Sequence[int]) -> Renewal | None:
    if found.counted <= found.most or len(earlier) >= MOST_SHORTER:
        return None
    smaller = min(room, found.most) * prompt.token_estimate // found.counted
    return Renewal(smaller) if smaller < min(earlier, default=prompt.token_estimate) else None
