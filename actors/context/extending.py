"""A turn's next request: the former one, and behind it what the turn has gathered since."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actors.context.estimate.clearing import remembered
from actors.context.estimate.fitting import Fitted, counted_turns, fitted
from actors.context.estimate.scale import Scale
from actors.context.estimate.sent import Flight, SentRequest
from actors.context.estimate.weighed import Rates
from actors.context.estimate.weighing import Weigher, left_out, window_error
from protocol.context import SectionWeight
from protocol.mail import ContextExtended, ExtendContext
from protocol.provider.models import least_cacheable
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
    before = prompt.left_out_tokens
    found = fitted(
        prompt.turns,
        current,
        fixed=fixed,
        scale=scale,
        allowance=allowance,
        left_out_before=before,
    )
    needed, skipped = fixed + found.own, found.skipped
    if needed > allowance.room:
        rates = weigher.rates(prompt.model, round(needed), caches=prompt.caches)
        own = round(found.own)
        weights = () if flight is None else _weights(flight.weights, current, own, rates)
        what = "This turn, with what its tools have answered"
        raise window_error(what, prompt.model, round(needed), allowance.room, weights)
    estimate = round(needed + found.history)
    extended = msgspec.structs.replace(
        prompt,
        turns=prompt.turns[skipped:],
        current=current,
        left_out_tokens=before + sum(counted_turns(prompt.turns[:skipped])),
    )
    cached = _cached(request, flight, found, fixed=fixed, scale=scale)
    if flight is not None:
        flight.add(
            SentRequest.of(
                extended,
                flight.latest.beginning,
                request.turn_id,
                estimate=estimate + round(found.cleared.tokens),
                cleared=found.cleared.tool_uses,
                now=now,
            )
        )
    rates = weigher.rates(prompt.model, estimate, caches=prompt.caches)
    return ContextExtended(
        prompt=extended,
        token_estimate=estimate,
        likely_cost=rates.likely_cost(estimate, cached),
        left_out=left_out(request.left_out, prompt.turns[:skipped]),
    )


def _cached(
    request: ExtendContext, flight: Flight | None, found: Fitted, *, fixed: float, scale: Scale
) -> int:
    """The tokens of the former request that the provider most likely remembers for the next one."""
    prompt = request.prompt
    if found.skipped or not prompt.caches or request.billed < least_cacheable(prompt.model):
        return 0
    before, now = 0 if flight is None else flight.latest.cleared, found.cleared.tool_uses
    if before == now:
        return request.billed
    return round(fixed + remembered([*prompt.turns, prompt.current], before, now, scale))


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
