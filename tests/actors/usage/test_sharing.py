"""What each model was billed of a turn that several have answered."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from actors.pricing import priced
from actors.usage.report import report
from actors.usage.sharing import shares_of, whole
from protocol.records import ModelTotals, StepRecord, TurnRecord, UsageTotals
from protocol.usage import Terms, TokenCounts
from tests.actors.fakes import MODEL, FakePrices

OTHER = Terms(model="claude-other", asked=MODEL)
STEP = StepRecord(
    counts=TokenCounts(uncached=100), stop_reason="tool_use", estimated=False, counted_tokens=1
)


def turn(*steps: StepRecord, **fields: Any) -> TurnRecord:
    """A turn with these requests, as it is settled."""
    row = TurnRecord(
        turn_id="t",
        session_id="s",
        request_id="r",
        model=MODEL,
        status="completed",
        created_at=1,
        steps=steps,
        counts=sum((step.counts for step in steps), TokenCounts()),
    )
    return priced(msgspec.structs.replace(row, **fields), FakePrices())


def step(terms: Terms = OTHER, **fields: Any) -> StepRecord:
    """A request that the other model has answered."""
    return msgspec.structs.replace(STEP, terms=terms, **fields)


def told(*shares: ModelTotals) -> list[tuple[str, int, Decimal, int, int, int]]:
    """Model, tokens, cost; requests, those without a price, those that are estimates."""
    return [
        (one.model, one.counts.input, one.cost, one.requests, one.unpriced, one.estimated)
        for one in shares
    ]


def test_each_model_has_its_tokens_cost_and_one_request() -> None:
    """However many requests of the turn it has answered."""
    mixed = turn(STEP, step(), step(counts=TokenCounts(uncached=50)), step(counts=TokenCounts()))
    once = Decimal("0.0003")
    assert told(*shares_of(mixed, FakePrices())) == [
        ("claude-other", 150, once * 3 / 2, 1, 0, 0),
        (MODEL, 100, once, 1, 0, 0),
    ]


def test_an_estimate_is_that_of_the_model_whose_answer_was_cut_off() -> None:
    """The other one's figures are exact."""
    mixed = turn(STEP, step(estimated=True))
    assert [one[5] for one in told(*shares_of(mixed, FakePrices()))] == [1, 0]


def test_a_turn_that_was_interrupted_between_two_answers_is_an_estimate_of_both() -> None:
    """Either may have been asked once more."""
    mixed = turn(STEP, step(), estimated=True, status="interrupted")
    assert [one[5] for one in told(*shares_of(mixed, FakePrices()))] == [1, 1]


def test_a_share_without_a_price_leaves_the_other_its_cost() -> None:
    """The turn has no cost then, and the sum has what is known."""
    mixed = turn(step(Terms(model="no-price")), step())
    assert mixed.cost is None
    shares = shares_of(mixed, FakePrices())
    once = Decimal("0.0003")
    assert told(*shares) == [("claude-other", 100, once, 1, 0, 0), ("no-price", 100, 0, 1, 1, 0)]
    found = report("r", UsageTotals(mixed=(mixed,)), FakePrices())
    assert found.per_model["no-price"].total_cost is None
    assert found.grand_total.total_cost == once
    assert (found.grand_total.request_count, found.grand_total.unpriced_requests) == (1, 1)


def test_a_row_without_its_requests_costs_is_shared_at_todays_prices_if_they_make_it() -> None:
    """Otherwise it is of the model that was asked, and no sum changes."""
    mixed = turn(STEP, step())
    bare = tuple(msgspec.structs.replace(one, cost=None) for one in mixed.steps)
    old, dearer = msgspec.structs.replace(mixed, steps=bare), FakePrices()
    assert shares_of(old, FakePrices()) == shares_of(mixed, FakePrices())
    dearer.per_input *= 2
    assert shares_of(old, dearer) == [whole(mixed)]
    assert len(shares_of(mixed, dearer)) == 2


def test_a_damaged_row_is_of_one_model() -> None:
    """Its requests do not make its sum."""
    mixed = msgspec.structs.replace(turn(STEP, step()), counts=TokenCounts(uncached=7))
    assert told(*shares_of(mixed, FakePrices())) == [(MODEL, 7, Decimal("0.0006"), 1, 0, 0)]


def test_a_turn_of_two_models_is_a_request_of_each_and_one_in_all() -> None:
    """Next to a turn of one model."""
    mixed, plain = turn(STEP, step(estimated=True)), turn(STEP)
    totals = UsageTotals(models=(whole(plain),), mixed=(mixed,))
    found = report("r", totals, FakePrices())
    assert {model: one.request_count for model, one in found.per_model.items()} == {
        MODEL: 2,
        "claude-other": 1,
    }
    total = found.grand_total
    assert (total.request_count, total.estimated_requests, total.total_tokens) == (2, 1, 300)
    assert total.total_cost == Decimal("0.0009")
