"""What actors say to each other.

A client's question goes to the actor that answers it as it is; here stands what actors alone say.
A `Request[R]` is answered with an `R`, or with a `Failure`. All of it is data: it crosses
mailboxes as MessagePack, so an actor could live in another process.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from protocol.client import (
    AnyClientMessage,
    ChatSend,
    ContextInspect,
    ModelList,
    SessionCreate,
    SessionDelete,
    SessionHistory,
    SessionList,
    UsageQuery,
)
from protocol.context import SectionWeight, SentContext, TurnInspection
from protocol.prompt import Prompt
from protocol.provider.content import Role
from protocol.records import (
    CalibrationRecord,
    MessageRecord,
    MessageStatus,
    SessionRecord,
    TurnRecord,
)
from protocol.request import TAG_FIELD, Request
from protocol.tools import ToolAnswer, ToolRule


class Mail(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field=TAG_FIELD):
    """Something told: no answer is expected."""


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
    """A request ready to be sent.

    `session` is as it will be once the turn is begun, `before` as it was. `token_estimate` is what
    the provider is likely to bill, of which `weights` says what each section has; `cost_estimate`
    in USD, for the input, when the provider remembers nothing, `likely_cost` with what it most
    likely remembers, where there is a `maxCost` to hold it against. `ratio` is what a counted
    token of text is likely to be billed as. `capped` when `maxCost` leaves fewer output tokens
    than were asked for. `tools` are those that the gateway runs, `client_tools` the names of those
    that the client runs.
    """

    session: SessionRecord
    before: SessionRecord
    is_new: bool
    prompt: Prompt
    user_message: MessageRecord
    token_estimate: int
    cost_estimate: Decimal | None
    likely_cost: Decimal | None
    ratio: float
    weights: tuple[SectionWeight, ...]
    left_out: SentContext | None
    capped: bool
    tools: list[ToolRule] = []
    client_tools: list[str] = []


class BuildContext(Request[ContextBuilt], frozen=True, kw_only=True):
    """Measure and assemble what `send` asks for; nothing is stored."""

    turn_id: str
    send: ChatSend


class BeginTurn(Request[Done], frozen=True, kw_only=True):
    """Store the session as it is now, and the user's message, in one commit."""

    session: SessionRecord
    is_new: bool
    user_message: MessageRecord


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is not measured yet; `content` is JSON, as it goes upstream."""

    role: Role
    content: bytes
    status: MessageStatus = "complete"


class ContextExtended(msgspec.Struct, frozen=True, kw_only=True):
    """The next step's request; see `ContextBuilt`. `left_out` is of the whole turn so far."""

    prompt: Prompt
    token_estimate: int
    likely_cost: Decimal | None
    left_out: SentContext | None


class ExtendContext(Request[ContextExtended], frozen=True, kw_only=True):
    """Measure `messages` and put them behind `prompt`, which was billed as `billed` tokens.

    With `keeps` the turn's answer so far is stored, if the database takes it at once: should the
    process die, the history knows what the turn's tools have done. Oldest turns are left out to
    make room. Raises GatewayError(CONTEXT_TOO_LARGE) when that does not help.
    """

    session_id: str
    turn_id: str
    prompt: Prompt
    billed: int
    messages: list[NewMessage]
    keeps: bool
    left_out: SentContext | None


class CompleteTurn(Request[Done], frozen=True, kw_only=True):
    """Store what the turn added to the history, in one commit; learn from what was billed.

    What was kept of it before gives way, if it `was_kept`.
    `samples` are its requests whose input the provider has billed. `restore` is the session as it
    was, when the provider refused the request: a bad model or tool is not asked for again.
    """

    session_id: str
    turn_id: str
    messages: list[NewMessage]
    was_kept: bool
    samples: list[CalibrationRecord]
    restore: SessionRecord | None


ContextMail = (
    BuildContext
    | ExtendContext
    | BeginTurn
    | CompleteTurn
    | ContextInspect
    | SessionCreate
    | SessionList
    | SessionHistory
    | SessionDelete
    | ModelList
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


class EndSession(Request[Done], frozen=True, kw_only=True):
    """Stop the session's turn, if one runs; forget what it was allowed, and what its turns said."""

    session_id: str


class AnswerTool(Request[Done], frozen=True, kw_only=True):
    """A client ran the tool that it was asked to run; `turn_id` is the turn that it watches."""

    turn_id: str | None
    tool_call_id: str
    answer: ToolAnswer


class ApproveTool(Request[Done], frozen=True, kw_only=True):
    """A person said whether a tool may run; with `for_session`, whenever the session wants it."""

    turn_id: str | None
    tool_call_id: str
    approved: bool
    for_session: bool


class DrainTurns(Mail, frozen=True, kw_only=True):
    """Take no more turns."""


LlmMail = StartTurn | CancelTurn | EndSession | AnswerTool | ApproveTool | DrainTurns


# --- to the usage actor ------------------------------------------------------------------------


class Admit(Request[Done], frozen=True, kw_only=True):
    """May this turn, whose input most likely costs `cost_estimate` USD, be sent?

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


class InspectTurn(Request[TurnInspection], frozen=True, kw_only=True):
    """What a session's turn was estimated at, and what it was billed.

    Raises GatewayError(TURN_NOT_FOUND).
    """

    session_id: str
    turn_id: str


UsageMail = Admit | OpenTurn | NoteTurn | SettleTurn | InspectTurn | UsageQuery
