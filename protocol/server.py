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
    cache_read: int
    cache_write5m: int = msgspec.field(name="cacheWrite5m")
    cache_write1h: int = msgspec.field(name="cacheWrite1h")


class OutputDetails(Wire, frozen=True, kw_only=True):
    """The part of `outputTokens` that was reasoning."""

    thinking: int


class Usage(Wire, frozen=True, kw_only=True):
    """Tokens billed; `estimated` when the provider never told the final figures.

    `region` and `speed` are where and how fast the model ran, as the provider says.
    """

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_details: InputDetails
    output_details: OutputDetails
    web_searches: int
    estimated: bool
    region: str | UnsetType = UNSET
    speed: str | UnsetType = UNSET

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
    output_cost: Decimal
    total_cost: Decimal
    estimated: bool | UnsetType = UNSET

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
    max_sessions: int
    max_pending_requests: int
    max_message_values: int = MOST_VALUES
    max_content_blocks: int = MOST_BLOCKS
    max_schema_nodes: int = MOST_SCHEMA_NODES
    max_schema_depth: int = DEEPEST


class GatewayHello(ServerMessage, frozen=True, kw_only=True, tag="gateway.hello"):
    """The first frame for a client that asked for a subprotocol."""

    protocol: int
    version: str
    connection_id: str
    default_model: str
    limits: Limits
    features: list[str]


class SessionCreated(ServerMessage, frozen=True, kw_only=True, tag="session.created"):
    """A session exists; `session_key` is `agent:{agentId}:{sessionId}`."""

    session_id: str
    session_key: str
    request_id: str | UnsetType = UNSET


Tier = Literal["high", "standard", "budget"]


class Routing(Wire, frozen=True, kw_only=True):
    """Why a turn has its model, when the gateway chose it."""

    tier: Tier
    reason: str


class ChatStreamStart(ServerMessage, frozen=True, kw_only=True, tag="chat.stream.start"):
    """A turn has been admitted and is on its way to the provider; exactly one a turn."""

    request_id: str
    session_id: str
    model: str
    turn_id: str
    seq: int
    routing: Routing | UnsetType = UNSET


ContentType = Literal["text", "code"]


class ChatStreamDelta(ServerMessage, frozen=True, kw_only=True, tag="chat.stream.delta"):
    """Text; `code` from an opening fence to its closing fence, both included."""

    request_id: str
    delta: str
    content_type: ContentType | UnsetType = UNSET
    seq: int


class ChatStreamReasoning(ServerMessage, frozen=True, kw_only=True, tag="chat.stream.reasoning"):
    """Reasoning text."""

    request_id: str
    delta: str
    seq: int


class Source(Wire, frozen=True, kw_only=True):
    """Where an answer comes from; `file_id` of a file that the provider made."""

    url: str
    title: str | UnsetType = UNSET
    file_id: str | UnsetType = UNSET


class ChatStreamSource(ServerMessage, frozen=True, kw_only=True, tag="chat.stream.source"):
    """A url source; each url once a turn."""

    request_id: str
    source: Source
    seq: int


class ToolCall(ServerMessage, frozen=True, kw_only=True, tag="tool.call"):
    """The model calls a tool; `args` are whole. With `client_side` the client answers."""

    request_id: str
    tool_call_id: str
    tool_name: str
    args: dict[str, Any]
    seq: int
    client_side: bool | UnsetType = UNSET


class ToolResult(ServerMessage, frozen=True, kw_only=True, tag="tool.result"):
    """What a tool answered."""

    request_id: str
    tool_call_id: str
    tool_name: str
    result: Any
    seq: int


class ToolError(ServerMessage, frozen=True, kw_only=True, tag="tool.error"):
    """Why a tool did not answer."""

    request_id: str
    tool_call_id: str
    tool_name: str
    error: str
    seq: int


class ToolApprovalRequest(ServerMessage, frozen=True, kw_only=True, tag="tool.approval.request"):
    """May this tool run? When its `approval` is `always`, `sessionApprove` is of no effect."""

    request_id: str
    tool_call_id: str
    tool_name: str
    args: dict[str, Any]
    seq: int
    risk: Risk | UnsetType = UNSET
    approval: Approval | UnsetType = UNSET


NoticeKind = Literal["retry", "thinking_dropped", "window"]


class ChatStreamNotice(ServerMessage, frozen=True, kw_only=True, tag="chat.stream.notice"):
    """Something that a person who waits should know; only for clients that got a hello.

    `retry`: the provider could not answer, and is asked again after `retry_after_ms`.
    `thinking_dropped`: the model goes on without some of its earlier thinking. `window`: the
    conversation is too long for the model, and its oldest turns are not sent.
    """

    request_id: str
    seq: int
    kind: NoticeKind
    message: str
    retry_after_ms: int | UnsetType = UNSET


class StepUsage(Wire, frozen=True, kw_only=True):
    """One of the requests that a turn with tools made of the provider."""

    stop_reason: str
    usage: Usage


class ChatStreamEnd(ServerMessage, frozen=True, kw_only=True, tag="chat.stream.end"):
    """The turn's last frame, with the provider's stop reason or one of the gateway's.

    `cancelled`, `budget` (`maxCost` is spent), `max_steps` (too many requests of one turn) and
    `repetition` (the model called tools in a circle) are the gateway's. `usage` and `cost` are the
    sums of `steps`, which is there when they are several. `stop_details` say why the provider
    refused; `model` is there when another one answered than was asked; `stop_sequence` is the
    client's text at which the model stopped.
    """

    request_id: str
    turn_id: str
    seq: int
    stop_reason: str
    usage: Usage
    cost: WireCost | None
    context: SentContext | UnsetType = UNSET
    steps: list[StepUsage] | UnsetType = UNSET
    stop_details: StopDetails | UnsetType = UNSET
    model: str | UnsetType = UNSET
    stop_sequence: str | UnsetType = UNSET


class ErrorMessage(ServerMessage, frozen=True, kw_only=True, tag="error"):
    """A failure. It is a turn's last frame when its `request_id` is that of a stream.

    With `CONTEXT_TOO_LARGE` comes what each of the `sections` weighs. `stop_details` and `model`
    are as in `chat.stream.end`.
    """

    code: ErrorCode
    message: str
    retryable: bool
    request_id: str | UnsetType = UNSET
    turn_id: str | UnsetType = UNSET
    retry_after_ms: int | UnsetType = UNSET
    usage: Usage | UnsetType = UNSET
    cost: WireCost | UnsetType | None = UNSET
    sections: list[SectionWeight] | UnsetType = UNSET
    stop_details: StopDetails | UnsetType = UNSET
    model: str | UnsetType = UNSET

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
    sections: list[Section]
    totals: Totals
    window: Window
    calibration: Calibration
    context: SentContext | UnsetType = UNSET
    exact_tokens: int | UnsetType = UNSET
    turn: TurnInspection | UnsetType = UNSET


class ModelUsage(Wire, frozen=True, kw_only=True):
    """What one model was billed; `total_cost` is `null` when any request has no known price.

    The cost of `estimated_requests` is not exact.
    """

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_details: InputDetails
    output_details: OutputDetails
    web_searches: int
    total_cost: Decimal | None
    request_count: int
    unpriced_requests: int
    estimated_requests: int | UnsetType = UNSET


class GrandTotal(Wire, frozen=True, kw_only=True):
    """All models together; requests without a known price are counted, not guessed."""

    total_cost: Decimal
    total_tokens: int
    request_count: int
    unpriced_requests: int
    estimated_requests: int | UnsetType = UNSET


class UsageReport(ServerMessage, frozen=True, kw_only=True, tag="usage.report"):
    """What was billed."""

    request_id: str
    per_model: dict[str, ModelUsage]
    grand_total: GrandTotal


class SessionSummary(Wire, frozen=True, kw_only=True):
    """One line of the list of sessions; times are ISO 8601 in UTC."""

    session_id: str
    session_key: str
    model: str
    created_at: str
    last_active_at: str
    message_count: int
    title: str | UnsetType = UNSET


class SessionListing(ServerMessage, frozen=True, kw_only=True, tag="session.list"):
    """A page of sessions; `next` is what the following page's `before` takes."""

    request_id: str
    sessions: list[SessionSummary]
    next: str | UnsetType = UNSET


HistoryStatus = Literal["partial", "unanswered", "refused"]


class HistoryMessage(Wire, frozen=True, kw_only=True):
    """One message of a session, as it was stored; `status` when it is not whole."""

    role: Role
    content: str | list[Block]
    created_at: str
    tokens: int | UnsetType = UNSET
    turn_id: str | UnsetType = UNSET
    status: HistoryStatus | UnsetType = UNSET


class SessionHistoryPage(ServerMessage, frozen=True, kw_only=True, tag="session.history"):
    """A page of a session's messages, oldest first; `next` is the older page's `before`."""

    request_id: str
    session_id: str
    messages: list[HistoryMessage]
    next: str | UnsetType = UNSET


class SessionDeleted(ServerMessage, frozen=True, kw_only=True, tag="session.deleted"):
    """A session is gone."""

    request_id: str
    session_id: str


class ModelSummary(Wire, frozen=True, kw_only=True):
    """One model: its window and output limit in tokens, prices in USD a million tokens.

    `lifecycle` is left out when it is not known, `retires_at` (a date) when none is told.
    """

    id: str
    display_name: str
    max_input_tokens: int
    max_tokens: int
    thinking: list[str]
    efforts: list[str]
    input_price: Decimal | None
    output_price: Decimal | None
    lifecycle: Lifecycle | UnsetType = UNSET
    retires_at: str | UnsetType = UNSET


class ModelListing(ServerMessage, frozen=True, kw_only=True, tag="model.list"):
    """The models that can be asked for, and the tools of servers that no model is offered."""

    request_id: str
    default_model: str
    models: list[ModelSummary]
    tools_left_out: list[LeftOutTool] | UnsetType = UNSET


class MailboxDepth(Wire, frozen=True, kw_only=True):
    """How many messages wait in an actor's mailbox, of how many it takes."""

    waiting: int
    size: int


LedgerState = Literal["ok", "locked", "full"]


class GatewayStatusReport(ServerMessage, frozen=True, kw_only=True, tag="gateway.status"):
    """The gateway's figures, read from its state. Bytes and seconds.

    `detached` are the logs of running turns that nobody watches. `provider_pings` came since the
    start; they are no content, and `longest_silence_seconds` is how long (to a second) an open
    stream has brought none. `oldest_open_row_seconds` is 0 when every row is settled. Of the
    connections' mailboxes the deepest is shown, as `connections`. `tools_left_out` are tools of
    servers that no model is offered.
    """

    request_id: str
    version: str
    uptime_seconds: float
    connections: int
    turns: dict[str, int]
    upstream_streams: int
    logs: int
    log_bytes: int
    detached_logs: int | UnsetType = UNSET
    detached_log_bytes: int | UnsetType = UNSET
    provider_pings: int | UnsetType = UNSET
    longest_silence_seconds: float | UnsetType = UNSET
    mailboxes: dict[str, MailboxDepth]
    ledger: LedgerState
    ledger_queue: int
    open_rows: int
    oldest_open_row_seconds: float | UnsetType = UNSET
    memory_bytes: int
    draining: bool
    tools_left_out: list[LeftOutTool] | UnsetType = UNSET


class Pong(ServerMessage, frozen=True, kw_only=True, tag="pong"):
    """The answer to `ping`."""

    request_id: str


class GatewayDraining(ServerMessage, frozen=True, kw_only=True, tag="gateway.draining"):
    """The gateway is about to close: finish, or reconnect elsewhere."""

    deadline_ms: int


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
