"""Turns: each is a task with its own cancel scope and its own turn log.

`_live` is a turn from beginning to end. A cancel covers only its conversation with the provider.
What comes before is short and bounded. Settling comes after, and must happen in any case.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import assert_never

import msgspec
import trio

from actors.deadline import TOO_SLOW, deadline
from actors.mailbox import STOPPING, Address, Mailbox
from actors.ports import Clock, Media, Model, Names, Prices, Tokenizer, Tools
from actors.pricing import priced
from actors.serving import BUG, serve_in_turn
from actors.turn_log import TurnLogs
from actors.turns.conversation import Conversation, ConversationSettings
from actors.turns.ending import Ending
from actors.turns.faults import TOO_LONG, log_line
from actors.turns.notes import Notes
from actors.turns.outcome import completion, ended, refused, settled
from actors.turns.running import Running
from actors.turns.step import Step
from actors.turns.tools import ToolRunner, ToolSettings
from actors.turns.turn import Turn
from actors.turns.upstream import Upstream
from protocol.client import ChatSend
from protocol.errors import Failure, GatewayError, session_busy
from protocol.mail import (
    AnswerTool,
    ApproveTool,
    BeginTurn,
    Cancelling,
    CancelTurn,
    CompleteTurn,
    Done,
    DrainTurns,
    EndSession,
    LlmMail,
    StartTurn,
    TurnAccepted,
    WithdrawTurn,
)
from protocol.turn import Ended, Failed

log = logging.getLogger(__name__)


class LlmSettings(ConversationSettings, frozen=True, kw_only=True):
    """What the llm actor is told at its start; seconds."""

    settle_seconds: float
    turn_seconds: float
    note_seconds: float
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
        self._notes = Notes(usage, settings.note_seconds)
        self._upstream = Upstream(model, prices, settings, self._notes.add)
        self._runner = ToolRunner(tools, media, settings.tools)
        self._conversation = Conversation(
            self._upstream,
            self._runner,
            settings,
            context=context,
            prices=prices,
            note=self._notes.add,
        )
        self._tokenizer = tokenizer
        self._prices = prices
        self._logs = logs
        self._clock = clock
        self._names = names
        self._running = Running(logs)
        self._draining = False
        self._nursery: trio.Nursery | None = None
        self.finished = trio.Event()
        self.quiet = trio.Event()
        """Set when no turn is left after they were cancelled."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until the mailbox is closed and every turn is settled."""
        async with trio.open_nursery() as notes:
            notes.start_soon(self._notes.run)
            async with trio.open_nursery() as self._nursery:
                task_status.started()
                await serve_in_turn(self._mailbox, self._respond)
            notes.cancel_scope.cancel()
        self.finished.set()

    @property
    def states(self) -> dict[str, int]:
        """How many turns are in each state."""
        return self._running.states

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
        for turn in self._running:
            turn.cancel()
        if not self._running:
            self.quiet.set()

    def _respond(self, message: LlmMail) -> msgspec.Struct | None:
        match message:
            case StartTurn(send=send):
                return self._start(send)
            case CancelTurn():
                turn = self._running.named(message)
                turn.cancel()
                return Cancelling(turn.turn_id)
            case EndSession(session_id=session_id):
                self._running.end_session(session_id)
                self._runner.forget(session_id)
                return Done()
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
        known = self._running.of_request(send)
        if known is not None:
            return TurnAccepted(known)
        if self._draining:
            raise GatewayError.of(STOPPING)
        running = self._running.of_session(send.session_id)
        if running is not None:
            raise session_busy(running.turn_id)
        turn_id = self._names.new("turn")
        turn = Turn(turn_id, send, self._logs.create(turn_id), self._clock.now())
        self._running.add(turn)
        assert self._nursery is not None
        self._nursery.start_soon(self._run_turn, turn)
        return TurnAccepted(turn_id)

    def _answer_tool(self, request: AnswerTool) -> Done:
        call_id = request.tool_call_id
        turn = self._running.asking(request.turn_id, lambda turn: turn.awaits_output(call_id))
        turn.outputs.give(call_id, request.answer)
        return Done()

    def _approve_tool(self, request: ApproveTool) -> Done:
        call_id = request.tool_call_id
        turn = self._running.asking(request.turn_id, lambda turn: turn.awaits_approval(call_id))
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
            await self._abandon(turn, BUG)
            terminal = refused(turn, BUG)
        if isinstance(terminal, Failed):
            log.warning("%s", log_line(turn, terminal.failure))
        turn.state = "done"
        self._running.remove(turn)
        turn.log.append(terminal)
        self._logs.retire(turn.log)
        if self._draining and not self._running:
            self.quiet.set()

    async def _live(self, turn: Turn) -> Ended | Failed:
        try:
            with deadline(self._settings.ask_seconds):
                await self._begin(turn)
        except GatewayError as error:
            self._running.forget_request(turn)
            if error.failure in (TOO_SLOW, BUG):
                # It may have begun, or begin yet: its row must not stay open.
                assert self._nursery is not None
                self._nursery.start_soon(self._abandon, turn, error.failure)
            return refused(turn, error.failure)
        ending = Ending()  # of a turn that is cancelled
        with turn.limited(self._settings.turn_seconds):
            ending = await self._conversation.hold(turn)
        turn.tell_start()
        if turn.took_too_long:
            ending = Ending(failure=TOO_LONG)
        return await self._settle(turn, ending)

    async def _begin(self, turn: Turn) -> None:
        """Have built what is to be sent, and written down if it may be. Raises GatewayError."""
        turn.advance("assemble")
        request = BeginTurn(turn_id=turn.turn_id, send=turn.send, created_at=turn.created_at)
        turn.begin(await self._context.ask(request))
        self._running.occupy(turn)
        turn.advance("call")

    async def _settle(self, turn: Turn, ending: Ending) -> Ended | Failed:
        """Write down what was received and what it cost, whatever happened before."""
        turn.advance("settle")
        self._notes.drop(turn)
        untold = [step for step in turn.steps if step.is_untold]
        if untold:
            ending = ending.but(await self._attempt(turn, self._estimate_output(turn, untold)))
        row = priced(settled(turn, ending, at=self._clock.now()), self._prices)
        ending = ending.but(await self._complete(turn, completion(turn, ending, row)))
        turn.advance("finish")
        return ended(turn, ending, row)

    async def _abandon(self, turn: Turn, failure: Failure) -> None:
        """Settle a turn of which nothing is told but its failure."""
        if not turn.has_begun:  # as far as is known here
            await self._complete(turn, WithdrawTurn(turn_id=turn.turn_id))
            return
        ending = Ending(failure=failure)
        row = settled(turn, ending, at=self._clock.now())
        with suppress(Exception):  # pricing may be what went wrong
            row = priced(row, self._prices)
        request = CompleteTurn(turn=row, at=turn.confirmed, messages=[])
        with suppress(Exception):  # and so may what was said
            request = completion(turn, ending, row)
        await self._complete(turn, request)

    async def _complete(self, turn: Turn, request: CompleteTurn | WithdrawTurn) -> Failure | None:
        """Have the turn's end written in one commit; how that failed, if it did.

        If it takes too long, a task of its own asks again: the request may not have reached the
        mailbox, and asking twice does no harm.
        """
        failure = await self._attempt(turn, self._context.ask(request))
        if failure == TOO_SLOW:
            assert self._nursery is not None
            self._nursery.start_soon(self._insist, turn, request)
        return failure

    async def _insist(self, turn: Turn, request: CompleteTurn | WithdrawTurn) -> None:
        """Ask until the turn's end is written; the next start writes what a stop leaves open."""
        failure: Failure | None = TOO_SLOW
        while failure == TOO_SLOW and not self._draining:
            failure = await self._attempt(turn, self._context.ask(request))

    async def _attempt(self, turn: Turn, step: Awaitable[object]) -> Failure | None:
        """One step of settling: how it failed, if it did. The next step is done all the same."""
        try:
            with deadline(self._settings.settle_seconds, shield=True):
                await step
        except GatewayError as error:
            return error.failure
        except Exception:
            log.exception("turn %s could not be settled in full", turn.turn_id)
            return BUG
        return None

    async def _estimate_output(self, turn: Turn, untold: Sequence[Step]) -> None:
        """Count what came of each answer whose final figure the provider never told."""
        for step in untold:
            texts = [step.answer.text, step.answer.reasoning]
            said, thought = await self._tokenizer.count_many(texts)
            step.output_estimate = round(said * turn.built.ratio)
            step.thinking_estimate = round(thought * turn.built.ratio)
