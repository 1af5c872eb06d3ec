"""Usage: admission, what a dead process left open, totals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import msgspec
import pytest
import trio
import trio.testing

from actors.mailbox import Mailbox
from actors.usage.usage import UsageActor
from protocol.client import UsageQuery
from protocol.errors import GatewayError
from protocol.mail import Admit, InspectTurn, NoteTurn, UsageMail
from protocol.records import StepRecord, TurnRecord
from protocol.usage import PLAIN_TERMS, Cost, Terms, TokenCounts
from tests.actors.fakes import MODEL, FakeClock, FakePrices, FakeStore

ROW = TurnRecord(
    turn_id="turn_1",
    session_id="s",
    request_id="r1",
    model=MODEL,
    status="open",
    created_at=5,
    counts=TokenCounts(uncached=1_000, output=100),
)
SETTLED = msgspec.structs.replace(
    ROW, status="completed", cost=Cost(input_cost=Decimal("0.003"), output_cost=Decimal("0.0015"))
)


@asynccontextmanager
async def serving(
    store: FakeStore, prices: FakePrices | None = None
) -> AsyncIterator[Mailbox[UsageMail]]:
    """The time in which a usage actor serves; what is asked goes to its mailbox."""
    mailbox: Mailbox[UsageMail] = Mailbox("usage", UsageMail, 4)
    usage = UsageActor(
        mailbox, store=store, prices=prices or FakePrices(), clock=FakeClock(), at_once=4
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(usage.run)
        yield mailbox
        mailbox.close()


def holding(*rows: TurnRecord) -> FakeStore:
    """A store with these rows."""
    store = FakeStore()
    store.rows = {row.turn_id: row for row in rows}
    return store


def step(uncached: int, output: int = 0) -> StepRecord:
    """One request of a turn."""
    return StepRecord(
        counts=TokenCounts(uncached=uncached, output=output),
        stop_reason="tool_use",
        estimated=False,
        counted_tokens=uncached,
    )


# --- what a dead process left open ---------------------------------------------------------------


async def test_what_a_dead_process_left_open_is_settled_before_anything_else() -> None:
    """It is billed what was known of it: the estimate, or what the provider told."""
    untold = msgspec.structs.replace(ROW, turn_id="untold", counts=TokenCounts(), token_estimate=70)
    store = holding(ROW, untold, msgspec.structs.replace(SETTLED, turn_id="settled"))
    async with serving(store):
        told, untold = store.rows["turn_1"], store.rows["untold"]
        assert (told.status, told.counts, told.estimated) == ("interrupted", ROW.counts, True)
        assert told.settled_at is not None
        assert untold.counts == TokenCounts(uncached=70)
        assert untold.cost == Cost(
            input_cost=Decimal("0.00021"), output_cost=Decimal(0), estimated=True
        )
        assert store.rows["settled"].status == "completed"


class TieredPrices(FakePrices):
    """A request of more than 1,000 input tokens costs twice as much."""

    def price(self, model: str, tokens: TokenCounts, terms: Terms = PLAIN_TERMS) -> Cost | None:
        """See `Prices`."""
        cost = super().price(model, tokens, terms)
        return cost + cost if cost is not None and tokens.input > 1_000 else cost


async def test_each_request_of_a_turn_has_its_own_price() -> None:
    """Long ones may cost more a token, and two short ones are no long one."""
    steps = (step(800, 10), step(900, 20), step(0))
    counts = TokenCounts(uncached=1_700, output=30)
    store = holding(msgspec.structs.replace(ROW, steps=steps, counts=counts))
    async with serving(store, TieredPrices()):
        assert store.rows["turn_1"].cost == Cost(
            input_cost=Decimal("0.0051"), output_cost=Decimal("0.00045"), estimated=True
        )


# --- the record of turns -------------------------------------------------------------------------


async def test_what_an_open_turn_was_billed_is_noted() -> None:
    """A note that comes late changes nothing."""
    store = FakeStore()
    async with serving(store) as mailbox:
        store.rows["turn_1"] = ROW
        more = msgspec.structs.replace(ROW, counts=TokenCounts(uncached=2_000))
        await mailbox.tell(NoteTurn(turn=more))
        await trio.testing.wait_all_tasks_blocked()
        assert store.rows["turn_1"] == more
        store.rows["turn_1"] = SETTLED
        await mailbox.tell(NoteTurn(turn=more))
        await trio.testing.wait_all_tasks_blocked()
        assert store.rows["turn_1"] == SETTLED


async def test_a_turn_is_found_by_its_session_and_id() -> None:
    """With what the input of its first request cost."""
    several = msgspec.structs.replace(SETTLED, steps=(step(800), step(900)))
    one = msgspec.structs.replace(SETTLED, turn_id="turn_2")
    free = msgspec.structs.replace(SETTLED, turn_id="turn_3", model="claude-of-no-price")
    async with serving(holding(several, one, free)) as mailbox:
        for turn_id, billed in (("turn_1", 800), ("turn_2", 1_000)):
            found = await mailbox.ask(InspectTurn(session_id="s", turn_id=turn_id))
            assert (found.turn_id, found.billed_tokens) == (turn_id, billed)
            assert found.billed_cost == Decimal("0.000003") * billed
        for session_id, turn_id in (("other", "turn_1"), ("s", "turn_9")):
            with pytest.raises(GatewayError, match="TURN_NOT_FOUND"):
                await mailbox.ask(InspectTurn(session_id=session_id, turn_id=turn_id))
        found = await mailbox.ask(InspectTurn(session_id="s", turn_id="turn_3"))
        assert found.billed_cost is None


async def test_an_estimate_is_held_against_the_bill() -> None:
    """By how much it was off, of 1; a turn that was not billed has no error."""
    off = msgspec.structs.replace(SETTLED, token_estimate=1_250)
    unbilled = msgspec.structs.replace(
        SETTLED, turn_id="turn_2", counts=TokenCounts(), token_estimate=70
    )
    async with serving(holding(off, unbilled)) as mailbox:
        for turn_id, error in (("turn_1", 0.25), ("turn_2", 0.0)):
            found = await mailbox.ask(InspectTurn(session_id="s", turn_id=turn_id))
            assert found.error == error


async def test_totals_are_the_stores() -> None:
    """By model, in the time that was asked for."""
    store = holding(SETTLED)
    async with serving(store) as mailbox:
        came, next_day = "1970-01-01T00:00:00.005Z", "1970-01-02"
        asked = UsageQuery(id="r1", session_id="s", since=came, until=next_day)
        found = await mailbox.ask(asked)
        (used,) = found.per_model.values()
        assert ([*found.per_model], used.request_count) == ([MODEL], 1)
        assert used.total_cost == found.grand_total.total_cost == Decimal("0.0045")
        assert (used.total_tokens, found.grand_total.total_tokens) == (1_100, 1_100)
        later = UsageQuery(id="r2", session_id="s", since="1970-01-01T00:00:00.006Z")
        assert (await mailbox.ask(later)).per_model == {}


async def test_a_total_without_a_price_is_no_sum() -> None:
    """How many requests had none is told."""
    free = msgspec.structs.replace(SETTLED, model="claude-of-no-price", cost=None)
    async with serving(holding(free)) as mailbox:
        found = await mailbox.ask(UsageQuery(id="r1"))
        (used,) = found.per_model.values()
        assert (used.total_cost, used.unpriced_requests) == (None, 1)
        assert found.grand_total.unpriced_requests == 1


# --- admission -----------------------------------------------------------------------------------


async def admit(max_cost: float | None, estimate: str | None) -> str | None:
    """Ask for admission: why it is refused, if it is."""
    cost = None if estimate is None else Decimal(estimate)
    async with serving(FakeStore()) as mailbox:
        try:
            await mailbox.ask(Admit(max_cost=max_cost, cost_estimate=cost))
        except GatewayError as error:
            return str(error)
    return None


async def test_without_a_limit_everybody_is_admitted() -> None:
    """Whatever it costs, known or not."""
    assert await admit(None, "1000000") is None
    assert await admit(None, None) is None


async def test_a_context_that_costs_more_than_the_limit_is_refused() -> None:
    """To the digit: 0.1 is a tenth, and no float."""
    assert await admit(0.1, "0.1") is None
    refusal = await admit(0.1, "0.1000000000000000000001")
    assert refusal is not None
    assert refusal.startswith("BUDGET_EXCEEDED: The context alone would cost about $0.1000")


async def test_a_limit_that_cannot_be_kept_is_refused() -> None:
    """The model has no known price."""
    refusal = await admit(0.1, None)
    assert refusal is not None
    assert "no known price" in refusal
