"""The messages of the wire, as msgspec structs.

`ClientMessage` is all that a client sends and `ServerMessage` all that the gateway does:
`msgspec.json.Decoder(ServerMessage)` decodes any frame. Names are snake case here and camel case
on the wire. What has its default is left out of a client's frame; what the gateway left out is
`UNSET`.

A gateway that is newer than this file may send fields and values of an enumeration that are not
known here: fields are ignored, and values come through as text.

Written by scripts/generate_types from the protocol's schema; not by hand.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from msgspec import UNSET, Struct, UnsetType, field

R_co = TypeVar("R_co", covariant=True)

Id: TypeAlias = str
"""1 to 64 of `A-Za-z0-9_.:-`."""

AgentId: TypeAlias = str
"""An id that cannot begin with a dot or a sign: it names a folder."""

ModelId: TypeAlias = str
"""A model's name, as `model.list` tells it, or as a cloud spells it."""

ToolName: TypeAlias = str
"""A tool's name, as the model sees it."""

Timestamp: TypeAlias = str
"""A date, or a date and time, of ISO 8601. Without an offset it is UTC."""

Domain: TypeAlias = str
"""A domain without `https://`; a path may follow."""

OpaqueId: TypeAlias = str
"""An id that does not reveal a person: no mail address, and no blanks as in a name."""

Usd: TypeAlias = Decimal
"""An exact decimal number of US dollars."""

OnDisconnect: TypeAlias = Literal["detach", "cancel"]
"""What becomes of a turn when its connection is lost: it goes on and can be resumed for a while
(`detach`), or it ends (`cancel`).
"""

ThinkingChoice: TypeAlias = Literal["auto", "off"]
"""The best thinking that the model has (`auto`), or the least (`off`)."""

Effort: TypeAlias = Literal["low", "medium", "high", "xhigh", "max"]
"""How much work the model puts into an answer."""

CacheTtl: TypeAlias = Literal["5m", "1h"]
"""How long the provider keeps the prompt in its cache."""

ServerTool: TypeAlias = Literal["web_search", "web_fetch", "code_execution"]
"""A tool that the provider runs itself."""

ToolChoice: TypeAlias = Literal["auto", "any", "none"]
"""The model decides (`auto`), must call one of the tools (`any`), or calls none (`none`)."""

ContentType: TypeAlias = Literal["text", "code"]
"""Prose, or a block of code from its opening fence to its closing one, both included."""

Tier: TypeAlias = Literal["high", "standard", "budget"]
"""The price class of a model that the gateway chose."""

NoticeKind: TypeAlias = Literal["retry", "thinking_dropped", "window"]
"""`retry`: the provider could not answer and is asked again. `thinking_dropped`: the model goes on
without some of its earlier thinking. `window`: the conversation is too long for the model, and its
oldest turns are not sent.
"""

Risk: TypeAlias = Literal["low", "medium", "high"]
"""How much harm a tool can do, as its server tells it."""

Approval: TypeAlias = Literal["auto", "session", "always"]
"""Who must agree to a call: nobody (`auto`); a person, until told that the session may (`session`);
a person each time (`always`).
"""

ErrorCode: TypeAlias = Literal[
    "INVALID_MESSAGE",
    "UNAUTHORIZED",
    "STREAM_IN_PROGRESS",
    "SESSION_BUSY",
    "SESSION_NOT_FOUND",
    "REQUEST_NOT_FOUND",
    "TURN_NOT_FOUND",
    "NO_API_KEY",
    "MODEL_NOT_FOUND",
    "CONTEXT_TOO_LARGE",
    "BUDGET_EXCEEDED",
    "RATE_LIMITED",
    "OVERLOADED",
    "LLM_TIMEOUT",
    "LLM_ERROR",
    "TOOL_ERROR",
    "DRAINING",
    "INTERNAL_ERROR",
]
"""What kind of failure it is. Programs decide by it."""

SectionName: TypeAlias = Literal[
    "system_prompt",
    "response_format",
    "memory",
    "skills",
    "tools",
    "history",
    "user_message",
    "provider_overhead",
]
"""A section of the context, in the order in which they are sent. `provider_overhead` is what the
provider adds of its own: it has tokens, but no text.
"""

Role: TypeAlias = Literal["user", "assistant"]
"""Who wrote a message."""

HistoryStatus: TypeAlias = Literal["partial", "unanswered", "refused"]
"""Why a stored message is not whole: the answer broke off (`partial`), the question never got one
(`unanswered`), or the provider refused it (`refused`).
"""

Lifecycle: TypeAlias = Literal["active", "deprecated", "retired"]
"""Whether a model is offered, about to go, or gone."""

LedgerState: TypeAlias = Literal["ok", "locked", "full"]
"""Whether the ledger can be written: another process has locked it (`locked`), or the disk is full
(`full`).
"""


class FromGateway(Struct, frozen=True, kw_only=True, rename="camel", tag_field="type"):
    """A message from the gateway."""


class FromClient(
    Struct, frozen=True, kw_only=True, rename="camel", tag_field="type", omit_defaults=True
):
    """A message of a client."""

    id: Id
    """Chosen by the client; answers echo it as `request_id`."""


class Request(FromClient, Generic[R_co], frozen=True, kw_only=True):
    """A question that is answered by one message, an `R_co`, or by an `ErrorMessage`."""


class TextBlock(
    Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True, tag="text"
):
    """A piece of text."""

    text: str


class ImageBlock(
    Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True, tag="image"
):
    """A picture."""

    source: Base64Source | UrlSource


class Base64Source(
    Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True, tag="base64"
):
    """Bytes in base64 with their MIME type."""

    media_type: str
    data: str


class UrlSource(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True, tag="url"):
    """An address that the provider fetches itself."""

    url: str


class DocumentBlock(
    Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True, tag="document"
):
    """A document, with an optional title and context that the model reads next to it."""

    source: Base64Source | UrlSource | PlainTextSource
    title: str | None = None
    context: str | None = None
    citations: CitationsSwitch | None = None


class PlainTextSource(
    Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True, tag="text"
):
    """A document's text, given inline; `media_type` is `text/plain`."""

    data: str
    media_type: str = "text/plain"


class CitationsSwitch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether the model should cite the document."""

    enabled: bool


class ThinkingBudget(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A budget of thinking tokens for models that take one; the provider's least is 1024."""

    budget_tokens: int


class ToolDeclaration(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A tool that the client itself runs; `input_schema` is JSON Schema.

    With `strict` the model's arguments follow the schema. With `defer_loading` the model looks for
    the tool when it needs it. `input_examples` are arguments as they may be.
    """

    name: ToolName
    description: str
    input_schema: dict[str, Any]
    strict: bool = False
    defer_loading: bool = False
    input_examples: list[dict[str, Any]] = []


class ServerToolOptions(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A tool that the provider runs itself: how often a request may use it, and where."""

    name: ServerTool
    max_uses: int | None = None
    allowed_domains: list[Domain] | None = None
    blocked_domains: list[Domain] | None = None
    user_location: UserLocation | None = None


class UserLocation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """About where the user is, for a search: a country is two letters, a timezone is IANA's."""

    city: str | None = None
    region: str | None = None
    country: str | None = None
    timezone: str | None = None


class OneTool(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The tool that the model is to use."""

    name: ToolName


class OutputFormat(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A JSON Schema that the answer must follow: its text is that JSON."""

    schema: dict[str, Any]


class Limits(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the gateway takes: of one message, sessions on a page, requests at once.

    A message is bounded in bytes and in values: elements of lists and members of objects.
    """

    max_message_bytes: int
    max_sessions: int
    max_pending_requests: int
    max_message_values: int = 50000
    max_content_blocks: int = 1000
    max_schema_nodes: int = 10000
    max_schema_depth: int = 64


class Routing(Struct, frozen=True, kw_only=True):
    """Why a turn has its model, when the gateway chose it."""

    tier: Tier | str
    reason: str


class Source(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where an answer comes from; `file_id` of a file that the provider made."""

    url: str
    title: str | UnsetType = UNSET
    file_id: str | UnsetType = UNSET


class Usage(Struct, frozen=True, kw_only=True, rename="camel"):
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


class InputDetails(Struct, frozen=True, kw_only=True, rename="camel"):
    """The parts of `input_tokens`: each is billed at its own price."""

    uncached: int
    cache_read: int
    cache_write5m: int = field(name="cacheWrite5m")
    cache_write1h: int = field(name="cacheWrite1h")


class OutputDetails(Struct, frozen=True, kw_only=True):
    """The part of `output_tokens` that was reasoning."""

    thinking: int


class WireCost(Struct, frozen=True, kw_only=True, rename="camel"):
    """USD, exact unless it is `estimated`."""

    input_cost: Usd
    output_cost: Usd
    total_cost: Usd
    estimated: bool | UnsetType = UNSET


class SentContext(Struct, frozen=True, kw_only=True, rename="camel"):
    """What of the history the model did not see.

    What did not fit the window: whole turns were left out of the request, or the provider cleared
    old tool results. `dropped_thinking` are blocks that it found bound to another conversation. And
    `epoch` when with this turn the conversation began anew for the model: it got the turns from
    before without their thinking.
    """

    left_out_turns: int
    left_out_messages: int
    cleared_tool_uses: int | UnsetType = UNSET
    cleared_tokens: int | UnsetType = UNSET
    dropped_thinking: int | UnsetType = UNSET
    epoch: int | UnsetType = UNSET


class StepUsage(Struct, frozen=True, kw_only=True, rename="camel"):
    """One of the requests that a turn with tools made of the provider."""

    stop_reason: str
    usage: Usage


class StopDetails(Struct, frozen=True, kw_only=True):
    """Why the provider refused: its `category`, such as `cyber`, and its own explanation.

    Either may be missing; the words are not guaranteed to be stable (the provider's page on
    refusals, November 2026).
    """

    category: str | UnsetType = UNSET
    explanation: str | UnsetType = UNSET


class SectionWeight(Struct, frozen=True, kw_only=True, rename="camel"):
    """A section without its text."""

    name: SectionName | str
    byte_count: int
    token_estimate: int
    cost_estimate: Usd | None


class Section(Struct, frozen=True, kw_only=True, rename="camel"):
    """One part of the context: its text, UTF-8 bytes, tokens and USD.

    `cost_estimate` is for a provider that remembers nothing. `cached` when the provider most likely
    has all of it in its prompt cache, `cached_tokens` how much of it; `cached_cost_estimate` is the
    USD with that. `superseded` are the bytes of it that a later part of it replaces.
    """

    name: SectionName | str
    content: str
    byte_count: int
    token_estimate: int
    cost_estimate: Usd | None
    cached: bool | UnsetType = UNSET
    cached_tokens: int | UnsetType = UNSET
    cached_cost_estimate: Usd | UnsetType | None = UNSET
    superseded: int | UnsetType = UNSET


class Totals(Struct, frozen=True, kw_only=True, rename="camel"):
    """The sums of the sections."""

    byte_count: int
    token_estimate: int
    cost_estimate: Usd | None
    cached_tokens: int | UnsetType = UNSET
    cached_cost_estimate: Usd | UnsetType | None = UNSET


class Window(Struct, frozen=True, kw_only=True):
    """The model's input window in tokens."""

    limit: int
    used: int
    free: int


class Calibration(Struct, frozen=True, kw_only=True):
    """Billed tokens over counted tokens, learned from `samples` billed requests of the model.

    `error` is by how much, of 1, the latest estimates missed what was billed, on average.
    """

    ratio: float
    samples: int
    error: float | UnsetType = UNSET


class TurnInspection(Struct, frozen=True, kw_only=True, rename="camel"):
    """A turn that was sent: what it was estimated at, beside what it was billed.

    The figures are of the turn's first request; `error` is how far the estimate was off, of 1. The
    cost is `estimated` when the bill does not tell it exactly.
    """

    turn_id: str
    sections: list[SectionWeight]
    token_estimate: int
    billed_tokens: int
    cost_estimate: Usd | None
    billed_cost: Usd | None
    error: float
    estimated: bool | UnsetType = UNSET


class ModelUsage(Struct, frozen=True, kw_only=True, rename="camel"):
    """What one model was billed; `total_cost` is `null` when any request has no known price.

    The cost of `estimated_requests` is not exact.
    """

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_details: InputDetails
    output_details: OutputDetails
    web_searches: int
    total_cost: Usd | None
    request_count: int
    unpriced_requests: int
    estimated_requests: int | UnsetType = UNSET


class GrandTotal(Struct, frozen=True, kw_only=True, rename="camel"):
    """All models together; requests without a known price are counted, not guessed."""

    total_cost: Usd
    total_tokens: int
    request_count: int
    unpriced_requests: int
    estimated_requests: int | UnsetType = UNSET


class SessionSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """One line of the list of sessions; times are ISO 8601 in UTC."""

    session_id: str
    session_key: str
    model: str
    created_at: str
    last_active_at: str
    message_count: int
    title: str | UnsetType = UNSET


class HistoryMessage(Struct, frozen=True, kw_only=True, rename="camel"):
    """One message of a session, as it was stored; `status` when it is not whole."""

    role: Role | str
    content: str | list[dict[str, Any]]
    created_at: str
    tokens: int | UnsetType = UNSET
    turn_id: str | UnsetType = UNSET
    status: HistoryStatus | str | UnsetType = UNSET


class ModelSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """One model: its window and output limit in tokens, prices in USD a million tokens.

    `lifecycle` is left out when it is not known, `retires_at` (a date) when none is told.
    """

    id: str
    display_name: str
    max_input_tokens: int
    max_tokens: int
    thinking: list[str]
    efforts: list[str]
    input_price: Usd | None
    output_price: Usd | None
    lifecycle: Lifecycle | str | UnsetType = UNSET
    retires_at: str | UnsetType = UNSET


class LeftOutTool(Struct, frozen=True, kw_only=True):
    """A tool that no model is offered, and why, as a clause for a person.

    `name` is its server's own name of it.
    """

    name: str
    server: str | UnsetType = UNSET
    reason: str


class MailboxDepth(Struct, frozen=True, kw_only=True):
    """How many messages wait in an actor's mailbox, of how many it takes."""

    waiting: int
    size: int


class GatewayHello(FromGateway, frozen=True, kw_only=True, tag="gateway.hello"):
    """The first frame for a client that asked for a subprotocol."""

    protocol: int
    version: str
    connection_id: str
    default_model: str
    limits: Limits
    features: list[str]


class SessionCreated(FromGateway, frozen=True, kw_only=True, tag="session.created"):
    """A session exists; `session_key` is `agent:{agentId}:{sessionId}`."""

    session_id: str
    session_key: str
    request_id: str | UnsetType = UNSET


class ChatStreamStart(FromGateway, frozen=True, kw_only=True, tag="chat.stream.start"):
    """A turn has been admitted and is on its way to the provider; exactly one a turn."""

    request_id: str
    session_id: str
    model: str
    turn_id: str
    seq: int
    routing: Routing | UnsetType = UNSET


class ChatStreamDelta(FromGateway, frozen=True, kw_only=True, tag="chat.stream.delta"):
    """Text; `code` from an opening fence to its closing fence, both included."""

    request_id: str
    delta: str
    content_type: ContentType | str | UnsetType = UNSET
    seq: int


class ChatStreamReasoning(FromGateway, frozen=True, kw_only=True, tag="chat.stream.reasoning"):
    """Reasoning text."""

    request_id: str
    delta: str
    seq: int


class ChatStreamSource(FromGateway, frozen=True, kw_only=True, tag="chat.stream.source"):
    """A url source; each url once a turn."""

    request_id: str
    source: Source
    seq: int


class ToolCall(FromGateway, frozen=True, kw_only=True, tag="tool.call"):
    """The model calls a tool; `args` are whole. With `client_side` the client answers."""

    request_id: str
    tool_call_id: str
    tool_name: str
    args: dict[str, Any]
    seq: int
    client_side: bool | UnsetType = UNSET


class ToolResult(FromGateway, frozen=True, kw_only=True, tag="tool.result"):
    """What a tool answered."""

    request_id: str
    tool_call_id: str
    tool_name: str
    result: Any
    seq: int


class ToolError(FromGateway, frozen=True, kw_only=True, tag="tool.error"):
    """Why a tool did not answer."""

    request_id: str
    tool_call_id: str
    tool_name: str
    error: str
    seq: int


class ToolApprovalRequest(FromGateway, frozen=True, kw_only=True, tag="tool.approval.request"):
    """May this tool run? When its `approval` is `always`, `session_approve` is of no effect."""

    request_id: str
    tool_call_id: str
    tool_name: str
    args: dict[str, Any]
    seq: int
    risk: Risk | str | UnsetType = UNSET
    approval: Approval | str | UnsetType = UNSET


class ChatStreamNotice(FromGateway, frozen=True, kw_only=True, tag="chat.stream.notice"):
    """Something that a person who waits should know; only for clients that got a hello.

    `retry`: the provider could not answer, and is asked again after `retry_after_ms`.
    `thinking_dropped`: the model goes on without some of its earlier thinking. `window`: the
    conversation is too long for the model, and its oldest turns are not sent.
    """

    request_id: str
    seq: int
    kind: NoticeKind | str
    message: str
    retry_after_ms: int | UnsetType = UNSET


class ChatStreamEnd(FromGateway, frozen=True, kw_only=True, tag="chat.stream.end"):
    """The turn's last frame, with the provider's stop reason or one of the gateway's.

    `cancelled`, `budget` (`max_cost` is spent), `max_steps` (too many requests of one turn) and
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


class ErrorMessage(FromGateway, frozen=True, kw_only=True, tag="error"):
    """A failure. It is a turn's last frame when its `request_id` is that of a stream.

    With `CONTEXT_TOO_LARGE` comes what each of the `sections` weighs. `stop_details` and `model`
    are as in `chat.stream.end`.
    """

    code: ErrorCode | str
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


class ContextInspection(FromGateway, frozen=True, kw_only=True, tag="context.inspection"):
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


class UsageReport(FromGateway, frozen=True, kw_only=True, tag="usage.report"):
    """What was billed."""

    request_id: str
    per_model: dict[str, ModelUsage]
    grand_total: GrandTotal


class SessionListing(FromGateway, frozen=True, kw_only=True, tag="session.list"):
    """A page of sessions; `next` is what the following page's `before` takes."""

    request_id: str
    sessions: list[SessionSummary]
    next: str | UnsetType = UNSET


class SessionHistoryPage(FromGateway, frozen=True, kw_only=True, tag="session.history"):
    """A page of a session's messages, oldest first; `next` is the older page's `before`."""

    request_id: str
    session_id: str
    messages: list[HistoryMessage]
    next: str | UnsetType = UNSET


class SessionDeleted(FromGateway, frozen=True, kw_only=True, tag="session.deleted"):
    """A session is gone."""

    request_id: str
    session_id: str


class ModelListing(FromGateway, frozen=True, kw_only=True, tag="model.list"):
    """The models that can be asked for, and the tools of servers that no model is offered."""

    request_id: str
    default_model: str
    models: list[ModelSummary]
    tools_left_out: list[LeftOutTool] | UnsetType = UNSET


class GatewayStatusReport(FromGateway, frozen=True, kw_only=True, tag="gateway.status"):
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
    ledger: LedgerState | str
    ledger_queue: int
    open_rows: int
    oldest_open_row_seconds: float | UnsetType = UNSET
    memory_bytes: int
    draining: bool
    tools_left_out: list[LeftOutTool] | UnsetType = UNSET


class Pong(FromGateway, frozen=True, kw_only=True, tag="pong"):
    """The answer to `ping`."""

    request_id: str


class GatewayDraining(FromGateway, frozen=True, kw_only=True, tag="gateway.draining"):
    """The gateway is about to close: finish, or reconnect elsewhere."""

    deadline_ms: int


class ChatSend(FromClient, frozen=True, kw_only=True, tag="chat.send"):
    """Ask the model; `max_cost` in USD, `max_tokens` of output.

    A session remembers its model, system prompt and tools; all else holds for one turn. A
    `tool_choice` that forces a tool holds for the turn's first request. `user_id` is passed on to
    the provider, which looks for abuse by it.
    """

    content: str | list[TextBlock | ImageBlock | DocumentBlock]
    session_id: Id | None = None
    model: ModelId | None = None
    agent_id: AgentId | None = None
    system: str | None = None
    max_tokens: int | None = None
    thinking: ThinkingChoice | ThinkingBudget = "auto"
    effort: Effort | None = None
    on_disconnect: OnDisconnect = "detach"
    max_cost: float | None = None
    tools: list[ToolDeclaration] | None = None
    server_tools: list[ServerTool | ServerToolOptions] | None = None
    tool_choice: ToolChoice | OneTool | None = None
    stop_sequences: list[str] | None = None
    output_format: OutputFormat | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    cache_ttl: CacheTtl | None = None
    user_id: OpaqueId | None = None


class ChatCancel(FromClient, frozen=True, kw_only=True, tag="chat.cancel"):
    """Stop a turn, named by the request that started it or by its `turn_id`."""

    request_id: Id | None = None
    turn_id: Id | None = None


class ChatResume(FromClient, frozen=True, kw_only=True, tag="chat.resume"):
    """Take up a turn's events after `after` (all of them when absent), then the live ones."""

    turn_id: Id
    after: int | None = None


class ContextInspect(Request[ContextInspection], frozen=True, kw_only=True, tag="context.inspect"):
    """What the next request would weigh, with `content` as the user's message.

    With `turn_id` the answer also has what that turn was estimated at and billed. `output_format`
    is the one that the request would ask for.
    """

    session_id: Id
    content: str | list[TextBlock | ImageBlock | DocumentBlock] | None = None
    model: ModelId | None = None
    exact: bool = False
    turn_id: Id | None = None
    output_format: OutputFormat | None = None


class UsageQuery(Request[UsageReport], frozen=True, kw_only=True, tag="usage.query"):
    """What was billed, `since` inclusive, `until` exclusive."""

    session_id: Id | None = None
    since: Timestamp | None = None
    until: Timestamp | None = None


class SessionCreate(Request[SessionCreated], frozen=True, kw_only=True, tag="session.create"):
    """Make an empty session."""

    model: ModelId | None = None
    agent_id: AgentId | None = None
    system: str | None = None
    title: str | None = None


class SessionList(Request[SessionListing], frozen=True, kw_only=True, tag="session.list"):
    """Sessions, the most recently active first; `before` is a former page's `next`."""

    limit: int | None = None
    before: Id | None = None


class SessionHistory(Request[SessionHistoryPage], frozen=True, kw_only=True, tag="session.history"):
    """A page of a session's messages, the newest page first, oldest first within it."""

    session_id: Id
    limit: int | None = None
    before: Id | None = None


class SessionDelete(Request[SessionDeleted], frozen=True, kw_only=True, tag="session.delete"):
    """Forget a session's messages; what it was billed stays in the usage."""

    session_id: Id


class ModelList(Request[ModelListing], frozen=True, kw_only=True, tag="model.list"):
    """The models that the provider offers."""


class ToolApprovalResponse(FromClient, frozen=True, kw_only=True, tag="tool.approval.response"):
    """A person's answer to `tool.approval.request`."""

    tool_call_id: Id
    approved: bool
    session_approve: bool = False


class ToolOutput(FromClient, frozen=True, kw_only=True, tag="tool.output"):
    """The result of a tool that the client ran."""

    tool_call_id: Id
    content: str | list[TextBlock | ImageBlock | DocumentBlock]
    is_error: bool = False


class GatewayStatus(Request[GatewayStatusReport], frozen=True, kw_only=True, tag="gateway.status"):
    """The gateway's figures, now."""


class Ping(Request[Pong], frozen=True, kw_only=True, tag="ping"):
    """Is anybody there?"""


ClientMessage: TypeAlias = (
    ChatSend
    | ChatCancel
    | ChatResume
    | ContextInspect
    | UsageQuery
    | SessionCreate
    | SessionList
    | SessionHistory
    | SessionDelete
    | ModelList
    | ToolApprovalResponse
    | ToolOutput
    | GatewayStatus
    | Ping
)
"""What the client sends. `type` tells which message it is."""

ServerMessage: TypeAlias = (
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
"""What the gateway sends. `type` tells which message it is."""

REPLIES: dict[type[Request[Any]], type[FromGateway]] = {
    ContextInspect: ContextInspection,
    UsageQuery: UsageReport,
    SessionCreate: SessionCreated,
    SessionList: SessionListing,
    SessionHistory: SessionHistoryPage,
    SessionDelete: SessionDeleted,
    ModelList: ModelListing,
    GatewayStatus: GatewayStatusReport,
    Ping: Pong,
}
"""By request, the message that answers it."""
