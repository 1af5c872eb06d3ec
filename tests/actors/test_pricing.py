"""What a turn costs."""

from __future__ import annotations

from actors.pricing import price_of
from protocol.records import StepRecord, TurnRecord
from protocol.usage import TokenCounts
from tests.actors.fakes import MODEL, FakePrices

HUNDRED = TokenCounts(uncached=100)


def row(model: str = MODEL, *steps: TokenCounts) -> TurnRecord:
    """A turn that was billed for `steps`."""
    return TurnRecord(
        turn_id="t",
        session_id="s",
        request_id="r",
        model=model,
        status="completed",
        created_at=1,
        counts=HUNDRED,
        steps=tuple(
            StepRecord(counts=step, stop_reason=None, estimated=False, counted_tokens=1)
            for step in steps
        ),
    )


def test_a_turn_costs_what_its_requests_cost() -> None:
    """Its sum has a price only when it made none: prices may depend on a request's length."""
    assert price_of(row(), FakePrices()) == FakePrices().price(MODEL, HUNDRED)
    once = FakePrices().price(MODEL, HUNDRED)
    assert once is not None
    assert price_of(row(MODEL, HUNDRED, HUNDRED), FakePrices()) == once + once
    assert price_of(row("claude-of-no-price", HUNDRED), FakePrices()) is None
