"""Turns: each is a task with its own cancel scope and its own turn log.

`_live` is a turn from beginning to end. A cancel covers the provider's stream alone: what comes
before is short and bounded, and what comes after, settling, must happen whatever happened.
"""

from __future__ import annotations

import logging
import math
import random
from decimal import Decimal

import msgspec
import trio

from actors.mailbox import Address, Mailbox
from actors.ports import Clock, Model, Names, Prices, Tokenizer
from actors.retry import RetryPolicy
from actors.serving import BUG, serve
from actors.turn_log import TurnLog, TurnLogs
from protocol.answer import Answer
from protocol.client import ChatSend
from protocol.errors import Failure, GatewayError, ProviderError
from protocol.mail import (
    Admit,
    BeginTurn,
    BuildContext,
    Cancelling,
    CancelTurn,
    CompleteTurn,
    ContextBuilt,
    DrainTurns,
    LlmMail,
    OpenTurn,
    SettleTurn,
    StartTurn,
    TurnAccepted,
)
from protocol.provider import MalformedEvent, MessageStart, Ping, StreamError
from protocol.records import TurnRecord, TurnStatus
from protocol.server import Usage, WireCost
from protocol.states import TURN, TurnEvent, TurnState, advance
from protocol.turn import STOP_BUDGET, STOP_CANCELLED, Ended, Failed, Started
from protocol.usage import TokenCounts

log = logging.getLogger(__name__)


class LlmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the llm actor is told at its start; seconds."""

    first_content_seconds: float
    idle_seconds: float
    settle_seconds: float
    ask_seconds: float
    retry: RetryPolicy
    at_once: int


class Turn:
    """A turn that runs: its state, its scope, its log, and what is known of its outcome."""

    def __init__(self, turn_id: str, send: ChatSend, log: TurnLog, created_at: int) -> None:
        self.turn_id = turn_id
        self.send = send
        self.log = log
        self.created_at = created_at
        self.session_id = send.session_id or ""  # a new session has its id once it is stored
        self.state: TurnState = "admitted"
        # Made here and not in the turn's task, so that no cancel before its first step is lost.
        self.scope = trio.CancelScope()
        self.context: ContextBuilt | None = None
        self.answer = Answer(frozenset(tool.name for tool in send.tools or ()))
        self.failure: Failure | None = None
        self.over_budget = False

    def advance(self, event: TurnEvent) -> None:
        """Move to the next state; see `protocol.states`."""
        self.state = advance(TURN, self.state, event)

    @property
    def status(self) -> TurnStatus:
        """What the row will say."""
        if self.failure is not None:
            return "failed"
        return "completed" if self.answer.complete else "cancelled"


class Llm:
    """The actor that owns the running turns."""

    def __init__(
        self,
        mailbox: Mailbox[LlmMail],
        settings: LlmSettings,
        *,
        context: Address,
        usage: Address,
        model: Model,
        tokenizer: Tokenizer,
        prices: Prices,
        logs: TurnLogs,
        clock: Clock,
        names: Names,
    ) -> None:
        self._mailbox = mailbox
        self._settings = settings
        self._context = context
        self._usage = usage
        self._model = model
        self._tokenizer = tokenizer
        self._prices = prices
        self._logs = logs
        self._clock = clock
        self._names = names
        self._turns: dict[str, Turn] = {}
        self._busy: dict[str, Turn] = {}
        self._started: dict[tuple[str, str], str] = {}
        self._draining = False
        self._nursery: trio.Nursery | None = None
        self.finished = trio.Event()

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until the mailbox is closed and every turn is settled."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            await serve(self._mailbox, self._respond, at_once=self._settings.at_once)
        self.finished.set()

    @property
    def states(self) -> dict[str, int]:
        """How many turns are in each state."""
        counts = dict.fromkeys(("admitted", "assembling", "streaming", "settling"), 0)
        for turn in self._turns.values():
            counts[turn.state] = counts.get(turn.state, 0) + 1
        return counts

    def cancel_all(self) -> None:
        """Stop every turn; each settles and ends by itself."""
        for turn in self._turns.values():
            turn.scope.cancel()

    async def _respond(self, message: LlmMail) -> msgspec.Struct | None:
        match message:
            case StartTurn(send=send):
                return self._start(send)
            case CancelTurn():
                return self._cancel(message)
            case DrainTurns():
                self._draining = True
        return None

    # The one turn of a session: checked and set without an await between.
    def _start(self, send: ChatSend) -> TurnAccepted:
        known = self._known_turn(send)
        if known is not None:
            return TurnAccepted(known)
        if self._draining:
            raise GatewayError(
                "DRAINING", "The gateway is about to stop. Reconnect and send again.", retryable=True
            )
        running = self._busy.get(send.session_id) if send.session_id else None
        if running is not None:
            raise GatewayError(
                "SESSION_BUSY",
                "Another turn of this session is still running. Wait for its end, or resume it.",
                retryable=True,
                turn_id=running.turn_id,
            )
        turn_id = self._names.new("turn")
        turn = Turn(turn_id, send, self._logs.create(turn_id), self._clock.now())
        self._turns[turn_id] = turn
        if send.session_id is not None:
            self._busy[send.session_id] = turn
            self._started[send.session_id, send.id] = turn_id
        assert self._nursery is not None
        self._nursery.start_soon(self._run_turn, turn)
        return TurnAccepted(turn_id)

    def _known_turn(self, send: ChatSend) -> str | None:
        """The turn that this very request has already started, while its log is kept."""
        if send.session_id is None:
            return None
        for key, turn_id in list(self._started.items()):
            if turn_id in self._logs:
                break
            del self._started[key]  # oldest first: logs expire in about the order of their start
        turn_id = self._started.get((send.session_id, send.id), "")
        return turn_id if turn_id in self._logs else None

    def _cancel(self, request: CancelTurn) -> Cancelling:
        turn = self._find(request)
        if turn is None:
            raise GatewayError("REQUEST_NOT_FOUND", "There is no such turn to cancel, or no more.")
        turn.scope.cancel()
        return Cancelling(turn.turn_id)

    def _find(self, request: CancelTurn) -> Turn | None:
        if request.turn_id is not None:
            return self._turns.get(request.turn_id)
        named = (turn for turn in self._turns.values() if turn.send.id == request.request_id)
        return next(named, None)

    # --- one turn, top to bottom ---------------------------------------------------------------

    async def _run_turn(self, turn: Turn) -> None:
        """The boundary of a turn: whatever goes wrong in it ends it alone."""
        try:
            terminal = await self._live(turn)
        except Exception:
            log.exception("turn %s ended by a mistake of the gateway", turn.turn_id)
            terminal = Failed(turn_id=turn.turn_id, failure=BUG, usage=None, cost=None)
        turn.state = "done"
        del self._turns[turn.turn_id]
        if self._busy.get(turn.session_id) is turn:
            del self._busy[turn.session_id]
        turn.log.append(terminal)
        self._logs.retire(turn.log)

    async def _live(self, turn: Turn) -> Ended | Failed:
        try:
            with trio.fail_after(self._settings.ask_seconds):
                turn.advance("assemble")
                turn.context = await self._context.ask(
                    BuildContext(turn_id=turn.turn_id, send=turn.send)
                )
                await self._usage.ask(
                    Admit(
                        max_cost=turn.send.max_cost, cost_estimate=turn.context.cost_estimate
                    )
                )
                await self._open(turn, turn.context)
        except trio.TooSlowError:
            return _refused(turn, _TOO_SLOW)
        except GatewayError as error:
            return _refused(turn, error.failure)
        await self._answer(turn, turn.context)
        return await self._settle(turn, turn.context)

    async def _open(self, turn: Turn, context: ContextBuilt) -> None:
        session = context.session
        await self._context.ask(
            BeginTurn(session=session, is_new=context.is_new, user_message=context.user_message)
        )
        await self._usage.ask(OpenTurn(turn=_row(turn, context)))
        turn.advance("call")
        turn.session_id = session.session_id
        self._busy[session.session_id] = turn
        turn.log.append(
            Started(
                session_id=session.session_id,
                model=session.model,
                turn_id=turn.turn_id,
                new_session_key=session.key if context.is_new else None,
            )
        )

    async def _answer(self, turn: Turn, context: ContextBuilt) -> None:
        """Stream into the log; whatever ends it is left in the turn."""
        try:
            with turn.scope:
                await self._stream_with_retry(turn, context)
        except GatewayError as error:
            turn.failure = error.failure
        except MalformedEvent as error:
            log.warning("turn %s: %s", turn.turn_id, error)
            turn.failure = _MALFORMED
        for event in turn.answer.flush():
            turn.log.append(event)

    async def _stream_with_retry(self, turn: Turn, context: ContextBuilt) -> None:
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._stream(turn, context)
            except ProviderError as error:
                delay = self._settings.retry.delay(error.failure, attempt, random.random())
                if delay is None or turn.answer.started:
                    raise
                log.info("turn %s: %s; again in %.1f s", turn.turn_id, error, delay)
            await trio.sleep(delay)

    async def _stream(self, turn: Turn, context: ContextBuilt) -> None:
        answer = turn.answer
        append = turn.log.append
        idle = self._settings.idle_seconds
        coarse = idle / 10  # moving a deadline at every delta would cost more than the delta
        with trio.CancelScope() as watch:
            watch.deadline = trio.current_time() + self._settings.first_content_seconds
            moved = -math.inf
            async with self._model.stream(context.body) as events:
                guard = BudgetGuard(self._prices, turn.send.max_cost, context)
                async for event in events:
                    if isinstance(event, Ping):
                        continue
                    if isinstance(event, StreamError):
                        raise _stream_failure(event)
                    for shown in answer.feed(event):
                        append(shown)
                    now = trio.current_time()
                    if now - moved > coarse and not isinstance(event, MessageStart):
                        watch.deadline, moved = now + idle, now
                    if guard.is_spent(answer):
                        turn.over_budget = True
                        return
                    if answer.complete:
                        return
            raise ProviderError(
                "LLM_ERROR",
                "The provider's answer broke off before its end. What came is kept; send again.",
                retryable=True,
            )
        if watch.cancelled_caught:
            raise ProviderError(
                "LLM_TIMEOUT",
                "The model has said nothing for too long. What came is kept; send again.",
                retryable=True,
            )

    # --- the epilogue --------------------------------------------------------------------------

    async def _settle(self, turn: Turn, context: ContextBuilt) -> Ended | Failed:
        turn.advance("settle")
        with trio.CancelScope(shield=True) as shield:
            shield.deadline = trio.current_time() + self._settings.settle_seconds
            counts = await self._billed(turn)
            try:
                await self._context.ask(_completion(turn, context))
                row = await self._usage.ask(SettleTurn(turn=_row(turn, context, counts)))
            except GatewayError as error:
                return _refused(turn, error.failure)
            turn.advance("finish")
            return _terminal(turn, context, row)
        return _refused(turn, _TOO_SLOW)

    async def _billed(self, turn: Turn) -> TokenCounts:
        """What the provider told, with the output estimated when it never told the final one."""
        counts = turn.answer.counts
        if turn.answer.output_is_final or not turn.answer.started:
            return counts
        (estimate,) = await self._tokenizer.count_many([turn.answer.text])
        return msgspec.structs.replace(counts, output=max(counts.output, estimate))


class BudgetGuard:
    """Says when a turn's output has used up `max_cost` USD, by an estimate of its characters."""

    CHARACTERS_PER_TOKEN = 3
    """On the low side for English: it stops rather early than late."""

    def __init__(self, prices: Prices, max_cost: float | None, context: ContextBuilt) -> None:
        self._prices = prices
        self._max_cost = None if max_cost is None else Decimal(str(max_cost))
        self._model = context.session.model
        self._characters: float | None = None

    def is_spent(self, answer: Answer) -> bool:
        """Whether to stop now."""
        if self._max_cost is None or not answer.started or answer.complete:
            return False
        if self._characters is None:
            self._characters = self._allowance(self._max_cost, answer.counts)
        return answer.shown_characters >= self._characters

    def _allowance(self, max_cost: Decimal, counts: TokenCounts) -> float:
        spent = self._prices.price(self._model, msgspec.structs.replace(counts, output=0))
        thousand = self._prices.price(self._model, msgspec.structs.replace(counts, output=1_000))
        if spent is None or thousand is None:
            return float("inf")
        per_token = (thousand.total_cost - spent.total_cost) / 1_000
        if not per_token:
            return float("inf")
        return float((max_cost - spent.total_cost) / per_token) * self.CHARACTERS_PER_TOKEN


_TOO_SLOW = Failure(
    code="OVERLOADED",
    message="The gateway is too busy to do this now. Try again in a moment.",
    retryable=True,
)
_MALFORMED = Failure(
    code="LLM_ERROR",
    message="The provider sent something unreadable, and the answer broke off. Send again.",
    retryable=True,
)


def _refused(turn: Turn, failure: Failure) -> Failed:
    return Failed(turn_id=turn.turn_id, failure=failure, usage=None, cost=None)


def _stream_failure(event: StreamError) -> ProviderError:
    """The provider's own words stay in the log: they may quote the prompt."""
    log.info("the provider broke off: %s", event.error.type)
    match event.error.type:
        case "overloaded_error":
            return ProviderError(
                "OVERLOADED", "The provider is overloaded. Send again in a moment.", retryable=True
            )
        case "rate_limit_error":
            return ProviderError(
                "RATE_LIMITED", "The provider's rate limit is reached. Wait a moment.", retryable=True
            )
        case "timeout_error":
            return ProviderError(
                "LLM_TIMEOUT", "The provider took too long. Send again.", retryable=True
            )
    return ProviderError(
        "LLM_ERROR", "The provider failed in the middle of the answer. Send again.", retryable=True
    )


def _row(
    turn: Turn, context: ContextBuilt, counts: TokenCounts | None = None
) -> TurnRecord:
    open_row = TurnRecord(
        turn_id=turn.turn_id,
        session_id=context.session.session_id,
        request_id=turn.send.id,
        model=context.session.model,
        status="open",
        created_at=turn.created_at,
        counted_tokens=context.counted_tokens,
    )
    if counts is None:
        return open_row
    return msgspec.structs.replace(
        open_row,
        status=turn.status,
        stop_reason=_stop_reason(turn),
        error_code=turn.failure.code if turn.failure else None,
        counts=counts,
        estimated=turn.answer.started and not turn.answer.output_is_final,
    )


def _stop_reason(turn: Turn) -> str | None:
    if turn.failure is not None:
        return None
    if turn.over_budget:
        return STOP_BUDGET
    return turn.answer.stop_reason or "end_turn" if turn.answer.complete else STOP_CANCELLED


def _completion(turn: Turn, context: ContextBuilt) -> CompleteTurn:
    answer = turn.answer
    blocks = answer.blocks if answer.complete else answer.partial_blocks()
    return CompleteTurn(
        session_id=context.session.session_id,
        turn_id=turn.turn_id,
        model=context.session.model,
        answer=msgspec.json.encode(blocks) if blocks else None,
        answer_text=answer.text,
        whole=answer.complete,
        counted_tokens=context.counted_tokens,
        billed_tokens=answer.counts.input or None,
    )


def _terminal(turn: Turn, context: ContextBuilt, row: TurnRecord) -> Ended | Failed:
    usage = Usage.of(row.counts, estimated=row.estimated)
    cost = WireCost.of(row.cost)
    if turn.failure is not None:
        billed = row.counts.any
        return Failed(
            turn_id=turn.turn_id,
            failure=turn.failure,
            usage=usage if billed else None,
            cost=cost if billed else None,
        )
    return Ended(
        turn_id=turn.turn_id,
        stop_reason=row.stop_reason or STOP_CANCELLED,
        usage=usage,
        cost=cost,
        context=context.left_out,
    )
