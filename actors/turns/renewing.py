"""When a request that the provider refused is made anew: a rule on what it said.

A prompt that is too long was estimated too low. Where the provider counted `counted` tokens and
takes `most`, an estimate `e` stands for `counted`, so what may be estimated at most is

    room = min(the model's room, most) * e / counted

Of 200,000 tokens that were estimated at 180,000 with room for 190,000, it is 171,000. That is less
than the estimate, so something goes, or the context says that nothing is left to go. One time is
mostly enough: the error of what stays is about that of the whole.

A refusal of thinking, or of what was announced, is answered with a new epoch. A refusal of another
earlier message, a picture whose address is dead for instance, is answered with a request without
the turn that has it. Should the provider refuse that one too, it was something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from protocol.errors import ProviderError, TooLong
from protocol.prompt import Prompt
from protocol.provider.refusals import blamed_message, blames_thinking

MOST_RENEWALS = 4
"""How often a turn's requests are made shorter, and how often without one of the turns before."""


class Renewal(NamedTuple):
    """How to make a request anew: for less `room`, or `without` the turn that has this message.

    Or, with neither, in a new epoch and without any thinking of earlier turns.
    """

    room: int | None = None
    without: int | None = None


IN_NEW_EPOCH = Renewal()


def renewal(
    error: ProviderError, prompt: Prompt, room: int, earlier: Sequence[Renewal]
) -> Renewal | None:
    """How to make `prompt` anew after the provider refused it; `None` where that is no use.

    The model's input has `room` tokens; `earlier` is what the turn has tried.
    """
    if error.too_long is not None:
        return _shorter(error.too_long, prompt, room, [one.room for one in earlier if one.room])
    if error.refusal is None:
        return None
    if blames_thinking(error.refusal) and IN_NEW_EPOCH not in earlier:
        return IN_NEW_EPOCH
    message = blamed_message(error.refusal, prompt.own_from)
    tried = sum(one.without is not None for one in earlier)
    return None if message is None or tried >= MOST_RENEWALS else Renewal(without=message)


def _shorter(found: TooLong, prompt: Prompt, room: int, earlier: Sequence[int]) -> Renewal | None:
    if found.counted <= found.most or len(earlier) >= MOST_RENEWALS:
        return None
    smaller = min(room, found.most) * prompt.token_estimate // found.counted
    return Renewal(smaller) if smaller < min(earlier, default=prompt.token_estimate) else None
