"""Turns: each is a task with its own cancel scope and its own turn log.

`_live` is a turn from beginning to end. A cancel covers its conversation with the provider alone:
what comes before is short and bounded, and what comes after, settling, must happen whatever
happened.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar, assert_never, get_args

import msgspec
import trio

from actors.deadline import deadline
from actors.mailbox import STOPPING, ActorStopped, Address, Mailbox, MailboxFull
from actors.ports import Clock, Media, Model, Names, Prices, Tokenizer, Tools
from actors.pricing import price_of
from actors.serving import BUG, serve
from actors.turn_log import TurnLogs
from actors.turns.conversation import Conversation, ConversationSettings
from actors.turns.tools import ToolRunner, ToolSettings
from actors.turns.turn import Turn
from actors.turns.upstream import Upstream
from protocol.client import ChatSend
from protocol.errors import GatewayError
from protocol.mail import (
    Admit,
    AnswerTool,
    ApproveTool,
    BeginTurn,
    BuildContext,
    Cancelling,
    CancelTurn,
    ContextBuilt,
    Done,
    DrainTurns,
    EndSession,
    LlmMail,
    NoteTurn,
    OpenTurn,
    SettleTurn,
    StartTurn,
    TurnAccepted,
)
from protocol.states import TurnState
from protocol.turn import Ended, Failed

T = TypeVar("T")

log = logging.getLogger(__name__)


class LlmSettings(ConversationSettings, frozen=True, kw_only=True):
    """What the llm actor is told at its start; seconds."""

    settle_seconds: float
    at_once: int
    tools: ToolSettings


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
        tools: Tools,
        media: Media,
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
        self._upstream = Upstream(model, prices, settings, self._note)
        self._runner = ToolRunner(tools, media, settings.tools)
        self._conversation = Conversation(
            self._upstream, self._runner, settings, context=context, prices=prices, note=self._note
        )
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
        self.quiet = trio.Event()
        """Set when no turn is left after they were cancelled."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until the mailbox is closed and every turn is settled."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            await serve(self._mailbox, self._respond, at_once=self._settings.at_once)
        self.finished.set()

    @property
    def states(self) -> dict[str, int]:
        """How many turns are in each state."""
        counts = {state: 0 for state in get_args(TurnState) if state != "done"}
        for turn in self._turns.values():
            counts[turn.state] = counts.get(turn.state, 0) + 1
        return counts

    @property
    def pings(self) -> int:
        """How many pings the provider has sent since the start."""
        return self._upstream.pings

    @property
    def longest_silence(self) -> float:
        """Seconds since the most silent of the streams last brought content."""
        return self._upstream.longest_silence

    def cancel_all(self) -> None:
        """Stop every turn; each settles and ends by itself."""
        for turn in self._turns.values():
            turn.scope.cancel()
        if not self._turns:
            self.quiet.set()

    async def _respond(self, message: LlmMail) -> msgspec.Struct | None:
        match message:
            case StartTurn(send=send):
                return self._start(send)
            case CancelTurn():
                return self._cancel(message)
            case EndSession(session_id=session_id):
                return self._end_session(session_id)
            case AnswerTool():
                return self._answer_tool(message)
            case ApproveTool():
                return self._approve_tool(message)
            case DrainTurns():
                self._draining = True
                return None
        assert_never(message)

    # The one turn of a session: checked and set without an await between.
    def _start(self, send: ChatSend) -> TurnAccepted:
        known = self._known_turn(send)
        if known is not None:
            return TurnAccepted(known)
        if self._draining:
            raise GatewayError.of(STOPPING)
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
        while self._started:
            oldest = next(iter(self._started))
            if self._started[oldest] in self._logs:
                break
            del self._started[oldest]  # logs expire in about the order of their start
        if send.session_id is None:
            return None
        turn_id = self._started.get((send.session_id, send.id), "")
        turn = self._turns.get(turn_id)
        if turn is not None and turn.send.content != send.content:
            raise GatewayError(
                "INVALID_MESSAGE",
                "`id`: this session answers another message of this `id` just now; a new message "
                "needs a new one.",
            )
        return turn_id if turn_id in self._logs else None

    def _cancel(self, request: CancelTurn) -> Cancelling:
        turn = self._find(request)
        if turn is None:
            raise GatewayError(
                "REQUEST_NOT_FOUND",
                "There is no such turn to cancel, or no more, or `requestId` names several: then "
                "`turnId` says which.",
            )
        turn.scope.cancel()
        return Cancelling(turn.turn_id)

    def _end_session(self, session_id: str) -> Done:
        turn = self._busy.get(session_id)
        if turn is not None:
            turn.scope.cancel()
        self._runner.forget(session_id)
        for (session, _), turn_id in self._started.items():
            if session == session_id:
                self._logs.forget(turn_id)
        return Done()

    def _find(self, request: CancelTurn) -> Turn | None:
        if request.turn_id is not None:
            return self._turns.get(request.turn_id)
        # Clients choose their requests' ids, and two of them may well count from 1: only a turn
        # that nobody watches can be meant by a client that does not watch it.
        named = [
            turn
            for turn in self._turns.values()
            if turn.send.id == request.request_id and not turn.log.watchers
        ]
        return named[0] if len(named) == 1 else None

    # Calls have the provider's ids; should two turns have the same, the watched one is meant.
    def _asking(self, turn_id: str | None, waits: Callable[[Turn], bool]) -> Turn:
        running = [turn for turn in self._turns.values() if not turn.scope.cancel_called]
        asking = [turn for turn in running if waits(turn)]
        if not asking:
            raise GatewayError(
                "REQUEST_NOT_FOUND", "No tool call of this id waits for an answer, or no more."
            )
        return next((turn for turn in asking if turn.turn_id == turn_id), asking[0])

    def _answer_tool(self, request: AnswerTool) -> Done:
        call_id = request.tool_call_id
        turn = self._asking(request.turn_id, lambda turn: turn.awaits_output(call_id))
        turn.outputs.give(call_id, request.answer)
        return Done()

    def _approve_tool(self, request: ApproveTool) -> Done:
        call_id = request.tool_call_id
        turn = self._asking(request.turn_id, lambda turn: turn.awaits_approval(call_id))
        self._runner.approve(
            turn, call_id, approved=request.approved, for_session=request.for_session
        )
        return Done()

    # --- one turn, top to bottom ---------------------------------------------------------------

    async def _run_turn(self, turn: Turn) -> None:
        """The boundary of a turn: whatever goes wrong in it ends it alone."""
        try:
            terminal = await self._live(turn)
        except Exception:
            log.exception("turn %s ended by a mistake of the gateway", turn.turn_id)
            terminal = turn.refused(BUG)
        turn.state = "done"
        del self._turns[turn.turn_id]
        if self._busy.get(turn.session_id) is turn:
            del self._busy[turn.session_id]
        turn.log.append(terminal)
        self._logs.retire(turn.log)
        if self._draining and not self._turns:
            self.quiet.set()

    async def _live(self, turn: Turn) -> Ended | Failed:
        try:
            with deadline(self._settings.ask_seconds):
                context = await self._measure(turn)
                await self._open(turn, context)
        except GatewayError as error:
            # It has had no turn: the same request may be sent again, and find the cause mended.
            self._started.pop((turn.session_id, turn.send.id), None)
            turn.fail(error.failure)
            if turn.opened is not None:
                # Its row may yet be written, late: it must not stay open.
                assert self._nursery is not None
                self._nursery.start_soon(self._settle_refused, turn, turn.opened)
            return turn.refused(error.failure)
        with turn.scope:
            await self._conversation.hold(turn, context)
        return await self._settle(turn, context)

    async def _measure(self, turn: Turn) -> ContextBuilt:
        """What would be sent, if it may be. Raises GatewayError."""
        turn.advance("assemble")
        context = await self._context.ask(BuildContext(turn_id=turn.turn_id, send=turn.send))
        await self._usage.ask(
            Admit(
                session_id=turn.send.session_id,
                request_id=turn.send.id,
                max_cost=turn.send.max_cost,
                cost_estimate=context.likely_cost,
            )
        )
        return context

    async def _open(self, turn: Turn, context: ContextBuilt) -> None:
        """Write down the intent. Raises GatewayError."""
        session = context.session
        turn.session_id = session.session_id
        self._busy[turn.session_id] = turn
        self._started[turn.session_id, turn.send.id] = turn.turn_id
        await self._context.ask(
            BeginTurn(session=session, is_new=context.is_new, user_message=context.user_message)
        )
        turn.opened = context
        await self._usage.ask(OpenTurn(turn=turn.row(context)))
        turn.advance("call")
        turn.log.append(turn.started(context))

    # --- the epilogue --------------------------------------------------------------------------

    async def _settle(self, turn: Turn, context: ContextBuilt) -> Ended | Failed:
        """Write down what was received and what it cost, whatever happened before."""
        turn.advance("settle")
        turn.close_calls()
        await self._attempt(turn, self._estimate_output(turn, context))
        await self._attempt(turn, self._remember(turn, context))
        outcome = turn.outcome(context)
        row = await self._attempt(turn, self._usage.ask(SettleTurn(turn=outcome)))
        if row is None:  # it is told all the same what was billed
            row = msgspec.structs.replace(outcome, cost=price_of(outcome, self._prices))
        turn.advance("finish")
        return turn.ended(row)

    async def _settle_refused(self, turn: Turn, context: ContextBuilt) -> None:
        await self._attempt(turn, self._usage.ask(SettleTurn(turn=turn.outcome(context))))

    async def _attempt(self, turn: Turn, step: Awaitable[T]) -> T | None:
        """One step of settling; when it fails, so does the turn, but the next step is done."""
        try:
            with deadline(self._settings.settle_seconds, shield=True):
                return await step
        except GatewayError as error:
            turn.fail(error.failure)
        except Exception:
            log.exception("turn %s could not be settled in full", turn.turn_id)
            turn.fail(BUG)
        return None

    async def _remember(self, turn: Turn, context: ContextBuilt) -> Done:
        """Append what the turn said to the session's history."""
        return await self._context.ask(turn.completion(context))

    async def _estimate_output(self, turn: Turn, context: ContextBuilt) -> None:
        """Count what came of an answer whose final figure the provider never told."""
        step = turn.step
        if step.answer.started and step.is_estimated:
            texts = [step.answer.text, step.answer.reasoning]
            said, thought = await self._tokenizer.count_many(texts)
            step.output_estimate = round(said * context.ratio)
            step.thinking_estimate = round(thought * context.ratio)

    def _note(self, turn: Turn, context: ContextBuilt) -> None:
        """Write down what was billed so far: should we die now, it is known."""
        with suppress(MailboxFull, ActorStopped):
            self._usage.offer(NoteTurn(turn=turn.row(context)))
