"""What was billed, as clients read it."""

from __future__ import annotations

from msgspec import UNSET

from actors.ports import Prices
from actors.usage.sharing import merged, shares_of, whole
from protocol.context import TurnInspection
from protocol.records import ModelTotals, TurnRecord, UsageTotals
from protocol.server import GrandTotal, ModelUsage, Usage, UsageReport
from protocol.usage import ZERO, Cost


def report(request_id: str, totals: UsageTotals, prices: Prices) -> UsageReport:
    """The models' totals and their sum.

    A turn of several models is a request of each of them, and one of the sum.
    """
    shares = [share for turn in totals.mixed for share in shares_of(turn, prices)]
    models = merged([*totals.models, *shares])
    turns = [*totals.models, *(whole(turn) for turn in totals.mixed)]
    return UsageReport(
        request_id=request_id,
        per_model={total.model: _model_usage(total) for total in models},
        grand_total=GrandTotal(
            total_cost=sum((total.cost for total in models), ZERO),
            total_tokens=sum(total.counts.input + total.counts.output for total in models),
            request_count=sum(total.requests for total in turns),
            unpriced_requests=sum(total.unpriced for total in turns),
            estimated_requests=sum(total.estimated for total in turns) or UNSET,
        ),
    )


def _model_usage(total: ModelTotals) -> ModelUsage:
    usage = Usage.of(total.counts, estimated=False)
    return ModelUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
        input_details=usage.input_details,
        output_details=usage.output_details,
        web_searches=usage.web_searches,
        total_cost=None if total.unpriced else total.cost,
        request_count=total.requests,
        unpriced_requests=total.unpriced,
        estimated_requests=total.estimated or UNSET,
    )


def inspection(turn: TurnRecord, cost: Cost | None) -> TurnInspection:
    """The turn's estimate next to its bill; `cost` is that of its first request."""
    billed = turn.first_counts.input
    return TurnInspection(
        turn_id=turn.turn_id,
        sections=list(turn.weights),
        token_estimate=turn.token_estimate,
        billed_tokens=billed,
        cost_estimate=turn.cost_estimate,
        billed_cost=None if cost is None else cost.input_cost,
        estimated=True if cost is not None and cost.estimated else UNSET,
        error=round(abs(turn.token_estimate - billed) / billed, 4) if billed else 0.0,
    )
