"""How to make a request anew that the provider refused: a rule on what it said.

A prompt that is too long was estimated too low. Where the provider counted `counted` tokens and
takes `most`, an estimate `e` stands for `counted`, so what may be estimated at most is

    room = min(the model's room, most) * e / counted

Of 200,000 tokens that were estimated at 180,000 with room for 190,000, it is 171,000. That is less
than the estimate, so turns are left out, or the context says that none is left. Once is mostly
enough: the estimate of the rest is off by about the same share.

If the provider refuses the container in which code is to be executed, the request goes without.
If the provider refuses thinking, or an announcement, a new epoch begins. If it refuses another
earlier message, for instance a picture whose address is dead, the request is made without the turn
that has it. If it refuses that request too, the cause was something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from protocol.errors import ProviderError, TooLong
from protocol.prompt import Prompt
from protocol.provider.refusals import (
    blamed_message,
    blames_attachment,
    blames_container,
    blames_thinking,
    names_a_message,
)

MOST_RENEWALS = 4
"""How often a turn's requests are made shorter, and how often without one of the turns before."""


class Renewal(NamedTuple):
    """How to make a request anew: for less `room`, or without a turn that was refused.

    That is the one that has the message `without`, or the latest one with an `attachment`. With
    `container` it is the same request, but for the container that it named. With
    none of these the request goes in a new epoch, without any thinking of earlier turns.
    """

    room: int | None = None
    without: int | None = None
    attachment: bool = False
    container: bool = False


WITHOUT_CONTAINER = Renewal(container=True)
IN_NEW_EPOCH = Renewal()


def renewal(
    error: ProviderError,
    prompt: Prompt,
    room: int,
    earlier: Sequence[Renewal],
    *,
    has_attachments: bool,
) -> Renewal | None:
    """How to make `prompt` anew after the provider refused it; `None` where that is no use.

    The model's input has `room` tokens; `earlier` is what the turn has tried. A refusal that names
    no message may be of the turn's own pictures and documents, if it `has_attachments`.
    """
    if error.failure.code == "CONTEXT_TOO_LARGE":
        return _shorter(error.too_long, prompt, room, [one.room for one in earlier if one.room])
    if _needs_no_container(error, prompt) and WITHOUT_CONTAINER not in earlier:
        return WITHOUT_CONTAINER
    if error.refusal is None:
        return None
    if blames_thinking(error.refusal) and IN_NEW_EPOCH not in earlier:
        return IN_NEW_EPOCH
    new = _without(error.refusal, prompt.own_from, has_attachments=has_attachments)
    return None if new in earlier or len(earlier) >= MOST_RENEWALS else new


def _needs_no_container(error: ProviderError, prompt: Prompt) -> bool:
    """Whether to ask again without the container that the request names.

    It has expired, or is not there. Of one that was put away the provider says no more than that
    it failed itself (a public report, August 2026: pydantic/pydantic-ai 7833).
    """
    return refuses_container(error, prompt) or (error.is_untold and prompt.container == "idle")


def refuses_container(error: ProviderError, prompt: Prompt) -> bool:
    """Whether the provider says that it does not have the container that the request names."""
    is_named = prompt.container is not None
    return is_named and error.refusal is not None and blames_container(error.refusal)


def _without(explanation: str, own_from: int, *, has_attachments: bool) -> Renewal | None:
    """The request without the turn that a refusal complains of.

    Should the provider name the same message again once its turn is left out, then it was
    something else, and no more turns go for it.
    """
    message = blamed_message(explanation, own_from)
    if message is not None:
        return Renewal(without=message)
    names_none = not names_a_message(explanation)
    if names_none and blames_attachment(explanation) and not has_attachments:
        return Renewal(attachment=True)
    return None


def _shorter(
    found: TooLong | None, prompt: Prompt, room: int, earlier: Sequence[int]
) -> Renewal | None:
    """The request with less before it; where the provider gives no figures, with a quarter less."""
    estimate = min(earlier, default=prompt.token_estimate)
    if len(earlier) >= MOST_RENEWALS:
        return None
    if found is None:
        return Renewal(estimate * 3 // 4)
    if found.counted <= found.most:
        return None
    smaller = min(room, found.most) * prompt.token_estimate // found.counted
    return Renewal(smaller) if smaller < estimate else None
