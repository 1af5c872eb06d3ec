"""A client's questions: what to ask which actor, and how the answer is said on the wire."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec import UNSET

from actors.mailbox import Address
from protocol.client import (
    AnyClientMessage,
    ContextInspect,
    ModelList,
    SessionCreate,
    SessionDelete,
    SessionHistory,
    SessionList,
    UsageQuery,
)
from protocol.context import TurnInspection
from protocol.errors import GatewayError
from protocol.mail import (
    CreateSession,
    DeleteSession,
    EndSession,
    FindTurn,
    InspectContext,
    ListModels,
    ListSessions,
    QueryUsage,
    ReadHistory,
    TurnFound,
    UsageTotals,
)
from protocol.records import MessageRecord, ModelTotals, SessionRecord
from protocol.server import (
    ContextInspection,
    GrandTotal,
    HistoryMessage,
    ModelListing,
    ModelUsage,
    ServerMessage,
    SessionCreated,
    SessionDeleted,
    SessionHistoryPage,
    SessionListing,
    SessionSummary,
    Usage,
    UsageReport,
)
from protocol.usage import ZERO


class Queries:
    """Answers what needs no stream.

    `page_size` is how long a list is unless it is said, `longest_page` whatever is said.
    """

    def __init__(
        self, *, context: Address, llm: Address, usage: Address, page_size: int, longest_page: int
    ) -> None:
        self._context = context
        self._llm = llm
        self._usage = usage
        self._page_size = page_size
        self._longest_page = longest_page

    async def answer(self, message: AnyClientMessage) -> ServerMessage:
        """The answer. Raises GatewayError."""
        match message:
            case ContextInspect():
                return await self._inspect(message)
            case UsageQuery():
                return await self._total(message)
            case SessionCreate():
                return await self._create(message)
            case SessionList():
                return await self._list(message)
            case SessionHistory():
                return await self._read(message)
            case SessionDelete():
                return await self._delete(message)
            case ModelList():
                page = await self._context.ask(ListModels())
                return ModelListing(
                    request_id=message.id, default_model=page.default_model, models=page.models
                )
        raise TypeError(f"{type(message).__name__} is no question")

    async def _inspect(self, message: ContextInspect) -> ContextInspection:
        found = await self._context.ask(
            InspectContext(
                session_id=message.session_id,
                content=message.content,
                model=message.model,
                exact=message.exact,
            )
        )
        turn = None if message.turn_id is None else await self._find(message, message.turn_id)
        return ContextInspection(
            request_id=message.id,
            model=found.model,
            sections=found.sections,
            totals=found.totals,
            window=found.window,
            calibration=found.calibration,
            context=found.left_out or UNSET,
            exact_tokens=UNSET if found.exact_tokens is None else found.exact_tokens,
            turn=turn or UNSET,
        )

    async def _find(self, message: ContextInspect, turn_id: str) -> TurnInspection:
        found = await self._usage.ask(FindTurn(session_id=message.session_id, turn_id=turn_id))
        return _turn_inspection(found)

    async def _total(self, message: UsageQuery) -> UsageReport:
        totals = await self._usage.ask(
            QueryUsage(
                session_id=message.session_id,
                since=_milliseconds("since", message.since),
                until=_milliseconds("until", message.until),
            )
        )
        return _report(message.id, totals)

    async def _create(self, message: SessionCreate) -> SessionCreated:
        session = await self._context.ask(
            CreateSession(
                model=message.model,
                agent_id=message.agent_id,
                system=message.system,
                title=message.title,
            )
        )
        return SessionCreated(
            session_id=session.session_id, session_key=session.key, request_id=message.id
        )

    async def _delete(self, message: SessionDelete) -> SessionDeleted:
        """The session's turn is stopped too: nobody is to pay for an answer without a place."""
        session_id = message.session_id
        missing: GatewayError | None = None
        try:
            await self._context.ask(DeleteSession(session_id=session_id))
        except GatewayError as error:
            if error.failure.code != "SESSION_NOT_FOUND":
                raise
            missing = error  # it may have been deleted just now, by somebody who did not wait
        await self._llm.ask(EndSession(session_id=session_id))
        if missing is not None:
            raise missing
        return SessionDeleted(request_id=message.id, session_id=session_id)

    async def _list(self, message: SessionList) -> SessionListing:
        page = await self._context.ask(
            ListSessions(limit=self._limit(message.limit), before=message.before)
        )
        return SessionListing(
            request_id=message.id,
            sessions=[_summary(session) for session in page.sessions],
            next=page.next or UNSET,
        )

    def _limit(self, wanted: int | None) -> int:
        return min(wanted or self._page_size, self._longest_page)

    async def _read(self, message: SessionHistory) -> SessionHistoryPage:
        page = await self._context.ask(
            ReadHistory(
                session_id=message.session_id,
                limit=self._limit(message.limit),
                before=message.before,
            )
        )
        answered = set(page.answered)
        return SessionHistoryPage(
            request_id=message.id,
            session_id=message.session_id,
            messages=[_history_message(record, answered) for record in page.messages],
            next=page.next or UNSET,
        )


def iso(milliseconds: int) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(milliseconds / 1_000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milliseconds(field: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise GatewayError(
            "INVALID_MESSAGE", f"`{field}`: a date and time of ISO 8601, as 2026-11-21T09:00:00Z."
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000)


def _summary(session: SessionRecord) -> SessionSummary:
    return SessionSummary(
        session_id=session.session_id,
        session_key=session.key,
        model=session.model,
        created_at=iso(session.created_at),
        last_active_at=iso(session.last_active_at),
        message_count=session.message_count,
        title=session.title or UNSET,
    )


def _turn_inspection(found: TurnFound) -> TurnInspection:
    turn = found.turn
    billed = turn.first_counts.input
    return TurnInspection(
        turn_id=turn.turn_id,
        sections=list(turn.weights),
        token_estimate=turn.token_estimate,
        billed_tokens=billed,
        cost_estimate=turn.cost_estimate,
        billed_cost=found.input_cost,
        error=round(abs(turn.token_estimate - billed) / billed, 4) if billed else 0.0,
    )


def _history_message(record: MessageRecord, answered: set[str]) -> HistoryMessage:
    status: str | msgspec.UnsetType = UNSET
    if record.status != "complete":
        status = record.status
    elif record.turn_id not in answered:
        status = "unanswered"
    return HistoryMessage(
        role=record.role,
        content=msgspec.json.decode(record.content),
        created_at=iso(record.created_at),
        tokens=record.token_count + record.media_tokens,
        turn_id=record.turn_id,
        status=status,  # type: ignore[arg-type]
    )


def _report(request_id: str, totals: UsageTotals) -> UsageReport:
    return UsageReport(
        request_id=request_id,
        per_model={total.model: _model_usage(total) for total in totals.models},
        grand_total=GrandTotal(
            total_cost=sum((total.cost for total in totals.models), ZERO),
            total_tokens=sum(total.counts.input + total.counts.output for total in totals.models),
            request_count=sum(total.requests for total in totals.models),
            unpriced_requests=sum(total.unpriced for total in totals.models),
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
    )
