"""What actors say to each other.

A client's question goes to the actor that answers it as it is; here stands what actors alone say.
A `Request[R]` is answered with an `R`, or with a `Failure`. All of it is data: it crosses
mailboxes as MessagePack, so an actor could live in another process.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

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
from protocol.context import SectionWeight, TurnInspection
from protocol.prompt import Prompt
from protocol.provider.content import Role
from protocol.records import (
    Attached,
    EntryStatus,
    TurnRecord,
)
from protocol.request import TAG_FIELD, Request
from protocol.tools import LeftOutTool, ToolAnswer, ToolRule


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
    """A turn's first request, ready to be sent.

    The session has the id `session_id`, on the wire `session_key`; the turn makes it when it
    `is_new`. `cost_estimate` is in USD, for the input, when the provider remembers nothing;
    `weights` says what each section has of the estimate. `ratio` is what a counted token of text
    is likely to be billed as. `capped` when `maxCost` leaves fewer output tokens than were asked
    for. `tools` are those that the gateway runs, `client_tools` the names of those that the client
    runs. The question has the pictures and documents `attached`, of which the model takes
    `most_attached`; the input may take `room` tokens.
    """

    session_id: str
    session_key: str
    agent_id: str
    model: str
    is_new: bool
    prompt: Prompt
    cost_estimate: Decimal | None
    weights: tuple[SectionWeight, ...]
    ratio: float
    capped: bool
    attached: Attached
    most_attached: int
    room: int
    tools: list[ToolRule] = []
    client_tools: list[str] = []

    def row(self, turn_id: str, request_id: str, created_at: int) -> TurnRecord:
        """The turn's row before anything is billed."""
        prompt = self.prompt
        return TurnRecord(
            turn_id=turn_id,
            session_id=self.session_id,
            request_id=request_id,
            model=self.model,
            status="open",
            created_at=created_at,
            counted_tokens=prompt.counted_tokens,
            token_estimate=prompt.token_estimate,
            cost_estimate=self.cost_estimate,
            weights=self.weights,
        )


class BeginTurn(Request[ContextBuilt], frozen=True, kw_only=True):
    """Measure and assemble what `send` asks for, and store it with the turn's open row.

    That is one commit, and the answer comes after it. Nothing is stored when the turn may not begin
    (`protocol.beginning`), or would cost more than its client allows: that raises GatewayError.
    """

    turn_id: str
    send: ChatSend
    created_at: int


class WithdrawTurn(Request[Done], frozen=True, kw_only=True):
    """Whoever asked for the turn to begin waits no longer, and nothing of it was sent.

    If it has begun, or does so just now, that is undone; otherwise it does not begin any more.
    """

    turn_id: str


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is not measured yet; `content` is JSON, as it goes upstream."""

    role: Role
    content: bytes
    status: EntryStatus = "complete"


class KeepAnswer(Request[Done], frozen=True, kw_only=True):
    """Store an answer that calls tools before they run, in one commit with the turn's row.

    Should the process die, the model learns what it called. The answer is the turn's message
    number `at`, the question not counted. `container` is what the provider told of one.
    """

    turn: TurnRecord
    at: int
    messages: list[NewMessage]
    container: Any = None


class ExtendContext(Request[Prompt], frozen=True, kw_only=True):
    """Add `messages` to what the turn has said; the answer is the request with them.

    The first of them is the turn's message number `at`, the question not counted: what was added
    already is not added twice. They are stored with the turn's row, in one commit, before the
    answer: what goes upstream is on the disk. Raises GatewayError(CONTEXT_TOO_LARGE) when the turn
    alone is too large. `container` is what the provider told of one.
    """

    turn: TurnRecord
    at: int
    messages: list[NewMessage]
    container: Any = None


class RenewContext(Request[Prompt], frozen=True, kw_only=True):
    """Make the turn's latest request anew: the provider did not take it.

    With `container` it is the same request that names none: the former one is given up.
    With `room` it was too long: older turns are left out until the input has less than so many
    tokens. Otherwise the provider found fault with what was said before the turn, and the
    conversation goes on in a new epoch. Left out is the turn that has message number `without` of
    the request, or, with `attachment`, the latest one that has a picture or a document.
    Raises GatewayError(CONTEXT_TOO_LARGE) when nothing is left to go, GatewayError(LLM_ERROR) when
    no earlier turn has an attachment.
    """

    turn: TurnRecord
    room: int | None = None
    without: int | None = None
    attachment: bool = False
    container: bool = False


class LeaveOutTool(Request[Done], frozen=True, kw_only=True):
    """The provider has refused a tool: no request has it from now on, in any session.

    `definition` is JSON, as it went upstream; `mark` is told to whoever asks what is left out.
    """

    definition: bytes
    mark: LeftOutTool


class CompleteTurn(Request[Done], frozen=True, kw_only=True):
    """Store the turn's last messages and its settled row, in one commit; learn from its bills.

    The first of the `messages` is the turn's message number `at`, the question not counted.
    `unsent` is what the provider has not taken, and will not be sent again: the whole `turn`, or
    the `results` of tools that were added last. `status` is what the turn's messages are marked as
    in the first case. With `restores` the session's model, system prompt and tools are as they
    were before the turn: a bad one is not asked for again. `mismatched` when the provider dropped
    thinking that did not fit: the next turn begins a new epoch. `container` is what the provider
    told of one; the session has none any more when it is `container_gone`. It may be told twice.
    """

    turn: TurnRecord
    at: int
    messages: list[NewMessage]
    unsent: Literal["nothing", "turn", "results"] = "nothing"
    status: EntryStatus = "unanswered"
    restores: bool = False
    mismatched: bool = False
    container: Any = None
    container_gone: bool = False


ContextMail = (
    BeginTurn
    | WithdrawTurn
    | KeepAnswer
    | ExtendContext
    | RenewContext
    | LeaveOutTool
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
    """May a turn be sent whose input most likely costs `cost_estimate` USD?"""

    max_cost: float | None
    cost_estimate: Decimal | None


class NoteTurn(Mail, frozen=True, kw_only=True):
    """Write down what an open turn was billed so far, for the case that the process dies."""

    turn: TurnRecord


class InspectTurn(Request[TurnInspection], frozen=True, kw_only=True):
    """What a session's turn was estimated at, and what it was billed.

    Raises GatewayError(TURN_NOT_FOUND).
    """

    session_id: str
    turn_id: str


UsageMail = Admit | NoteTurn | InspectTurn | UsageQuery
