"""Admission, durable records, aggregation: what every turn cost, whatever became of it."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_never

import msgspec
import trio

from actors.mailbox import Mailbox
from actors.ports import Clock, Prices, TurnStore
from actors.pricing import first_cost, priced
from actors.serving import serve
from actors.usage.report import inspection, report
from protocol.client import UsageQuery
from protocol.context import TurnInspection
from protocol.errors import GatewayError
from protocol.mail import (
    Admit,
    Done,
    InspectTurn,
    NoteTurn,
    UsageMail,
)
from protocol.moments import parsed
from protocol.records import TurnRecord
from protocol.server import UsageReport
from protocol.usage import TokenCounts


class UsageActor:
    """The actor that admits turns, and knows what they cost."""

    def __init__(
        self,
        mailbox: Mailbox[UsageMail],
        *,
        store: TurnStore,
        prices: Prices,
        clock: Clock,
        at_once: int,
    ) -> None:
        self._mailbox = mailbox
        self._store = store
        self._prices = prices
        self._clock = clock
        self._at_once = at_once

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Settle what a dead process left open, then serve until the mailbox is closed."""
        for turn in await self._store.load_open_turns():
            await self._store.close_turn(self._interrupted(turn))
        task_status.started()
        await serve(self._mailbox, self._respond, at_once=self._at_once)

    async def _respond(self, message: UsageMail) -> msgspec.Struct | None:
        match message:
            case Admit(max_cost=max_cost, cost_estimate=cost_estimate):
                return _affordable(max_cost, cost_estimate)
            case NoteTurn(turn=turn):
                await self._store.note_turn(turn)
                return None
            case InspectTurn():
                return await self._inspect(message)
            case UsageQuery():
                return await self._total(message)
        assert_never(message)

    def _interrupted(self, turn: TurnRecord) -> TurnRecord:
        """How a turn that a dead process left open is settled: with what was known of it."""
        counts = turn.counts if turn.counts.any else TokenCounts(uncached=turn.token_estimate)
        known = msgspec.structs.replace(
            turn,
            model=turn.billed_model,
            status="interrupted",
            counts=counts,
            estimated=True,
            settled_at=self._clock.now(),
        )
        return priced(known, self._prices)

    async def _inspect(self, request: InspectTurn) -> TurnInspection:
        turn = await self._store.load_turn(request.session_id, request.turn_id)
        if turn is None:
            raise GatewayError("TURN_NOT_FOUND", "`turnId`: this session has had no such turn.")
        return inspection(turn, first_cost(turn, self._prices))

    async def _total(self, query: UsageQuery) -> UsageReport:
        since = None if query.since is None else parsed("since", query.since)
        until = None if query.until is None else parsed("until", query.until)
        totals = await self._store.total_usage(query.session_id, since, until)
        return report(query.id, totals, self._prices)


def _affordable(max_cost: float | None, estimate: Decimal | None) -> Done:
    if max_cost is None:
        return Done()
    if estimate is None:
        raise GatewayError(
            "BUDGET_EXCEEDED",
            "`maxCost` cannot be kept: this model has no known price. Add it to the price file, "
            "or leave `maxCost` out.",
        )
    if estimate > Decimal(str(max_cost)):
        raise GatewayError(
            "BUDGET_EXCEEDED",
            f"The context alone would cost about ${estimate:.4f}, more than `maxCost` "
            f"${max_cost:g}. Begin a new session, or raise it.",
        )
    return Done()
