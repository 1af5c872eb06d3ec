"""Usage: admission, one row a turn, totals."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
import trio

from actors.mailbox import Mailbox
from actors.usage.usage import UsageActor
from protocol.client import UsageQuery
from protocol.errors import GatewayError
from protocol.mail import Admit, Done, InspectTurn, OpenTurn, SettleTurn, UsageMail
from protocol.records import StepRecord, TurnRecord
from protocol.usage import Cost, TokenCounts
from tests.actors.fakes import MODEL, FakeClock, FakePrices, FakeStore, World, open_world

ROW = TurnRecord(
    turn_id="turn_1",
    session_id="s",
    request_id="r1",
    model=MODEL,
    status="open",
    created_at=5,
    counts=TokenCounts(uncached=1_000, output=100),
)


async def test_what_a_dead_process_left_open_is_settled_before_anything_else() -> None:
    """It is billed what was known of it: the counted prompt, or what the provider told."""
    store = FakeStore()
    store.rows["told"] = msgspec.structs.replace(ROW, turn_id="told")
    store.rows["untold"] = msgspec.structs.replace(
        ROW, turn_id="untold", counts=TokenCounts(), counted_tokens=70
    )
    mailbox: Mailbox[UsageMail] = Mailbox("usage", UsageMail, 4)
    usage = UsageActor(mailbox, store=store, prices=FakePrices(), clock=FakeClock(), at_once=4)
    async with trio.open_nursery() as nursery:
        await nursery.start(usage.run)
        mailbox.close()
    told, untold = store.rows["told"], store.rows["untold"]
    assert (told.status, told.counts, told.estimated) == ("interrupted", ROW.counts, True)
    assert untold.counts == TokenCounts(uncached=70)
    assert untold.cost == Cost(input_cost=Decimal("0.00021"), output_cost=Decimal(0))


async def test_a_turn_is_priced_when_it_is_settled() -> None:
    """Its row says what it cost, and when; the answer comes after the commit."""
    async with open_world() as world:
        assert await world.usage_box.ask(OpenTurn(turn=ROW)) == Done()
        assert world.usage.open_rows == 1
        settled = await world.usage_box.ask(
            SettleTurn(turn=msgspec.structs.replace(ROW, status="completed"))
        )
        assert settled.cost == Cost(input_cost=Decimal("0.003"), output_cost=Decimal("0.0015"))
        assert settled.settled_at is not None
        assert world.row == settled
        assert world.usage.open_rows == 0


def step(uncached: int, output: int = 0) -> StepRecord:
    """One request of a turn."""
    return StepRecord(
        counts=TokenCounts(uncached=uncached, output=output),
        stop_reason="tool_use",
        estimated=False,
        counted_tokens=uncached,
    )


class TieredPrices(FakePrices):
    """A request of more than 1,000 input tokens costs twice as much."""

    def price(self, model: str, tokens: TokenCounts) -> Cost | None:
        """See `Prices`."""
        cost = super().price(model, tokens)
        return cost + cost if cost is not None and tokens.input > 1_000 else cost


@pytest.mark.parametrize("status", ["completed", "interrupted"])
async def test_each_request_of_a_turn_has_its_own_price(status: str) -> None:
    """Long ones may cost more a token, and two short ones are no long one."""
    store = FakeStore()
    steps = (step(800, 10), step(900, 20), step(0))
    row = msgspec.structs.replace(
        ROW, steps=steps, counts=TokenCounts(uncached=1_700, output=30), status="open"
    )
    mailbox: Mailbox[UsageMail] = Mailbox("usage", UsageMail, 4)
    usage = UsageActor(mailbox, store=store, prices=TieredPrices(), clock=FakeClock(), at_once=4)
    if status == "interrupted":
        store.rows["turn_1"] = row
    async with trio.open_nursery() as nursery:
        await nursery.start(usage.run)
        if status == "completed":
            await mailbox.ask(SettleTurn(turn=row))
        mailbox.close()
    assert store.rows["turn_1"].cost == Cost(
        input_cost=Decimal("0.0051"), output_cost=Decimal("0.00045")
    )


async def test_a_turn_is_found_by_its_session_and_id() -> None:
    """With what the input of its first request cost."""
    async with open_world() as world:
        for turn_id, steps in (("turn_1", (step(800), step(900))), ("turn_2", ())):
            row = msgspec.structs.replace(ROW, turn_id=turn_id, steps=steps, status="completed")
            await world.usage_box.ask(SettleTurn(turn=row))
            found = await world.usage_box.ask(InspectTurn(session_id="s", turn_id=turn_id))
            assert (found.turn_id, found.billed_tokens) == (turn_id, 800 if steps else 1_000)
            assert found.billed_cost == Decimal("0.000003") * found.billed_tokens
        for session_id, turn_id in (("other", "turn_1"), ("s", "turn_9")):
            with pytest.raises(GatewayError, match="TURN_NOT_FOUND"):
                await world.usage_box.ask(InspectTurn(session_id=session_id, turn_id=turn_id))
        free = msgspec.structs.replace(ROW, turn_id="turn_3", model="claude-of-no-price")
        await world.usage_box.ask(SettleTurn(turn=free))
        found = await world.usage_box.ask(InspectTurn(session_id="s", turn_id="turn_3"))
        assert found.billed_cost is None


async def test_the_oldest_row_that_is_not_settled_has_an_age() -> None:
    """In whatever order rows were opened; none when all of them are settled."""
    async with open_world() as world:
        assert world.usage.oldest_open_seconds == 0
        now = world.usage._clock.now()
        for turn_id, age in (("young", 2_000), ("old", 60_000)):
            row = msgspec.structs.replace(ROW, turn_id=turn_id, created_at=now - age)
            await world.usage_box.ask(OpenTurn(turn=row))
        assert world.usage.oldest_open_seconds == pytest.approx(60, abs=0.1)
        for turn_id, oldest in (("old", 2), ("young", 0)):
            row = msgspec.structs.replace(ROW, turn_id=turn_id, status="completed")
            await world.usage_box.ask(SettleTurn(turn=row))
            assert world.usage.oldest_open_seconds == pytest.approx(oldest, abs=0.1)
        ahead = msgspec.structs.replace(ROW, created_at=now + 60_000)
        await world.usage_box.ask(OpenTurn(turn=ahead))
        assert world.usage.oldest_open_seconds == 0  # the clock was set back


async def test_a_model_without_a_price_has_no_cost() -> None:
    """Never a guess."""
    async with open_world() as world:
        row = msgspec.structs.replace(ROW, model="claude-of-no-price")
        assert (await world.usage_box.ask(SettleTurn(turn=row))).cost is None


async def admit(world: World, max_cost: float | None, estimate: str | None) -> Done:
    """Ask for admission."""
    cost = None if estimate is None else Decimal(estimate)
    return await world.usage_box.ask(
        Admit(session_id=None, request_id="r", max_cost=max_cost, cost_estimate=cost)
    )


async def test_without_a_limit_everybody_is_admitted() -> None:
    """Whatever it costs, known or not."""
    async with open_world() as world:
        assert await admit(world, None, "1000000") == Done()
        assert await admit(world, None, None) == Done()


async def test_a_context_that_costs_more_than_the_limit_is_refused() -> None:
    """To the digit: 0.1 is a tenth, and no float."""
    async with open_world() as world:
        assert await admit(world, 0.1, "0.1") == Done()
        with pytest.raises(GatewayError, match="BUDGET_EXCEEDED"):
            await admit(world, 0.1, "0.1000000000000000000001")


async def test_a_limit_that_cannot_be_kept_is_refused() -> None:
    """The model has no known price."""
    async with open_world() as world:
        with pytest.raises(GatewayError, match="no known price"):
            await admit(world, 0.1, None)


async def test_totals_are_the_stores() -> None:
    """By model, in the time that was asked for."""
    async with open_world() as world:
        await world.usage_box.ask(SettleTurn(turn=msgspec.structs.replace(ROW, status="failed")))
        came, next_day = "1970-01-01T00:00:00.005Z", "1970-01-02"
        asked = UsageQuery(id="r1", session_id="s", since=came, until=next_day)
        found = await world.usage_box.ask(asked)
        assert [(model, used.request_count) for model, used in found.per_model.items()] == [
            (MODEL, 1)
        ]
        later = UsageQuery(id="r2", session_id="s", since="1970-01-01T00:00:00.006Z")
        assert (await world.usage_box.ask(later)).per_model == {}


async def test_a_request_has_one_turn_in_a_session() -> None:
    """Asked again when its log is gone, it is told where its answer is, and never billed twice."""
    async with open_world() as world:
        await world.usage_box.ask(OpenTurn(turn=ROW))
        again = Admit(session_id="s", request_id="r1", max_cost=None, cost_estimate=None)
        with pytest.raises(GatewayError, match="history") as caught:
            await world.usage_box.ask(again)
        assert (caught.value.failure.code, caught.value.failure.turn_id) == (
            "TURN_NOT_FOUND",
            "turn_1",
        )
        other = Admit(session_id="s", request_id="r2", max_cost=None, cost_estimate=None)
        assert await world.usage_box.ask(other) == Done()
