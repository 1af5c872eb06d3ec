"""What the gateway sends: one tagged union.

Optional fields that have nothing to say are left out (`UNSET`); a field that may be unknown but
must be said is `null`. Money is USD as an exact decimal number.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from protocol.bounds import MOST_BLOCKS, MOST_SCHEMA_NODES, MOST_VALUES
from protocol.context import (
    Calibration,
    Section,
    SectionWeight,
    SentContext,
    Totals,
    TurnInspection,
    Window,
)
from protocol.errors import ErrorCode, Failure
from protocol.free_form import DEEPEST
from protocol.provider.content import Block, Role
from protocol.provider.model_info import Lifecycle
from protocol.stopping import StopDetails
from protocol.tools import Approval, LeftOutTool, Risk
from protocol.usage import PLAIN_TERMS, Cost, Terms, TokenCounts
from protocol.wire import Wire


class ServerMessage(Wire, frozen=True, kw_only=True, tag_field="type"):
    """A message from the gateway, told apart by `type`."""


class InputDetails(Wire, frozen=True, kw_only=True):
    """The parts of `inputTokens`: each is billed at its own price."""

    uncached: int
    """Read anew."""
    cache_read: int
    """Read from the provider's cache."""
    cache_write5m: int = msgspec.field(name="cacheWrite5m")
    """Written to its cache for 5 minutes."""
    cache_write1h: int = msgspec.field(name="cacheWrite1h")
    """Written to its cache for an hour."""


class OutputDetails(Wire, frozen=True, kw_only=True):
    """The part of `outputTokens` that was reasoning."""

    thinking: int
    """Tokens of reasoning."""


class Usage(Wire, frozen=True, kw_only=True):
    """Tokens billed."""

    input_tokens: int
    """All that the prompt was billed for, cached or not."""
    output_tokens: int
    """All that the answer was billed for, reasoning included."""
    total_tokens: int
    """Both together."""
    input_details: InputDetails
    """The parts of `inputTokens`."""
    output_details: OutputDetails
    """The part of `outputTokens` that was reasoning."""
    web_searches: int
    """Searches, which are billed one by one."""
    estimated: bool
    """True when the provider never told the final figures."""
    region: str | UnsetType = UNSET
    """Where the model ran, as the provider says."""
    speed: str | UnsetType = UNSET
    """How fast it ran, as the provider says."""

    @classmethod
    def of(cls, counts: TokenCounts, *, estimated: bool, terms: Terms = PLAIN_TERMS) -> Usage:
        """The wire form of `counts`."""
        return cls(
            input_tokens=counts.input,
            output_tokens=counts.output,
            total_tokens=counts.input + counts.output,
            input_details=InputDetails(
                uncached=counts.uncached,
                cache_read=counts.cache_read,
                cache_write5m=counts.cache_write5m,
                cache_write1h=counts.cache_write1h,
            ),
            output_details=OutputDetails(thinking=counts.thinking),
            web_searches=counts.web_searches,
            estimated=estimated,
            region=terms.region or UNSET,
            speed=terms.speed or UNSET,
        )


class WireCost(Wire, frozen=True, kw_only=True):
    """USD, exact unless it is `estimated`."""

    input_cost: Decimal
    """Of the prompt."""
    output_cost: Decimal
    """Of the answer, searches included."""
    total_cost: Decimal
    """Both together."""
    estimated: bool | UnsetType = UNSET
    """True when it is not known for certain."""

    @classmethod
    def of(cls, cost: Cost | None) -> WireCost | None:
        """The wire form of `cost`; `None`, which is `null`, when the price is not known."""
        if cost is None:
            return None
        return cls(
            input_cost=cost.input_cost,
            output_cost=cost.output_cost,
            total_cost=cost.total_cost,
            estimated=cost.estimated or UNSET,
        )


class Limits(Wire, frozen=True, kw_only=True):
    """What the gateway takes: of one message, sessions on a page, requests at once.

    A message is bounded in bytes and in values: elements of lists and members of objects.
    """

    max_message_bytes: int
    """Bytes of one message."""
    max_sessions: int
    """Sessions or messages on one page of a list."""
    max_pending_requests: int
    """Questions of one connection that wait for an answer."""
    max_message_values: int = MOST_VALUES
    """Elements of lists and members of objects in one message."""
    max_content_blocks: int = MOST_BLOCKS
    """Blocks of one content."""
    max_schema_nodes: int = MOST_SCHEMA_NODES
    """Values in one JSON Schema."""
    max_schema_depth: int = DEEPEST
    """Levels of one JSON Schema."""


class GatewayHello(ServerMessage, frozen=True, kw_only=True, tag="gateway.hello"):
    """The first frame for a client that asked for a subprotocol."""

    protocol: int
    """The protocol's version: 1."""
    version: str
    """The gateway's version."""
    connection_id: str
    """This connection, as the gateway's log names it."""
    default_model: str
    """The model of whoever names none."""
    limits: Limits
    """What the gateway takes."""
    features: list[str]
    """What else it can do, by name."""


class SessionCreated(ServerMessage, frozen=True, kw_only=True, tag="session.created"):
    """A session exists."""

    session_id: str
    session_key: str
    """`agent:{agentId}:{sessionId}`"""
    request_id: str | UnsetType = UNSET


Tier = Literal["high", "standard", "budget"]


class Routing(Wire, frozen=True, kw_only=True):
    """Why a turn has its model, when the gateway chose it."""

    tier: Tier
    """The price class."""
    reason: str
    """Why, for a person."""


class ChatStreamStart(ServerMessage, frozen=True, kw_only=True, tag="chat.stream.start"):
    """A turn has been admitted and is on its way to the provider; exactly one a turn."""

    request_id: str
    session_id: str
    model: str
    """The model that is asked."""
    turn_id: str
    seq: int
    routing: Routing | UnsetType = UNSET
    """Why it is that model, when the gateway chose it."""


ContentType = Literal["text", "code"]


class ChatStreamDelta(ServerMessage, frozen=True, kw_only=True, tag="chat.stream.delta", gc=False):
    """Text; `code` from an opening fence to its closing fence, both included."""

    request_id: str
    delta: str
    """The next piece of the answer."""
    content_type: ContentType | UnsetType = UNSET
    """What the piece is of; `text` when it is not said."""
    seq: int


class ChatStreamReasoning(
    ServerMessage, frozen=True, kw_only=True, tag="chat.stream.reasoning", gc=False
):
    """Reasoning text."""

    request_id: str
    delta: str
    """The next piece of the reasoning."""
    seq: int


class Source(Wire, frozen=True, kw_only=True):
    """Where an answer comes from."""

    url: str
    """Its address."""
    title: str | UnsetType = UNSET
    """Its title."""
    file_id: str | UnsetType = UNSET
    """The provider's id of a file that it made."""


class ChatStreamSource(ServerMessage, frozen=True, kw_only=True, tag="chat.stream.source"):
    """A url source; each url once a turn."""

    request_id: str
    source: Source
    """The source."""
    seq: int


class ToolCall(ServerMessage, frozen=True, kw_only=True, tag="tool.call"):
    """The model calls a tool; `args` are whole. With `client_side` the client answers."""

    request_id: str
    tool_call_id: str
    tool_name: str
    args: dict[str, Any]
    """Its arguments, whole."""
    seq: int
    client_side: bool | UnsetType = UNSET
    """True when the client is to run it and answer with `tool.output`."""


class ToolResult(ServerMessage, frozen=True, kw_only=True, tag="tool.result"):
    """What a tool answered."""

    request_id: str
    tool_call_id: str
    tool_name: str
    result: Any
    """What it answered: a text, or blocks in the provider's shapes."""
    seq: int


class ToolError(ServerMessage, frozen=True, kw_only=True, tag="tool.error"):
    """Why a tool did not answer."""

    request_id: str
    tool_call_id: str
    tool_name: str
    error: str
    """What went wrong, for the model and for a person."""
    seq: int


class ToolApprovalRequest(ServerMessage, frozen=True, kw_only=True, tag="tool.approval.request"):
    """May this tool run? When its `approval` is `always`, `sessionApprove` is of no effect."""

    request_id: str
    tool_call_id: str
    tool_name: str
    args: dict[str, Any]
    """Its arguments, whole."""
    seq: int
    risk: Risk | UnsetType = UNSET
    """How much harm it can do."""
    approval: Approval | UnsetType = UNSET
    """With `always`, `sessionApprove` is of no effect."""


NoticeKind = Literal["retry", "thinking_dropped", "window"]


class ChatStreamNotice(ServerMessage, frozen=True, kw_only=True, tag="chat.stream.notice"):
    """Something that a person who waits should know; only for clients that got a hello."""

    request_id: str
    seq: int
    kind: NoticeKind
    """What has happened."""
    message: str
    """The same, for a person."""
    retry_after_ms: int | UnsetType = UNSET
    """Milliseconds until the provider is asked again."""


class StepUsage(Wire, frozen=True, kw_only=True):
    """One of the requests that a turn with tools made of the provider."""

    stop_reason: str
    """Why this answer stopped, in the provider's words."""
    usage: Usage
    """What this request was billed."""


class ChatStreamEnd(ServerMessage, frozen=True, kw_only=True, tag="chat.stream.end"):
    """The turn's last frame, with the provider's stop reason or one of the gateway's.

    `cancelled`, `budget` (`maxCost` is spent), `max_steps` (too many requests of one turn) and
    `repetition` (the model called tools in a circle) are the gateway's. `usage` and `cost` are the
    sums of `steps`.
    """

    request_id: str
    turn_id: str
    seq: int
    stop_reason: str
    """The provider's word, or `cancelled`, `budget`, `max_steps`, `repetition`."""
    usage: Usage
    """What the turn was billed in tokens."""
    cost: WireCost | None
    """What that costs; `null` when the model has no known price."""
    context: SentContext | UnsetType = UNSET
    """What of the history the model did not see."""
    steps: list[StepUsage] | UnsetType = UNSET
    """The turn's requests, when they are several."""
    stop_details: StopDetails | UnsetType = UNSET
    model: str | UnsetType = UNSET
    """The model that answered, when it is another than was asked."""
    stop_sequence: str | UnsetType = UNSET
    """The client's text at which the model stopped."""


class ErrorMessage(ServerMessage, frozen=True, kw_only=True, tag="error"):
    """A failure. It is a turn's last frame when its `request_id` is that of a stream."""

    code: ErrorCode
    """What kind of failure it is, for programs."""
    message: str
    """What happened and what to do, for a person."""
    retryable: bool
    """Whether the same request may succeed later."""
    request_id: str | UnsetType = UNSET
    """The `id` of the request that failed, when it is known."""
    turn_id: str | UnsetType = UNSET
    """The turn that failed, or the one that is in the way."""
    retry_after_ms: int | UnsetType = UNSET
    """Milliseconds to wait before that."""
    usage: Usage | UnsetType = UNSET
    """What the turn was billed in tokens all the same."""
    cost: WireCost | UnsetType | None = UNSET
    """What that costs; `null` when the model has no known price."""
    sections: list[SectionWeight] | UnsetType = UNSET
    """What each section weighs, when the context is too large."""
    stop_details: StopDetails | UnsetType = UNSET
    model: str | UnsetType = UNSET
    """The model that answered, when it is another than was asked."""

    @classmethod
    def of(cls, failure: Failure, request_id: str | None) -> ErrorMessage:
        """The wire form of an expected failure."""
        return cls(
            code=failure.code,
            message=failure.told,
            retryable=failure.retryable,
            request_id=UNSET if request_id is None else request_id,
            turn_id=UNSET if failure.turn_id is None else failure.turn_id,
            retry_after_ms=UNSET if failure.retry_after_ms is None else failure.retry_after_ms,
            sections=failure.sections or UNSET,
        )


class ContextInspection(ServerMessage, frozen=True, kw_only=True, tag="context.inspection"):
    """What the next request weighs."""

    request_id: str
    model: str
    """The model that it is for."""
    sections: list[Section]
    """The parts of the context, in the order in which they are sent."""
    totals: Totals
    """Their sums."""
    window: Window
    """How much room there is."""
    calibration: Calibration
    """How good the estimate is."""
    context: SentContext | UnsetType = UNSET
    """What of the history the model would not see."""
    exact_tokens: int | UnsetType = UNSET
    """The tokens as the provider counted them, when that was asked for."""
    turn: TurnInspection | UnsetType = UNSET
    """The turn that was asked for."""


class ModelUsage(Wire, frozen=True, kw_only=True):
    """What one model was billed."""

    input_tokens: int
    """Billed for prompts."""
    output_tokens: int
    """Billed for answers."""
    total_tokens: int
    """Both together."""
    input_details: InputDetails
    """The parts of `inputTokens`."""
    output_details: OutputDetails
    """The part of `outputTokens` that was reasoning."""
    web_searches: int
    """Searches, which are billed one by one."""
    total_cost: Decimal | None
    """`null` when any request has no known price."""
    request_count: int
    """Turns of which it answered at least one request; one of several models counts for each."""
    unpriced_requests: int
    """Those without a known price."""
    estimated_requests: int | UnsetType = UNSET
    """Those whose cost is not exact."""


class GrandTotal(Wire, frozen=True, kw_only=True):
    """All models together; requests without a known price are counted, not guessed."""

    total_cost: Decimal
    """Of all that has a known price."""
    total_tokens: int
    """Of all."""
    request_count: int
    """Turns, each of them once, however many models answered."""
    unpriced_requests: int
    """Those without a known price."""
    estimated_requests: int | UnsetType = UNSET
    """Those whose cost is not exact."""


class UsageReport(ServerMessage, frozen=True, kw_only=True, tag="usage.report"):
    """What was billed."""

    request_id: str
    per_model: dict[str, ModelUsage]
    """By model."""
    grand_total: GrandTotal
    """Of all models."""


class SessionSummary(Wire, frozen=True, kw_only=True):
    """One line of the list of sessions; times are ISO 8601 in UTC."""

    session_id: str
    session_key: str
    """`agent:{agentId}:{sessionId}`"""
    model: str
    """The model that its next turn asks, unless another is named."""
    created_at: str
    """ISO 8601 in UTC."""
    last_active_at: str
    """ISO 8601 in UTC."""
    message_count: int
    """Messages of the user and of the model."""
    title: str | UnsetType = UNSET
    """A name for people."""


class SessionListing(ServerMessage, frozen=True, kw_only=True, tag="session.list"):
    """A page of sessions."""

    request_id: str
    sessions: list[SessionSummary]
    """The most recently active first."""
    next: str | UnsetType = UNSET
    """What the next page's `before` takes; left out on the last one."""


HistoryStatus = Literal["partial", "unanswered", "refused"]


class HistoryMessage(Wire, frozen=True, kw_only=True):
    """One message of a session, as it was stored."""

    role: Role
    """Who wrote it."""
    content: str | list[Block]
    """A text, or blocks in the provider's shapes."""
    created_at: str
    """ISO 8601 in UTC."""
    tokens: int | UnsetType = UNSET
    """Its tokens, estimated."""
    turn_id: str | UnsetType = UNSET
    """The turn that it belongs to."""
    status: HistoryStatus | UnsetType = UNSET
    """Why it is not whole."""


class SessionHistoryPage(ServerMessage, frozen=True, kw_only=True, tag="session.history"):
    """A page of a session's messages."""

    request_id: str
    session_id: str
    messages: list[HistoryMessage]
    """Oldest first."""
    next: str | UnsetType = UNSET
    """What the older page's `before` takes; left out on the oldest one."""


class SessionDeleted(ServerMessage, frozen=True, kw_only=True, tag="session.deleted"):
    """A session is gone."""

    request_id: str
    session_id: str


class ModelSummary(Wire, frozen=True, kw_only=True):
    """One model."""

    id: str
    """What `model` takes."""
    display_name: str
    """Its name, for people."""
    max_input_tokens: int
    """The window, in tokens."""
    max_tokens: int
    """The most tokens of an answer."""
    thinking: list[str]
    """The kinds of thinking that it has, in the provider's words."""
    efforts: list[str]
    """The values of `effort` that it takes."""
    input_price: Decimal | None
    """For a million tokens; `null` when it is not known."""
    output_price: Decimal | None
    """For a million tokens; `null` when it is not known."""
    lifecycle: Lifecycle | UnsetType = UNSET
    """Left out when it is not known."""
    retires_at: str | UnsetType = UNSET
    """The day on which it goes, when that is told."""


class ModelListing(ServerMessage, frozen=True, kw_only=True, tag="model.list"):
    """The models that can be asked for, and the tools of servers that no model is offered."""

    request_id: str
    default_model: str
    """The model of whoever names none."""
    models: list[ModelSummary]
    """The models."""
    tools_left_out: list[LeftOutTool] | UnsetType = UNSET
    """Tools of servers that no model is offered."""


class MailboxDepth(Wire, frozen=True, kw_only=True):
    """How many messages wait in an actor's mailbox, of how many it takes."""

    waiting: int
    """Messages that wait."""
    size: int
    """The most that may."""


LedgerState = Literal["ok", "locked", "full"]


class GatewayStatusReport(ServerMessage, frozen=True, kw_only=True, tag="gateway.status"):
    """The gateway's figures, read from its state."""

    request_id: str
    version: str
    """The gateway's version."""
    uptime_seconds: float
    """Since the start."""
    connections: int
    """Clients that are connected."""
    turns: dict[str, int]
    """Running turns by their state."""
    upstream_streams: int
    """Open streams from the provider."""
    logs: int
    """Turns whose events are kept, finished ones included."""
    log_bytes: int
    """What these weigh."""
    detached_logs: int | UnsetType = UNSET
    """Those of running turns that nobody watches."""
    detached_log_bytes: int | UnsetType = UNSET
    """What these weigh."""
    provider_pings: int | UnsetType = UNSET
    """Pings of the provider since the start; they are no content."""
    longest_silence_seconds: float | UnsetType = UNSET
    """How long an open stream has brought no content, to a second."""
    mailboxes: dict[str, MailboxDepth]
    """By actor; of the connections the deepest, as `connections`."""
    ledger: LedgerState
    """Whether it can be written."""
    ledger_queue: int
    """Writes that wait."""
    open_rows: int
    """Turns that are not settled."""
    oldest_open_row_seconds: float | UnsetType = UNSET
    """The age of the oldest of them; 0 when there is none."""
    memory_bytes: int
    """The process's resident memory; 0 where the system does not tell it."""
    draining: bool
    """Whether the gateway is about to close."""
    tools_left_out: list[LeftOutTool] | UnsetType = UNSET
    """Tools of servers that no model is offered."""


class Pong(ServerMessage, frozen=True, kw_only=True, tag="pong"):
    """The answer to `ping`."""

    request_id: str


class GatewayDraining(ServerMessage, frozen=True, kw_only=True, tag="gateway.draining"):
    """The gateway is about to close: finish, or reconnect elsewhere."""

    deadline_ms: int
    """Milliseconds until it closes."""


AnyServerMessage = (
    GatewayHello
    | SessionCreated
    | ChatStreamStart
    | ChatStreamDelta
    | ChatStreamReasoning
    | ChatStreamSource
    | ToolCall
    | ToolResult
    | ToolError
    | ToolApprovalRequest
    | ChatStreamNotice
    | ChatStreamEnd
    | ErrorMessage
    | ContextInspection
    | UsageReport
    | SessionListing
    | SessionHistoryPage
    | SessionDeleted
    | ModelListing
    | GatewayStatusReport
    | Pong
    | GatewayDraining
)
