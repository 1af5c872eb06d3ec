"""Turns whose requests were answered by several models: what each of these was billed.

A turn has one row, with the sum of its requests. Each request names the model that was billed, and
keeps what it cost then. The shares of the models make the row, to the last digit.

Where they do not, all of it stays with the model that was asked, so that no sum ever changes. Such
a row is damaged, or it is of the time when requests kept no cost, and prices have changed since.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from actors.ports import Prices
from actors.pricing import step_cost
from protocol.records import ModelTotals, StepRecord, TurnRecord
from protocol.usage import ZERO, Cost, TokenCounts


def shares_of(turn: TurnRecord, prices: Prices) -> list[ModelTotals]:
    """What each model was billed for the turn, which is one request of each."""
    steps = [_with_cost(turn, step, prices) for step in turn.steps if step.counts.any]
    doubt = _is_in_doubt(turn, steps)
    shares = merged(
        _total(step.terms.model or turn.model, step.counts, step.cost, doubt=doubt)
        for step in steps
    )
    if sum((share.counts for share in shares), TokenCounts()) != turn.counts:
        return [whole(turn)]
    cost = sum((share.cost for share in shares), ZERO)
    if turn.cost is not None and cost != turn.cost.total_cost:
        return [whole(turn)]
    return [
        msgspec.structs.replace(
            share,
            requests=1,
            unpriced=min(share.unpriced, 1),
            estimated=min(share.estimated, 1),
        )
        for share in shares
    ]


def whole(turn: TurnRecord) -> ModelTotals:
    """All of the turn as that of one model."""
    return _total(turn.model, turn.counts, turn.cost)


def merged(totals: Iterable[ModelTotals]) -> list[ModelTotals]:
    """The sums of each model, in the order of their names."""
    sums: dict[str, ModelTotals] = {}
    for one in totals:
        known = sums.get(one.model)
        sums[one.model] = one if known is None else known + one
    return [sums[model] for model in sorted(sums)]


def _with_cost(turn: TurnRecord, step: StepRecord, prices: Prices) -> StepRecord:
    """The request with what it cost; where that was not kept, at today's price."""
    if step.cost is not None or turn.cost is None:
        return step
    return msgspec.structs.replace(step, cost=step_cost(turn.model, step, prices))


def _is_in_doubt(turn: TurnRecord, steps: Iterable[StepRecord]) -> bool:
    """Whether the turn's cost is an estimate for no request of which that is known.

    It was interrupted after a whole answer: any model may have been asked once more.
    """
    known = any(step.cost is not None and step.cost.estimated for step in steps)
    return turn.cost is not None and turn.cost.estimated and not known


def _total(
    model: str, counts: TokenCounts, cost: Cost | None, *, doubt: bool = False
) -> ModelTotals:
    return ModelTotals(
        model=model,
        counts=counts,
        cost=ZERO if cost is None else cost.total_cost,
        requests=1,
        unpriced=int(cost is None),
        estimated=int(cost is not None and (cost.estimated or doubt)),
    )
