"""What a turn costs."""

from __future__ import annotations

from actors.ports import Prices
from protocol.records import TurnRecord
from protocol.usage import ZERO, Cost


def price_of(turn: TurnRecord, prices: Prices) -> Cost | None:
    """USD for what the turn was billed; `None` when the model has no known price.

    Each of its steps was a request of its own: a price may depend on a request's length.
    """
    billed = [step.counts for step in turn.steps if step.counts.any] or [turn.counts]
    costs = [prices.price(turn.model, counts) for counts in billed]
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        return None
    return sum(known, Cost(input_cost=ZERO, output_cost=ZERO))
