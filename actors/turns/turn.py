"""A turn that runs: its state, its scope, its log, its steps, and whom it waits for."""

from __future__ import annotations

import msgspec
import trio
from msgspec import UNSET, UnsetType

from actors.turn_log import TurnLog
from actors.turns.approvals import Answers
from actors.turns.renewing import Renewal
from actors.turns.step import Step, without_body
from protocol.answer import Answer
from protocol.calls import CallIds
from protocol.client import ChatSend
from protocol.context import SentContext, with_cleared, with_dropped, with_epoch
from protocol.mail import ContextBuilt, NewMessage
from protocol.prompt import Prompt
from protocol.provider.content import Block
from protocol.provider.model_ids import other_model
from protocol.records import Attached, TurnRecord
from protocol.repetition import Repetition
from protocol.server_uses import ServerUses
from protocol.states import TURN, TurnState, TurnTransition, advance
from protocol.stopping import StopDetails
from protocol.tools import ToolAnswer
from protocol.turn import Started, ToolAnswered, ToolCalled
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
        self.session_id = send.session_id or ""  # a new session has its id once it is built
        self.state: TurnState = "admitted"
        # Made here and not in the turn's task, so that no cancel before its first step is lost.
        self._scope = trio.CancelScope()
        self.is_cancelled = False
        """Whether somebody has asked it to stop."""
        self._start_is_told = False
        self.steps: list[Step] = []
        self.renewals: list[Renewal] = []
        """How requests that the provider refused were made anew."""
        self.confirmed = 0
        """How many of the turn's messages after the question the session has."""
        self.repetition = Repetition()
        self.outputs: Answers[ToolAnswer] = Answers()
        self.approvals: Answers[bool] = Answers()
        self.asked: dict[str, Asked] = {}
        self.attached = Attached()
        """The pictures and documents of its question, and of what its tools have answered."""
        self._built: ContextBuilt | None = None
        self._epoch: int | UnsetType = UNSET
        self._dropped = 0
        """Thinking blocks that the provider refused, and that were left out for it."""
        self._urls: set[str] = set()
        self._call_ids = CallIds(turn_id)
        self._server_uses = ServerUses()

    def advance(self, event: TurnTransition) -> None:
        """Move to the next state; see `protocol.states`."""
        self.state = advance(TURN, self.state, event)

    # --- its end -------------------------------------------------------------------------------

    def cancel(self) -> None:
        """Stop its conversation with the provider, also if that has not begun."""
        self.is_cancelled = True
        self._scope.cancel()

    def limited(self, seconds: float) -> trio.CancelScope:
        """The scope of its conversation, which may take so long."""
        self._scope.relative_deadline = seconds
        return self._scope

    @property
    def is_ending(self) -> bool:
        """Whether its conversation is being cut, whatever for."""
        return self._scope.cancel_called

    @property
    def took_too_long(self) -> bool:
        """Whether its conversation was cut because its time was over."""
        return self._scope.cancelled_caught and not self.is_cancelled

    # --- its context ---------------------------------------------------------------------------

    def begin(self, built: ContextBuilt) -> None:
        """Its beginning is written; the first step sends what was built."""
        first = built.prompt
        self._built = msgspec.structs.replace(built, prompt=without_body(first))
        self.session_id = built.session_id
        self.attached = built.attached
        self.resume(first)

    @property
    def has_begun(self) -> bool:
        """Whether it is known that its beginning is written."""
        return self._built is not None

    @property
    def built(self) -> ContextBuilt:
        """What it has sent first; its body goes with the first step."""
        assert self._built is not None
        return self._built

    def tell_start(self) -> None:
        """Tell that it is on its way; however often this is said, it is told once."""
        if not self._start_is_told:
            self._start_is_told = True
            self.log.append(self._started)

    # --- its steps -----------------------------------------------------------------------------

    @property
    def step(self) -> Step:
        """The latest step."""
        return self.steps[-1]

    def resume(self, prompt: Prompt) -> None:
        """The next step, once its request is made."""
        if prompt.context is not None and prompt.context.epoch is not UNSET:
            self._epoch = prompt.context.epoch
            self._dropped += prompt.context.dropped_thinking or 0
        is_data = self.send.output_format is not None
        answer = Answer(
            self._urls,
            self._call_ids,
            self._server_uses,
            is_data=is_data,
            for_an_hour=prompt.for_an_hour,
            most_searches=prompt.most_searches,
        )
        self.steps.append(Step(self.built.model, prompt, answer, ratio=self.built.ratio))

    def replace(self, prompt: Prompt) -> None:
        """The latest step once more, with another request: the provider did not take it."""
        self.steps.pop()
        self.resume(prompt)

    def confirm(self, messages: list[NewMessage]) -> None:
        """The session has these `messages` too, the next ones of the latest step."""
        self.step.confirmed += len(messages)
        self.confirmed += len(messages)

    def unconfirmed(self) -> list[NewMessage]:
        """What the turn says and the session may not have yet: that of its latest step at most."""
        return self.step.messages()[self.step.confirmed :] if self.steps else []

    def show_calls(self) -> None:
        """Tell what the model calls; from now on a client may be running its own."""
        for call in self.step.answer.calls:
            call_id, is_clients = call["id"], self.is_clients(call)
            self.log.append(ToolCalled(call_id, call["name"], call.get("input") or {}, is_clients))
            if is_clients:
                self.step.running.add(call_id)

    def is_clients(self, call: Block) -> bool:
        """Whether a client is asked to run this call."""
        known = call["name"] in self.built.client_tools
        return known and call["id"] not in self.step.answer.faults

    def close_calls(self) -> None:
        """Answer every call that was shown; a call that was not run is told so."""
        step = self.step
        for call in step.answer.calls:
            if call["id"] not in step.answers:
                self.log.append(ToolAnswered(call["id"], call["name"], step.answer_of(call["id"])))

    # --- what it waits for ---------------------------------------------------------------------

    def ask(self, call_id: str, name: str, *, every_time: bool) -> None:
        """Somebody must agree to the call before it runs."""
        self.asked[call_id] = Asked(call_id, name, every_time)

    def awaits_approval(self, call_id: str) -> bool:
        """Whether nobody has said yet if the call may run."""
        return call_id in self.asked and call_id not in self.approvals

    def awaits_output(self, call_id: str) -> bool:
        """Whether a client was asked to run the call, and has not answered yet."""
        if not self.steps or call_id in self.outputs:
            return False
        if call_id in self.step.answers or call_id not in self.step.running:
            return False
        return any(
            call["id"] == call_id and self.is_clients(call) for call in self.step.answer.calls
        )

    # --- what is known of it -------------------------------------------------------------------

    @property
    def row(self) -> TurnRecord:
        """The row of a turn that is not settled, with what was billed so far."""
        steps = tuple(step.record for step in self.steps)
        return msgspec.structs.replace(
            self.built.row(self.turn_id, self.send.id, self.created_at),
            counts=sum((step.counts for step in steps), TokenCounts()),
            steps=steps,
        )

    @property
    def answered_by(self) -> str | None:
        """The model that answered, when it is another one than was asked."""
        asked = self.built.model
        for step in reversed(self.steps):
            if (other := other_model(asked, step.answer.model)) is not None:
                return other
        return None

    @property
    def stop_details(self) -> StopDetails | None:
        """Why the provider refused, if it did and says why."""
        return self.step.answer.stop_details if self.steps else None

    @property
    def stop_sequence(self) -> str | None:
        """The client's text at which the model stopped, if it did."""
        answer = self.step.answer
        return answer.stop_sequence if answer.stop_reason == "stop_sequence" else None

    @property
    def _started(self) -> Started:
        """The first event of a turn that is on its way to the provider."""
        built = self.built
        return Started(
            session_id=built.session_id,
            model=built.model,
            turn_id=self.turn_id,
            new_session_key=built.session_key if built.is_new else None,
        )

    @property
    def sent_context(self) -> SentContext | None:
        """What of the session the model has not seen."""
        # Each step's request was cleared from the beginning again: the last one has cleared most.
        edits = next((step.answer.edits for step in reversed(self.steps) if step.answer.edits), [])
        cleared = with_cleared(
            self.step.prompt.context,
            sum(edit.cleared_tool_uses for edit in edits),
            sum(edit.cleared_input_tokens for edit in edits),
        )
        dropped = max(step.answer.dropped for step in self.steps)
        return with_epoch(with_dropped(cleared, self._dropped + dropped), self._epoch)
