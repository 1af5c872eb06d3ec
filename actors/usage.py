"""Admission, durable records, aggregation: what every turn cost, whatever became of it."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_never

import msgspec
import trio

from actors.mailbox import Mailbox
from actors.ports import Clock, Prices, TurnStore
from actors.serving import serve
from protocol.errors import GatewayError
from protocol.mail import Admit, Done, OpenTurn, QueryUsage, SettleTurn, UsageMail, UsageTotals
from protocol.records import TurnRecord


class Usage:
    """The actor that owns the turns' rows."""

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
        self.open_rows = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Settle what a dead process left open, then serve until the mailbox is closed."""
        await self._store.settle_interrupted(self._clock.now())
        task_status.started()
        await serve(self._mailbox, self._respond, at_once=self._at_once)

    async def _respond(self, message: UsageMail) -> msgspec.Struct:
        match message:
            case Admit(max_cost=max_cost, cost_estimate=estimate):
                return _admit(max_cost, estimate)
            case OpenTurn(turn=turn):
                await self._store.open_turn(turn)
                self.open_rows += 1
                return Done()
            case SettleTurn(turn=turn):
                return await self._settle(turn)
            case QueryUsage(session_id=session_id, since=since, until=until):
                return UsageTotals(models=await self._store.total_usage(session_id, since, until))
        assert_never(message)

    async def _settle(self, turn: TurnRecord) -> TurnRecord:
        settled = msgspec.structs.replace(
            turn,
            settled_at=self._clock.now(),
            cost=self._prices.price(turn.model, turn.counts),
        )
        await self._store.settle_turn(settled)
        self.open_rows -= 1
        return settled


def _admit(max_cost: float | None, estimate: Decimal | None) -> Done:
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
