"""What actors say to each other.

A `Request[R]` is answered with an `R`, or with a `Failure`. All of it is data: it crosses
mailboxes as MessagePack, so an actor could live in another process.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Generic, TypeVar

import msgspec

from protocol.client import AnyClientMessage, ChatSend
from protocol.content import UserContent
from protocol.context import Calibration, Section, SentContext, Totals, Window
from protocol.records import MessageRecord, ModelTotals, SessionRecord, TurnRecord
from protocol.server import ModelSummary

Reply = TypeVar("Reply")


class Mail(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something told: no answer is expected."""


class Request(msgspec.Struct, Generic[Reply], frozen=True, kw_only=True, tag=True):
    """Something asked: answered with a `Reply`."""


class Done(msgspec.Struct, frozen=True):
    """The answer that says no more than that it is done."""


# --- to a connection ---------------------------------------------------------------------------


class FromClient(Mail, frozen=True, kw_only=True):
    """The client said `message`."""

    message: AnyClientMessage


class Malformed(Mail, frozen=True, kw_only=True):
    """The client said something that is no message; `explanation` is for a person."""

    explanation: str
    request_id: str | None


class Drain(Mail, frozen=True, kw_only=True):
    """The gateway stops; what runs may finish within `deadline_ms`."""

    deadline_ms: int


ConnectionMail = FromClient | Malformed | Drain


# --- to the context actor ----------------------------------------------------------------------


class ContextBuilt(msgspec.Struct, frozen=True, kw_only=True):
    """A request ready to be sent: `body` is its JSON, to the byte.

    `session` is as it will be once the turn is begun, `before` as it was. `counted_tokens` is the
    tokenizer's count and `token_estimate` the calibrated one; `cost_estimate` in USD, for the
    input, uncached. `capped` when `maxCost` leaves fewer output tokens than were asked for.
    """

    session: SessionRecord
    before: SessionRecord
    is_new: bool
    body: bytes
    user_message: MessageRecord
    counted_tokens: int
    token_estimate: int
    cost_estimate: Decimal | None
    left_out: SentContext | None
    capped: bool

    @property
    def ratio(self) -> float:
        """Estimated tokens over counted ones, for this model."""
        return self.token_estimate / self.counted_tokens if self.counted_tokens else 1.0


class BuildContext(Request[ContextBuilt], frozen=True, kw_only=True):
    """Measure and assemble what `send` asks for; nothing is stored."""

    turn_id: str
    send: ChatSend


class BeginTurn(Request[Done], frozen=True, kw_only=True):
    """Store the session as it is now, and the user's message, in one commit."""

    session: SessionRecord
    is_new: bool
    user_message: MessageRecord


class CompleteTurn(Request[Done], frozen=True, kw_only=True):
    """Store the answer (JSON blocks), whole or partial; learn from what the input was billed.

    `billed_tokens` is `None` when the provider never told it. `restore` is the session as it was,
    when the provider refused the request: a bad model or tool is not asked for again.
    """

    session_id: str
    turn_id: str
    model: str
    answer: bytes | None
    answer_text: str
    whole: bool
    counted_tokens: int
    billed_tokens: int | None
    restore: SessionRecord | None


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What the next request weighs."""

    model: str
    sections: list[Section]
    totals: Totals
    window: Window
    calibration: Calibration
    left_out: SentContext | None
    exact_tokens: int | None


class InspectContext(Request[Inspection], frozen=True, kw_only=True):
    """Measure what would be sent with `content` as the user's message."""

    session_id: str
    content: UserContent | None
    model: str | None
    exact: bool


class CreateSession(Request[SessionRecord], frozen=True, kw_only=True):
    """Make an empty session."""

    model: str | None
    agent_id: str | None
    system: str | None
    title: str | None


class SessionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions, the most recently active first; `next` is where the following page begins."""

    sessions: list[SessionRecord]
    next: str | None


class ListSessions(Request[SessionPage], frozen=True, kw_only=True):
    """A page of sessions."""

    limit: int
    before: str | None


class HistoryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Messages, oldest first; turns in `answered` have an answer; `next` is the older page."""

    messages: list[MessageRecord]
    answered: list[str]
    next: str | None


class ReadHistory(Request[HistoryPage], frozen=True, kw_only=True):
    """A page of a session's messages."""

    session_id: str
    limit: int
    before: str | None


class DeleteSession(Request[Done], frozen=True, kw_only=True):
    """Forget a session's messages."""

    session_id: str


class ModelPage(msgspec.Struct, frozen=True, kw_only=True):
    """The models on offer."""

    default_model: str
    models: list[ModelSummary]


class ListModels(Request[ModelPage], frozen=True, kw_only=True):
    """Which models there are, what they can do and cost."""


ContextMail = (
    BuildContext
    | BeginTurn
    | CompleteTurn
    | InspectContext
    | CreateSession
    | ListSessions
    | ReadHistory
    | DeleteSession
    | ListModels
)


# --- to the llm actor --------------------------------------------------------------------------


class TurnAccepted(msgspec.Struct, frozen=True):
    """The turn has a log under this id; its first event is yet to come."""

    turn_id: str


class StartTurn(Request[TurnAccepted], frozen=True, kw_only=True):
    """Answer `send`. The same (`session_id`, `id`) again gives the turn it already started."""

    send: ChatSend


class Cancelling(msgspec.Struct, frozen=True):
    """The turn has been asked to stop; its terminal frame is yet to come."""

    turn_id: str


class CancelTurn(Request[Cancelling], frozen=True, kw_only=True):
    """Stop a turn, named by its id or by the id of the request that started it."""

    turn_id: str | None
    request_id: str | None


class DrainTurns(Mail, frozen=True, kw_only=True):
    """Take no more turns."""


LlmMail = StartTurn | CancelTurn | DrainTurns


# --- to the usage actor ------------------------------------------------------------------------


class Admit(Request[Done], frozen=True, kw_only=True):
    """May this turn, whose input is estimated at `cost_estimate` USD, be sent?

    Not when the session has had a turn of the same request already.
    """

    session_id: str | None
    request_id: str
    max_cost: float | None
    cost_estimate: Decimal | None


class OpenTurn(Request[Done], frozen=True, kw_only=True):
    """Write the intent row."""

    turn: TurnRecord


class NoteTurn(Mail, frozen=True, kw_only=True):
    """Write down what an open turn was billed so far, for the case that the process dies."""

    turn: TurnRecord


class SettleTurn(Request[TurnRecord], frozen=True, kw_only=True):
    """Price the turn and write its outcome; answered when it is committed."""

    turn: TurnRecord


class UsageTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What was billed, by model."""

    models: list[ModelTotals]


class QueryUsage(Request[UsageTotals], frozen=True, kw_only=True):
    """What was billed; times in milliseconds since the epoch, `since` inclusive."""

    session_id: str | None
    since: int | None
    until: int | None


UsageMail = Admit | OpenTurn | NoteTurn | SettleTurn | QueryUsage
