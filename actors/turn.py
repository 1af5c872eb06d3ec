"""A turn that runs: its state, its scope, its log, and what is known of its outcome."""

from __future__ import annotations

import msgspec
import trio

from actors.turn_log import TurnLog
from protocol.answer import Answer
from protocol.client import ChatSend
from protocol.errors import Failure
from protocol.mail import CompleteTurn, ContextBuilt
from protocol.records import TurnRecord, TurnStatus
from protocol.server import Usage, WireCost
from protocol.states import TURN, TurnEvent, TurnState, advance
from protocol.turn import STOP_BUDGET, STOP_CANCELLED, Ended, Failed, Started
from protocol.usage import TokenCounts


class Turn:
    """One turn, from its admission to its terminal event."""

    def __init__(self, turn_id: str, send: ChatSend, log: TurnLog, created_at: int) -> None:
        self.turn_id = turn_id
        self.send = send
        self.log = log
        self.created_at = created_at
        self.session_id = send.session_id or ""  # a new session has its id once it is stored
        self.state: TurnState = "admitted"
        # Made here and not in the turn's task, so that no cancel before its first step is lost.
        self.scope = trio.CancelScope()
        self.answer = Answer(frozenset(tool.name for tool in send.tools or ()))
        self.failure: Failure | None = None
        self.over_budget = False
        self.opened: ContextBuilt | None = None
        """What its row was opened with, once that was asked for."""
        self.asked = False
        """Whether the provider may be billing for what it was asked and has not answered."""
        self.taken = False
        """Whether it has begun to answer, and has not said itself that it failed."""

    def advance(self, event: TurnEvent) -> None:
        """Move to the next state; see `protocol.states`."""
        self.state = advance(TURN, self.state, event)

    def fail(self, failure: Failure) -> None:
        """Something went wrong; what went wrong first is what is told."""
        self.failure = self.failure or failure

    def started(self, context: ContextBuilt) -> Started:
        """The first event of a turn that is on its way to the provider."""
        return Started(
            session_id=context.session.session_id,
            model=context.session.model,
            turn_id=self.turn_id,
            new_session_key=context.session.key if context.is_new else None,
        )

    def open_row(self, context: ContextBuilt) -> TurnRecord:
        """The intent, written before the provider is called."""
        return TurnRecord(
            turn_id=self.turn_id,
            session_id=context.session.session_id,
            request_id=self.send.id,
            model=context.session.model,
            status="open",
            created_at=self.created_at,
            counted_tokens=context.counted_tokens,
        )

    def outcome(self, context: ContextBuilt, counts: TokenCounts) -> TurnRecord:
        """The row as it is settled, but for its price."""
        return msgspec.structs.replace(
            self.open_row(context),
            status=self._status,
            stop_reason=self._stop_reason,
            error_code=self.failure.code if self.failure else None,
            counts=counts,
            estimated=(self.asked or self.answer.started) and not self.answer.output_is_final,
        )

    def completion(self, context: ContextBuilt) -> CompleteTurn:
        """What the session's history is to keep of the answer."""
        answer = self.answer
        blocks = answer.kept_blocks()
        return CompleteTurn(
            session_id=context.session.session_id,
            turn_id=self.turn_id,
            model=context.session.model,
            answer=msgspec.json.encode(blocks) if blocks else None,
            answer_text=answer.text,
            whole=answer.complete,
            counted_tokens=context.counted_tokens,
            billed_tokens=answer.counts.input or None,
            restore=context.before if self._is_refused_upstream else None,
        )

    def refused(self, failure: Failure) -> Failed:
        """The end of a turn of which nothing was sent to the provider."""
        return Failed(turn_id=self.turn_id, failure=failure, usage=None, cost=None)

    def ended(self, context: ContextBuilt, row: TurnRecord) -> Ended | Failed:
        """The end of a turn whose outcome is `row`."""
        usage = Usage.of(row.counts, estimated=row.estimated)
        cost = WireCost.of(row.cost)
        if self.failure is not None:
            billed = row.counts.any
            return Failed(
                turn_id=self.turn_id,
                failure=self.failure,
                usage=usage if billed else None,
                cost=cost if billed else None,
            )
        return Ended(
            turn_id=self.turn_id,
            stop_reason=self._stop_reason or STOP_CANCELLED,
            usage=usage,
            cost=cost,
            context=context.left_out,
        )

    @property
    def _is_refused_upstream(self) -> bool:
        """Whether the provider found fault with the request itself."""
        failure = self.failure
        return failure is not None and not failure.retryable and not self.answer.started

    @property
    def _status(self) -> TurnStatus:
        if self.failure is not None:
            return "failed"
        return "completed" if self.answer.complete else "cancelled"

    @property
    def _stop_reason(self) -> str | None:
        if self.failure is not None:
            return None
        if self.answer.complete:
            cut = self.answer.stop_reason == "max_tokens"
            if cut and self.opened is not None and self.opened.capped:
                return STOP_BUDGET
            return self.answer.stop_reason or "end_turn"
        return STOP_BUDGET if self.over_budget else STOP_CANCELLED
