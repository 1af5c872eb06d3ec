"""A turn's next request: the former one, and behind it what the turn has gathered since."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from actors.clearing import foreseen
from actors.fitting import counted_turns, fitting
from actors.sent import Flight, SentRequest
from actors.weighed import Rates
from actors.weighing import Weigher, left_out, window_error
from protocol.context import SectionWeight
from protocol.mail import ContextExtended, ExtendContext
from protocol.models import least_cacheable
from protocol.records import MessageRecord


def extend(
    weigher: Weigher,
    request: ExtendContext,
    added: list[MessageRecord],
    flight: Flight | None,
    now: int,
) -> ContextExtended:
    """The next request, with `added`; `flight` is what is remembered of the turn.

    Raises GatewayError(CONTEXT_TOO_LARGE).
    """
    prompt, allowance = request.prompt, request.prompt.allowance
    former = None if flight is None else flight.former
    scale = weigher.scale(prompt.model, former, has_tools=prompt.has_tools)
    current = [*prompt.current, *added]
    fixed = scale.fixed(prompt.fixed_tokens) + scale.line.overhead
    turns, own = scale.turns(prompt.turns), scale.messages(current)
    *gone, cleared = foreseen(
        [*prompt.turns, current], fixed + sum(turns) + own, allowance.clears_at, scale
    )
    turns = [tokens - old.tokens for tokens, old in zip(turns, gone, strict=True)]
    own -= cleared.tokens
    needed = fixed + own
    if needed > allowance.room:
        rates = weigher.rates(prompt.model, round(needed), caches=prompt.caches)
        weights = () if flight is None else _weights(flight.weights, current, round(own), rates)
        what = "This turn, with what its tools have answered"
        raise window_error(what, prompt.model, round(needed), allowance.room, weights)
    before = prompt.left_out_tokens
    skipped = fitting(
        prompt.turns,
        turns,
        allowance.room - needed,
        current,
        allowance.most_attached,
        left_out_before=before,
    )
    estimate = round(needed + sum(turns[skipped:]))
    extended = msgspec.structs.replace(
        prompt,
        turns=prompt.turns[skipped:],
        current=current,
        left_out_tokens=before + sum(counted_turns(prompt.turns[:skipped])),
    )
    if flight is not None:
        beginning = flight.latest.beginning
        flight.add(SentRequest.of(extended, beginning, request.turn_id, estimate=estimate, now=now))
    return ContextExtended(
        prompt=extended,
        token_estimate=estimate,
        likely_cost=_likely_cost(weigher, request, estimate, whole=not skipped),
        left_out=left_out(request.left_out, prompt.turns[:skipped]),
    )


def _likely_cost(
    weigher: Weigher, request: ExtendContext, estimate: int, *, whole: bool
) -> Decimal | None:
    """USD for the next request: the former one is in the provider's cache, if that takes it."""
    prompt = request.prompt
    rates = weigher.rates(prompt.model, estimate, caches=prompt.caches)
    kept = whole and prompt.caches and request.billed >= least_cacheable(prompt.model)
    return rates.likely_cost(estimate, request.billed if kept else 0)


def _weights(
    before: Sequence[SectionWeight], current: Sequence[MessageRecord], own: int, rates: Rates
) -> list[SectionWeight]:
    """The sections without history, the user's message with all that came behind it."""
    weights = []
    for weight in before:
        size, tokens = weight.byte_count, weight.token_estimate
        match weight.name:
            case "history":
                size, tokens = 0, 0
            case "user_message":
                size, tokens = sum(message.byte_count for message in current), own
        weights.append(
            SectionWeight(
                name=weight.name,
                byte_count=size,
                token_estimate=tokens,
                cost_estimate=rates.cost(tokens),
            )
        )
    return weights
