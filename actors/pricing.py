"""What a turn costs."""

from __future__ import annotations

import msgspec

from actors.ports import Prices
from protocol.records import StepRecord, TurnRecord
from protocol.usage import ZERO, Cost, Terms, TokenCounts

FREE = Cost(input_cost=ZERO, output_cost=ZERO)


def cost_of(model: str, counts: TokenCounts, terms: Terms, prices: Prices) -> Cost | None:
    """USD for one request of `model`; `None` when it has no known price.

    Where another model has answered, its price counts; if that is not known, the price of the one
    that was asked is an estimate.
    """
    if terms.is_free:
        return FREE
    cost = prices.price(terms.model or model, counts, terms)
    if cost is None and terms.asked is not None:
        cost = _estimated(prices.price(terms.asked, counts, terms))
    return _estimated(cost) if terms.is_uncertain else cost


def step_cost(model: str, step: StepRecord, prices: Prices) -> Cost | None:
    """USD for one request of a turn whose model is `model`."""
    cost = cost_of(model, step.counts, step.terms, prices)
    cost = None if cost is None else cost.rounded
    return _estimated(cost) if step.estimated else cost


def priced(turn: TurnRecord, prices: Prices) -> TurnRecord:
    """The turn with its cost in USD, which is `None` when a model has no known price.

    Each of its steps was a request of its own: a price may depend on a request's length. What each
    of them cost is kept with it, for prices change, and steps may be of several models.
    """
    steps = tuple(
        msgspec.structs.replace(step, cost=step_cost(turn.model, step, prices))
        for step in turn.steps
    )
    costs = [step.cost for step in steps if step.counts.any]
    if not costs:
        whole = cost_of(turn.model, turn.counts, Terms(), prices)
        costs = [None if whole is None else whole.rounded]
    known = [cost for cost in costs if cost is not None]
    total = sum(known, FREE) if len(known) == len(costs) else None
    doubtful = turn.estimated or any(step.estimated for step in turn.steps)
    return msgspec.structs.replace(turn, steps=steps, cost=_estimated(total) if doubtful else total)


def first_cost(turn: TurnRecord, prices: Prices) -> Cost | None:
    """USD for the turn's first request, the one that was estimated."""
    if turn.steps:
        return step_cost(turn.model, turn.steps[0], prices)
    return priced(turn, prices).cost


def _estimated(cost: Cost | None) -> Cost | None:
    return None if cost is None else msgspec.structs.replace(cost, estimated=True)
