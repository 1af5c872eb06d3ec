"""Admission, durable records, aggregation: what every turn cost, whatever became of it."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_never

import msgspec
import trio

from actors.mailbox import Mailbox
from actors.ports import Clock, Prices, TurnStore
from actors.pricing import price_of
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
    OpenTurn,
    SettleTurn,
    UsageMail,
)
from protocol.moments import parsed
from protocol.records import TurnRecord
from protocol.server import UsageReport
from protocol.usage import TokenCounts


class UsageActor:
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
        self._open: dict[str, int] = {}

    @property
    def open_rows(self) -> int:
        """How many rows were opened and are not settled yet."""
        return len(self._open)

    @property
    def oldest_open_seconds(self) -> float:
        """How long ago the oldest unsettled turn began; 0 when every row is settled."""
        if not self._open:
            return 0.0
        return max(0, self._clock.now() - min(self._open.values())) / 1_000

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Settle what a dead process left open, then serve until the mailbox is closed."""
        for turn in await self._store.load_open_turns():
            await self._store.settle_turn(self._interrupted(turn))
        task_status.started()
        await serve(self._mailbox, self._respond, at_once=self._at_once)

    async def _respond(self, message: UsageMail) -> msgspec.Struct | None:
        match message:
            case Admit():
                return await self._admit(message)
            case NoteTurn(turn=turn):
                await self._store.note_turn(turn)
                return None
            case OpenTurn(turn=turn):
                self._open[turn.turn_id] = turn.created_at
                await self._store.open_turn(turn)
                return Done()
            case SettleTurn(turn=turn):
                return await self._settle(turn)
            case InspectTurn():
                return await self._inspect(message)
            case UsageQuery():
                return await self._total(message)
        assert_never(message)

    def _interrupted(self, turn: TurnRecord) -> TurnRecord:
        """How a turn that a dead process left open is settled: with what was known of it."""
        counts = turn.counts if turn.counts.any else TokenCounts(uncached=turn.counted_tokens)
        known = msgspec.structs.replace(turn, status="interrupted", counts=counts, estimated=True)
        return self._settled(known)

    def _settled(self, turn: TurnRecord) -> TurnRecord:
        """The turn, priced, as it is written now."""
        return msgspec.structs.replace(
            turn, settled_at=self._clock.now(), cost=price_of(turn, self._prices)
        )

    async def _inspect(self, request: InspectTurn) -> TurnInspection:
        turn = await self._store.load_turn(request.session_id, request.turn_id)
        if turn is None:
            raise GatewayError("TURN_NOT_FOUND", "`turnId`: this session has had no such turn.")
        cost = self._prices.price(turn.model, turn.first_counts)
        return inspection(turn, None if cost is None else cost.input_cost)

    async def _total(self, query: UsageQuery) -> UsageReport:
        since = None if query.since is None else parsed("since", query.since)
        until = None if query.until is None else parsed("until", query.until)
        totals = await self._store.total_usage(query.session_id, since, until)
        return report(query.id, totals)

    async def _admit(self, request: Admit) -> Done:
        if request.session_id is not None:
            turn_id = await self._store.find_turn(request.session_id, request.request_id)
            if turn_id is not None:
                raise GatewayError(
                    "TURN_NOT_FOUND",
                    "This request has had its turn, too long ago to be resumed. What came of it is "
                    "in the session's history; a new question needs a new `id`.",
                    turn_id=turn_id,
                )
        return _affordable(request.max_cost, request.cost_estimate)

    async def _settle(self, turn: TurnRecord) -> TurnRecord:
        settled = self._settled(turn)
        await self._store.settle_turn(settled)
        self._open.pop(turn.turn_id, None)
        return settled


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
