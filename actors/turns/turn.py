"""A turn that runs: its state, its scope, its log, its steps, and what is known of its outcome."""

from __future__ import annotations

import msgspec
import trio

from actors.turn_log import TurnLog
from actors.turns.approvals import Answers
from actors.turns.step import Step
from protocol.answer import Answer
from protocol.client import ChatSend
from protocol.context import SentContext, with_cleared, with_dropped
from protocol.errors import Failure
from protocol.mail import CompleteTurn, ContextBuilt, ContextExtended, NewMessage
from protocol.prompt import Prompt
from protocol.provider.content import Block
from protocol.records import Attached, TurnRecord, TurnStatus
from protocol.repetition import Repetition
from protocol.server import Usage, WireCost
from protocol.states import TURN, TurnState, TurnTransition, advance
from protocol.tools import ToolAnswer
from protocol.turn import STOP_BUDGET, STOP_CANCELLED, Ended, Failed, Started, ToolAnswered
from protocol.usage import TokenCounts


class Asked(msgspec.Struct, frozen=True):
    """A call that waits for somebody's consent, which may have to be given `every_time`."""

    call_id: str
    name: str
    every_time: bool


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
        self.steps: list[Step] = []
        self.repetition = Repetition()
        self.outputs: Answers[ToolAnswer] = Answers()
        self.approvals: Answers[bool] = Answers()
        self.asked: dict[str, Asked] = {}
        self.failure: Failure | None = None
        self.stop: str | None = None
        """Why the gateway ended the turn, when it did."""
        self.opened: ContextBuilt | None = None
        """What its row was opened with, once that was asked for."""
        self.left_out: SentContext | None = None
        self.attached = Attached()
        """The pictures and documents of its question, and of what its tools have answered."""
        self.kept = False
        """Whether the history may have a part of the answer already."""
        self._urls: set[str] = set()
        self._call_ids: set[str] = set()

    def advance(self, event: TurnTransition) -> None:
        """Move to the next state; see `protocol.states`."""
        self.state = advance(TURN, self.state, event)

    def fail(self, failure: Failure) -> None:
        """Something went wrong; what went wrong first is what is told."""
        self.failure = self.failure or failure

    # --- its steps -----------------------------------------------------------------------------

    @property
    def step(self) -> Step:
        """The latest step."""
        return self.steps[-1]

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to ask the provider."""
        return self.failure is not None or self.stop is not None or not self.step.wants_more

    def begin(self, context: ContextBuilt) -> None:
        """The first step."""
        self.left_out = context.left_out
        self.attached = context.user_message.attached
        self._add(context, context.prompt, context.token_estimate, held=[])

    def resume(self, context: ContextBuilt, extended: ContextExtended) -> None:
        """The next step, once its request is made: behind the tools' answers, or behind a pause."""
        held = self.step.blocks if self.step.answer.pauses else []
        self.left_out = extended.left_out
        self._add(context, extended.prompt, extended.token_estimate, held)

    def replace(self, context: ContextBuilt, shortened: ContextExtended) -> None:
        """The latest step once more, with less before it: the provider did not take it."""
        refused = self.steps.pop()
        self.left_out = shortened.left_out
        self._add(context, shortened.prompt, shortened.token_estimate, refused.held)

    @property
    def base(self) -> Prompt:
        """The latest request without what paused: what the next one is made from."""
        prompt = self.step.prompt
        if not self.step.held:
            return prompt
        return msgspec.structs.replace(prompt, current=prompt.current[:-1])

    def _add(self, context: ContextBuilt, prompt: Prompt, estimate: int, held: list[Block]) -> None:
        answer = Answer(frozenset(context.client_tools), self._urls, self._call_ids)
        self.steps.append(Step(prompt, answer, held, estimate=estimate))

    # --- what it waits for ---------------------------------------------------------------------

    def ask(self, call_id: str, name: str, *, every_time: bool) -> None:
        """Somebody must agree to the call before it runs."""
        self.asked[call_id] = Asked(call_id, name, every_time)

    def awaits_approval(self, call_id: str) -> bool:
        """Whether nobody has said yet if the call may run."""
        return call_id in self.asked and call_id not in self.approvals

    def awaits_output(self, call_id: str) -> bool:
        """Whether a client was asked to run the call, and has not answered yet."""
        if not self.steps or self.opened is None or call_id in self.outputs:
            return False
        return call_id not in self.step.answers and any(
            call["id"] == call_id and call["name"] in self.opened.client_tools
            for call in self.step.answer.calls
        )

    @property
    def counts(self) -> TokenCounts:
        """What was billed, all steps together."""
        return sum((step.counts for step in self.steps), TokenCounts())

    def close_calls(self) -> None:
        """Every call that was shown is answered, if only by the word that it was not run."""
        step = self.step
        for call in step.answer.calls:
            if call["id"] not in step.answers:
                self.log.append(ToolAnswered(call["id"], call["name"], step.answer_of(call["id"])))

    # --- what is told of it --------------------------------------------------------------------

    def started(self, context: ContextBuilt) -> Started:
        """The first event of a turn that is on its way to the provider."""
        return Started(
            session_id=context.session.session_id,
            model=context.session.model,
            turn_id=self.turn_id,
            new_session_key=context.session.key if context.is_new else None,
        )

    def row(self, context: ContextBuilt) -> TurnRecord:
        """The row of a turn that is not settled, with what was billed so far."""
        return TurnRecord(
            turn_id=self.turn_id,
            session_id=context.session.session_id,
            request_id=self.send.id,
            model=context.session.model,
            status="open",
            created_at=self.created_at,
            counted_tokens=context.prompt.counted_tokens,
            counts=self.counts,
            steps=tuple(step.record for step in self.steps),
            token_estimate=context.token_estimate,
            cost_estimate=context.cost_estimate,
            weights=context.weights,
        )

    def outcome(self, context: ContextBuilt) -> TurnRecord:
        """The row as it is settled, but for its price."""
        return msgspec.structs.replace(
            self.row(context),
            status=self._status,
            stop_reason=self._stop_reason,
            error_code=self.failure.code if self.failure else None,
            estimated=any(step.is_estimated for step in self.steps),
        )

    def completion(self, context: ContextBuilt) -> CompleteTurn:
        """What the session's history is to keep of it, and what there is to learn from it."""
        samples = [step.sample for step in self.steps]
        once = len(self.steps) == 1
        return CompleteTurn(
            session_id=context.session.session_id,
            turn_id=self.turn_id,
            messages=self._messages(),
            was_kept=self.kept,
            samples=[sample for sample in samples if sample is not None],
            restore=context.before if self._is_refused_upstream and once else None,
        )

    def _messages(self) -> list[NewMessage]:
        """What the turn adds to the history; an answer that paused is a part of the next one."""
        if self._is_refused_upstream and len(self.steps) > 1:
            self.steps[-2].withhold()
        told = [
            step
            for step, following in zip(self.steps, [*self.steps[1:], None], strict=True)
            if following is None or not step.answer.pauses
        ]
        messages = [
            message
            for number, step in enumerate(told)
            for message in step.messages(
                [result for later in told[number + 1 :] for result in later.result_ids]
            )
        ]
        if self.step.answer.stop_reason != "refusal":
            return messages
        return [msgspec.structs.replace(message, status="refused") for message in messages]

    def refused(self, failure: Failure) -> Failed:
        """The end of a turn of which nothing was sent to the provider."""
        return Failed(turn_id=self.turn_id, failure=failure, usage=None, cost=None)

    def ended(self, row: TurnRecord) -> Ended | Failed:
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
            context=self._sent_context,
            steps=[step.usage for step in self.steps],
        )

    @property
    def _sent_context(self) -> SentContext | None:
        # Each step's request was cleared from the beginning again: the last one has cleared most.
        edits = next((step.answer.edits for step in reversed(self.steps) if step.answer.edits), [])
        sent = with_cleared(
            self.left_out,
            sum(edit.cleared_tool_uses for edit in edits),
            sum(edit.cleared_input_tokens for edit in edits),
        )
        return with_dropped(sent, max(step.answer.mismatched for step in self.steps))

    @property
    def _is_refused_upstream(self) -> bool:
        """Whether the provider found fault with the request itself."""
        failure = self.failure
        return failure is not None and not failure.retryable and not self.step.answer.started

    @property
    def _is_whole(self) -> bool:
        """Whether the model has said all it had to say."""
        return bool(self.steps) and self.step.answer.complete and not self.step.wants_more

    @property
    def _status(self) -> TurnStatus:
        if self.failure is not None:
            return "failed"
        ended_by_us = self.stop is not None and self.stop != STOP_BUDGET
        return "completed" if self._is_whole or ended_by_us else "cancelled"

    @property
    def _stop_reason(self) -> str | None:
        if self.failure is not None:
            return None
        if self.stop is not None:
            return self.stop
        if not self._is_whole:
            return STOP_CANCELLED
        reason = self.step.answer.stop_reason
        capped = self.opened is not None and self.opened.capped
        if reason == "max_tokens" and capped:
            return STOP_BUDGET
        return reason or "end_turn"
