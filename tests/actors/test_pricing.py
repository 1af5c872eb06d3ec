"""What a turn costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from actors.pricing import cost_of, first_cost, priced
from protocol.records import StepRecord, TurnRecord
from protocol.usage import Terms, TokenCounts
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
    assert priced(row(), FakePrices()).cost == FakePrices().price(MODEL, HUNDRED)
    once = FakePrices().price(MODEL, HUNDRED)
    assert once is not None
    assert priced(row(MODEL, HUNDRED, HUNDRED), FakePrices()).cost == once + once
    assert priced(row("claude-of-no-price", HUNDRED), FakePrices()).cost is None


def bill(prices: FakePrices | None = None, **terms: Any) -> tuple[Decimal | None, bool]:
    """What 100 tokens of input cost on these terms, and whether that is an estimate."""
    cost = cost_of(MODEL, HUNDRED, Terms(**terms), prices or FakePrices())
    return (None, False) if cost is None else (cost.total_cost, cost.estimated)


def test_the_model_that_answered_is_billed() -> None:
    """Where it has no price, the asked one's is an estimate."""
    plain = Decimal("0.0003")
    assert bill() == (plain, False)
    assert bill(model="other", asked=MODEL) == (plain, False)
    assert bill(model="no-price", asked=MODEL) == (plain, True)
    assert bill(model="no-price", asked="no-price-either") == (None, False)


def test_what_is_free_costs_nothing_and_what_is_uncertain_is_an_estimate() -> None:
    """Whatever was counted."""
    assert bill(is_free=True, model="no-price") == (Decimal(0), False)
    assert bill(is_uncertain=True) == (Decimal("0.0003"), True)


def test_a_cost_is_an_estimate_where_the_bill_is_one() -> None:
    """One request of the turn is enough, also one of which nothing was told."""
    turn = row(MODEL, HUNDRED, HUNDRED)
    first, second = turn.steps
    for doubtful in (
        msgspec.structs.replace(second, estimated=True),
        msgspec.structs.replace(second, estimated=True, counts=TokenCounts()),
    ):
        cost = priced(msgspec.structs.replace(turn, steps=(first, doubtful)), FakePrices()).cost
        assert cost is not None
        assert cost.estimated
    once = FakePrices().price(MODEL, HUNDRED)
    assert first_cost(turn, FakePrices()) == first_cost(row(), FakePrices()) == once
    interrupted = priced(msgspec.structs.replace(row(), estimated=True), FakePrices()).cost
    assert interrupted is not None
    assert interrupted.estimated


def test_each_request_keeps_what_it_cost() -> None:
    """In whole parts of a dollar's 12th place, of which the turn's cost is the sum."""
    prices = FakePrices()
    prices.per_input = Decimal("0.0000000000007")
    turn = priced(row(MODEL, TokenCounts(uncached=1), TokenCounts(uncached=2)), prices)
    costs = [step.cost.total_cost for step in turn.steps if step.cost is not None]
    assert costs == [Decimal("0.000000000001"), Decimal("0.000000000001")]
    assert turn.cost is not None
    assert turn.cost.total_cost == sum(costs)
