"""What was said, and what is known of it from what was heard.

A session has questions; a question has at most one turn; a stream is what one client hears of it
under one request id. Each frame is judged when it arrives.
"""

from __future__ import annotations

from itertools import count

import trio

from tests.interleavings.plan import Plan
from tests.support import TERMINAL, Frame

_ticks = count(1)


class Session:
    """A session; its id is known once somebody has heard it."""

    def __init__(self, session_id: str | None = None) -> None:
        self.id = session_id
        self.questions: list[Question] = []
        self.deletion_said = False
        self.deleted = False
        """Whether a client has heard that it is."""


class Question:
    """A `chat.send`, however often it is said, and its turn."""

    def __init__(
        self,
        session: Session,
        request_id: str,
        number: int,
        plan: Plan,
        gone: str,
        *,
        patient: bool,
    ) -> None:
        self.session = session
        self.request_id = request_id
        self.content = f"Question {number}"
        self.plan = plan
        self.cancels_when_gone = gone == "cancel"
        self.gate = trio.Event()
        self.attempts = 0
        self.streams: list[Stream] = []
        self.turn_id: str | None = None
        self.terminal: Frame | None = None
        self.text = self.reasoning = ""
        """What was heard of it by its end."""
        self.first_said = self.last_said = 0
        self.began = 0
        self.may_cancel = False
        self.must_cancel = False
        self._patient = patient
        session.questions.append(self)

    @property
    def fields(self) -> dict[str, object]:
        """The message, but for its type."""
        fields: dict[str, object] = {"id": self.request_id, "content": self.content}
        if self.session.id is not None:
            fields["sessionId"] = self.session.id
        if self.cancels_when_gone:
            fields["onDisconnect"] = "cancel"
        return fields

    @property
    def is_over(self) -> bool:
        """Whether its turn is known to have ended, or never to have begun."""
        return self.terminal is not None or all(stream.is_over for stream in self.streams)

    @property
    def surely_runs(self) -> bool:
        """Whether its turn runs now, without a doubt."""
        waits = self.plan.held and not self.gate.is_set() and self._patient
        return waits and self.began > 0 and self.terminal is None and not self.may_cancel

    def cancel(self) -> None:
        """Somebody has asked for its end, and will be obeyed if it runs."""
        self.must_cancel = self.must_cancel or self.surely_runs
        self.may_cancel = True

    def abandon(self, stream: Stream) -> None:
        """The client of `stream` hangs up."""
        if self.cancels_when_gone and not stream.resumes:
            if stream.began and self.streams == [stream]:
                self.cancel()
            self.may_cancel = True

    def let_go(self) -> None:
        """The provider goes on."""
        self.gate.set()
        self.must_cancel = False

    @property
    def outcomes(self) -> set[str]:
        """How its turn may end now."""
        outcomes = self.plan.outcomes(patient=self._patient)
        if self.plan.held and not self.gate.is_set():
            outcomes &= {"LLM_TIMEOUT"}
        if self.must_cancel:
            outcomes.clear()
        return outcomes | {"cancelled"} if self.may_cancel else outcomes

    def begin(self, turn_id: str, session_id: str) -> None:
        """A start was heard: for the first time, or again, and then it is the same one."""
        session = self.session
        assert session.id in (None, session_id), f"{session_id} is not the session asked for"
        session.id = session_id
        if self.turn_id is None:
            others = [q for q in session.questions if q is not self and q.surely_runs]
            late = [q.content for q in others if q.began < self.first_said]
            assert not late, f"two turns of one session run at once: {self.content} and {late}"
            self.turn_id = turn_id
        assert self.turn_id == turn_id, f"{self.content} has two turns"
        self.began = self.began or next(_ticks)

    def end(self, terminal: Frame, text: str, reasoning: str) -> None:
        """The turn's terminal frame was heard; every watcher hears the same."""
        told = {name: value for name, value in terminal.items() if name != "requestId"}
        outcome = outcome_of(terminal)
        if self.terminal is None:
            assert outcome in self.outcomes, f"{self.content} ended with {outcome}: {terminal}"
            self.terminal, self.text, self.reasoning = told, text, reasoning
        assert told == self.terminal, f"two ends: {told} and {self.terminal}"
        assert text == self.text, f"two texts: {text!r} and {self.text!r}"
        assert reasoning == self.reasoning
        if outcome == "completed":
            assert text == self.plan.text, f"a completed answer lacks text: {text!r}"
            assert reasoning == self.plan.thought
        elif outcome not in ("cancelled", "LLM_TIMEOUT") and self.plan.keeps_what_came_before:
            assert text == self.plan.text_before, f"lost before the fault: {text!r}"


class Stream:
    """What one client hears of one question under one request id, after what it heard before."""

    def __init__(self, question: Question, request_id: str, earlier: Stream | None = None) -> None:
        self.question = question
        self.request_id = request_id
        self.resumes = False
        self.seq = -1
        self.text = self.reasoning = ""
        self.had_end = False
        if earlier is not None:
            self.seq = earlier.seq
            self.text, self.reasoning = earlier.text, earlier.reasoning
            self.had_end = earlier.terminal is not None
        self.began = earlier is not None
        self.terminal: Frame | None = None
        self.refusal: Frame | None = None
        self.is_followed = False
        """Whether a frame of the turn was heard under this request."""
        self.is_lost = False
        """Whether its client has hung up."""
        self.may_be_ignored = False
        """Said again while it streamed already: then nothing answers it."""
        self.said = next(_ticks)
        self.behind: list[Stream] = []
        """The client's streams that were in flight when it was said."""
        self.over_before = {
            q for q in question.session.questions if q is not question and q.is_over
        }
        self.deleted_before = question.session.deleted and not question.streams
        question.streams.append(self)

    @property
    def is_over(self) -> bool:
        """Whether its one terminal frame was heard."""
        return self.terminal is not None or self.refusal is not None

    @property
    def watches(self) -> bool:
        """Whether its client surely watches the turn, as long as that runs."""
        return self.is_followed and not (self.is_over or self.is_lost)

    def hear(self, frame: Frame) -> None:
        """Judge the next frame."""
        assert not self.is_over, f"after the end came {frame}"
        match frame["type"]:
            case "session.created":
                assert not self.began
                assert self.question.session.id in (None, frame["sessionId"])
                self.question.session.id = frame["sessionId"]
            case "chat.stream.start":
                self._start(frame)
            case "chat.stream.delta":
                self._advance(frame)
                self.text += frame["delta"]
                assert self.question.plan.text.startswith(self.text), f"never sent: {self.text!r}"
            case "chat.stream.reasoning":
                self._advance(frame)
                self.reasoning += frame["delta"]
                assert self.question.plan.thought.startswith(self.reasoning)
            case "chat.stream.notice":
                self._advance(frame)
                assert frame["kind"] == "retry"
            case kind if kind in TERMINAL:
                self._end(frame)
            case kind:
                raise AssertionError(f"a {kind} in a stream of text")

    def _start(self, frame: Frame) -> None:
        assert not self.began, "two starts"
        assert frame["seq"] == 0
        assert not self.deleted_before, "a turn began in a deleted session"
        for other in self.behind:
            assert not other.question.surely_runs, "a connection has two streams at once"
        self._advance(frame)
        self.began = True
        self.question.begin(frame["turnId"], frame["sessionId"])

    def _advance(self, frame: Frame) -> None:
        assert frame["seq"] > self.seq, f"after seq {self.seq} came {frame}"
        self.seq = frame["seq"]
        self.is_followed = True

    def _end(self, frame: Frame) -> None:
        if frame["type"] == "error" and self._is_refusal(frame):
            self.refusal = frame
            return
        if "seq" in frame:
            assert frame["seq"] > self.seq or self.had_end
            self.seq = frame["seq"]
        self.terminal = frame
        self.question.end(frame, self.text, self.reasoning)

    def _is_refusal(self, error: Frame) -> bool:
        """Whether the request was refused; and that, it must have been rightly."""
        match error["code"]:
            case "STREAM_IN_PROGRESS":
                assert self.behind, "the connection had no stream in flight"
            case "SESSION_BUSY":
                assert not self.began
                assert not self.resumes
                assert self._may_be_busy, f"no other turn of this session ran: {error}"
            case "TURN_NOT_FOUND":
                assert self.question.session.deletion_said, "nobody has deleted the session"
            case "SESSION_NOT_FOUND":
                assert not self.began
                assert self.question.session.deletion_said, "nobody has deleted the session"
            case _:
                assert self.began, f"refused without a reason: {error}"
                return False
        return True

    @property
    def _may_be_busy(self) -> bool:
        others = [q for q in self.question.session.questions if q is not self.question]
        return any(q not in self.over_before or q.last_said > self.said for q in others)


def outcome_of(terminal: Frame) -> str:
    """`completed`, `cancelled`, or the error's code."""
    if terminal["type"] == "error":
        return str(terminal["code"])
    reason = str(terminal["stopReason"])
    return "completed" if reason == "end_turn" else reason
