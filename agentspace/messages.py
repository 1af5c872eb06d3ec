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
    """The text."""


class ImageBlock(
    Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True, tag="image"
):
    """A picture."""

    source: Base64Source | UrlSource
    """Where its bytes are."""


class Base64Source(
    Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True, tag="base64"
):
    """Bytes in base64 with their MIME type."""

    media_type: str
    """The MIME type, as image/png."""
    data: str
    """The bytes in base64."""


class UrlSource(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True, tag="url"):
    """An address that the provider fetches itself."""

    url: str
    """An https address."""


class DocumentBlock(
    Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True, tag="document"
):
    """A document, with an optional title and context that the model reads next to it."""

    source: Base64Source | UrlSource | PlainTextSource
    """Where its bytes or its text are."""
    title: str | None = None
    """The document's name, for the model."""
    context: str | None = None
    """What the model should know of the document."""
    citations: CitationsSwitch | None = None
    """Whether the model should cite it."""


class PlainTextSource(
    Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True, tag="text"
):
    """A document's text, given inline; `media_type` is `text/plain`."""

    data: str
    """The text."""
    media_type: str = "text/plain"
    """Always text/plain."""


class CitationsSwitch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether the model should cite the document."""

    enabled: bool
    """Whether it should."""


class ThinkingBudget(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A budget of thinking tokens for models that take one; the provider's least is 1024."""

    budget_tokens: int
    """The most tokens of thinking in one request."""


class ToolDeclaration(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A tool that the client itself runs."""

    name: ToolName
    """What the model calls it."""
    description: str
    """What it does, for the model."""
    input_schema: dict[str, Any]
    """JSON Schema of its arguments, an object."""
    strict: bool = False
    """Whether the model's arguments must follow the schema."""
    defer_loading: bool = False
    """Whether the model looks for the tool only when it needs it."""
    input_examples: list[dict[str, Any]] = []
    """Arguments as they may be."""


class ServerToolOptions(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A tool that the provider runs itself: how often a request may use it, and where."""

    name: ServerTool
    """The tool."""
    max_uses: int | None = None
    """How often a request may use it."""
    allowed_domains: list[Domain] | None = None
    """Only these are searched."""
    blocked_domains: list[Domain] | None = None
    """These are not searched."""
    user_location: UserLocation | None = None
    """Where the user is, for a search."""


class UserLocation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """About where the user is, for a search."""

    city: str | None = None
    """A city."""
    region: str | None = None
    """A region or state."""
    country: str | None = None
    """Two letters of ISO 3166-1."""
    timezone: str | None = None
    """IANA's name, as Europe/Berlin."""


class OneTool(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The tool that the model is to use."""

    name: ToolName
    """The tool's name."""


class OutputFormat(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A JSON Schema that the answer must follow: its text is that JSON."""

    schema: dict[str, Any]
    """JSON Schema that the answer's text follows."""


class Limits(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the gateway takes: of one message, sessions on a page, requests at once.

    A message is bounded in bytes and in values: elements of lists and members of objects.
    """

    max_message_bytes: int
    """Bytes of one message."""
    max_sessions: int
    """Sessions or messages on one page of a list."""
    max_pending_requests: int
    """Questions of one connection that wait for an answer."""
    max_message_values: int = 50000
    """Elements of lists and members of objects in one message."""
    max_content_blocks: int = 1000
    """Blocks of one content."""
    max_schema_nodes: int = 10000
    """Values in one JSON Schema."""
    max_schema_depth: int = 64
    """Levels of one JSON Schema."""


class Routing(Struct, frozen=True, kw_only=True):
    """Why a turn has its model, when the gateway chose it."""

    tier: Tier | str
    """The price class."""
    reason: str
    """Why, for a person."""


class Source(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where an answer comes from."""

    url: str
    """Its address."""
    title: str | UnsetType = UNSET
    """Its title."""
    file_id: str | UnsetType = UNSET
    """The provider's id of a file that it made."""


class Usage(Struct, frozen=True, kw_only=True, rename="camel"):
    """Tokens billed."""

    input_tokens: int
    """All that the prompt was billed for, cached or not."""
    output_tokens: int
    """All that the answer was billed for, reasoning included."""
    total_tokens: int
    """Both together."""
    input_details: InputDetails
    """The parts of `input_tokens`."""
    output_details: OutputDetails
    """The part of `output_tokens` that was reasoning."""
    web_searches: int
    """Searches, which are billed one by one."""
    estimated: bool
    """True when the provider never told the final figures."""
    region: str | UnsetType = UNSET
    """Where the model ran, as the provider says."""
    speed: str | UnsetType = UNSET
    """How fast it ran, as the provider says."""


class InputDetails(Struct, frozen=True, kw_only=True, rename="camel"):
    """The parts of `input_tokens`: each is billed at its own price."""

    uncached: int
    """Read anew."""
    cache_read: int
    """Read from the provider's cache."""
    cache_write5m: int = field(name="cacheWrite5m")
    """Written to its cache for 5 minutes."""
    cache_write1h: int = field(name="cacheWrite1h")
    """Written to its cache for an hour."""


class OutputDetails(Struct, frozen=True, kw_only=True):
    """The part of `output_tokens` that was reasoning."""

    thinking: int
    """Tokens of reasoning."""


class WireCost(Struct, frozen=True, kw_only=True, rename="camel"):
    """USD, exact unless it is `estimated`."""

    input_cost: Usd
    """Of the prompt."""
    output_cost: Usd
    """Of the answer, searches included."""
    total_cost: Usd
    """Both together."""
    estimated: bool | UnsetType = UNSET
    """True when it is not known for certain."""


class SentContext(Struct, frozen=True, kw_only=True, rename="camel"):
    """What of the history the model did not see.

    What did not fit the window: whole turns were left out of the request, or the provider cleared
    old tool results. And `epoch`, when with this turn the conversation began anew for the model: it
    got the turns from before without their thinking.
    """

    left_out_turns: int
    """Turns that did not fit the window."""
    left_out_messages: int
    """The messages of these."""
    cleared_tool_uses: int | UnsetType = UNSET
    """Old results of tools that the provider cleared."""
    cleared_tokens: int | UnsetType = UNSET
    """The tokens of these."""
    dropped_thinking: int | UnsetType = UNSET
    """Thinking blocks that the provider found bound to another conversation."""
    epoch: int | UnsetType = UNSET
    """There when the conversation began anew for the model: which beginning it is."""


class StepUsage(Struct, frozen=True, kw_only=True, rename="camel"):
    """One of the requests that a turn with tools made of the provider."""

    stop_reason: str
    """Why this answer stopped, in the provider's words."""
    usage: Usage
    """What this request was billed."""


class StopDetails(Struct, frozen=True, kw_only=True):
    """Why the provider refused: its `category`, and its own explanation.

    Either may be missing; the words are not guaranteed to be stable (the provider's page on
    refusals, November 2026).
    """

    category: str | UnsetType = UNSET
    """The provider's word for it, such as `cyber`."""
    explanation: str | UnsetType = UNSET
    """The provider's own explanation."""


class SectionWeight(Struct, frozen=True, kw_only=True, rename="camel"):
    """A section without its text."""

    name: SectionName | str
    """Which section it is."""
    byte_count: int
    """UTF-8 bytes of it."""
    token_estimate: int
    """Tokens, estimated."""
    cost_estimate: Usd | None
    """`null` when the price is not known."""


class Section(Struct, frozen=True, kw_only=True, rename="camel"):
    """One part of the context: its text, and what it weighs."""

    name: SectionName | str
    """Which section it is."""
    content: str
    """Its text, as it is sent."""
    byte_count: int
    """UTF-8 bytes of it."""
    token_estimate: int
    """Tokens, estimated."""
    cost_estimate: Usd | None
    """For a provider that remembers nothing; `null` when the price is not known."""
    cached: bool | UnsetType = UNSET
    """True when the provider most likely has all of it in its cache."""
    cached_tokens: int | UnsetType = UNSET
    """How many of its tokens that most likely has."""
    cached_cost_estimate: Usd | UnsetType | None = UNSET
    """The cost with that."""
    superseded: int | UnsetType = UNSET
    """Bytes of it that a later part of it replaces."""


class Totals(Struct, frozen=True, kw_only=True, rename="camel"):
    """The sums of the sections."""

    byte_count: int
    """UTF-8 bytes."""
    token_estimate: int
    """Tokens, estimated."""
    cost_estimate: Usd | None
    """For a provider that remembers nothing; `null` when the price is not known."""
    cached_tokens: int | UnsetType = UNSET
    """How many tokens the provider's cache most likely has."""
    cached_cost_estimate: Usd | UnsetType | None = UNSET
    """The cost with that."""


class Window(Struct, frozen=True, kw_only=True):
    """The model's input window in tokens."""

    limit: int
    """All of it."""
    used: int
    """What the context takes of it, estimated."""
    free: int
    """What is left."""


class Calibration(Struct, frozen=True, kw_only=True):
    """How the provider counts the model's tokens, learned from its bills."""

    ratio: float
    """Billed tokens for each counted one."""
    samples: int
    """How many bills it was learned from."""
    error: float | UnsetType = UNSET
    """By how much the latest estimates missed the bill on average, of 1."""


class TurnInspection(Struct, frozen=True, kw_only=True, rename="camel"):
    """A turn that was sent: what it was estimated at, beside what it was billed.

    The figures are of the turn's first request.
    """

    turn_id: str
    """The turn."""
    sections: list[SectionWeight]
    """What each section weighed."""
    token_estimate: int
    """Tokens of its first request, as estimated."""
    billed_tokens: int
    """Tokens of its first request, as billed."""
    cost_estimate: Usd | None
    """What these were estimated to cost."""
    billed_cost: Usd | None
    """What these cost."""
    error: float
    """How far the estimate was off, of 1."""
    estimated: bool | UnsetType = UNSET
    """True when the bill does not tell the cost exactly."""


class ModelUsage(Struct, frozen=True, kw_only=True, rename="camel"):
    """What one model was billed."""

    input_tokens: int
    """Billed for prompts."""
    output_tokens: int
    """Billed for answers."""
    total_tokens: int
    """Both together."""
    input_details: InputDetails
    """The parts of `input_tokens`."""
    output_details: OutputDetails
    """The part of `output_tokens` that was reasoning."""
    web_searches: int
    """Searches, which are billed one by one."""
    total_cost: Usd | None
    """`null` when any request has no known price."""
    request_count: int
    """Turns of which it answered at least one request; one of several models counts for each."""
    unpriced_requests: int
    """Those without a known price."""
    estimated_requests: int | UnsetType = UNSET
    """Those whose cost is not exact."""


class GrandTotal(Struct, frozen=True, kw_only=True, rename="camel"):
    """All models together; requests without a known price are counted, not guessed."""

    total_cost: Usd
    """Of all that has a known price."""
    total_tokens: int
    """Of all."""
    request_count: int
    """Turns, each of them once, however many models answered."""
    unpriced_requests: int
    """Those without a known price."""
    estimated_requests: int | UnsetType = UNSET
    """Those whose cost is not exact."""


class SessionSummary(Struct, frozen=True, kw_only=True, rename="camel"):
    """One line of the list of sessions; times are ISO 8601 in UTC."""

    session_id: str
    """The session."""
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


class HistoryMessage(Struct, frozen=True, kw_only=True, rename="camel"):
    """One message of a session, as it was stored."""

    role: Role | str
    """Who wrote it."""
    content: str | list[dict[str, Any]]
    """A text, or blocks in the provider's shapes."""
    created_at: str
    """ISO 8601 in UTC."""
    tokens: int | UnsetType = UNSET
    """Its tokens, estimated."""
    turn_id: str | UnsetType = UNSET
    """The turn that it belongs to."""
    status: HistoryStatus | str | UnsetType = UNSET
    """Why it is not whole."""


class ModelSummary(Struct, frozen=True, kw_only=True, rename="camel"):
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
    input_price: Usd | None
    """For a million tokens; `null` when it is not known."""
    output_price: Usd | None
    """For a million tokens; `null` when it is not known."""
    lifecycle: Lifecycle | str | UnsetType = UNSET
    """Left out when it is not known."""
    retires_at: str | UnsetType = UNSET
    """The day on which it goes, when that is told."""


class LeftOutTool(Struct, frozen=True, kw_only=True):
    """A tool that no model is offered."""

    name: str
    """What its server calls it."""
    server: str | UnsetType = UNSET
    """The server's name in the settings."""
    reason: str
    """Why, as a clause for a person."""


class MailboxDepth(Struct, frozen=True, kw_only=True):
    """How many messages wait in an actor's mailbox, of how many it takes."""

    waiting: int
    """Messages that wait."""
    size: int
    """The most that may."""


class GatewayHello(FromGateway, frozen=True, kw_only=True, tag="gateway.hello"):
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


class SessionCreated(FromGateway, frozen=True, kw_only=True, tag="session.created"):
    """A session exists."""

    session_id: str
    """The session."""
    session_key: str
    """`agent:{agentId}:{sessionId}`"""
    request_id: str | UnsetType = UNSET
    """The `id` of the request that this answers."""


class ChatStreamStart(FromGateway, frozen=True, kw_only=True, tag="chat.stream.start"):
    """A turn has been admitted and is on its way to the provider; exactly one a turn."""

    request_id: str
    """The `id` of the request that this answers."""
    session_id: str
    """The session."""
    model: str
    """The model that is asked."""
    turn_id: str
    """The turn."""
    seq: int
    """The place among the turn's events, from 0; it only grows."""
    routing: Routing | UnsetType = UNSET
    """Why it is that model, when the gateway chose it."""


class ChatStreamDelta(FromGateway, frozen=True, kw_only=True, tag="chat.stream.delta"):
    """Text; `code` from an opening fence to its closing fence, both included."""

    request_id: str
    """The `id` of the request that this answers."""
    delta: str
    """The next piece of the answer."""
    content_type: ContentType | str | UnsetType = UNSET
    """What the piece is of; `text` when it is not said."""
    seq: int
    """The place among the turn's events, from 0; it only grows."""


class ChatStreamReasoning(FromGateway, frozen=True, kw_only=True, tag="chat.stream.reasoning"):
    """Reasoning text."""

    request_id: str
    """The `id` of the request that this answers."""
    delta: str
    """The next piece of the reasoning."""
    seq: int
    """The place among the turn's events, from 0; it only grows."""


class ChatStreamSource(FromGateway, frozen=True, kw_only=True, tag="chat.stream.source"):
    """A url source; each url once a turn."""

    request_id: str
    """The `id` of the request that this answers."""
    source: Source
    """The source."""
    seq: int
    """The place among the turn's events, from 0; it only grows."""


class ToolCall(FromGateway, frozen=True, kw_only=True, tag="tool.call"):
    """The model calls a tool; `args` are whole. With `client_side` the client answers."""

    request_id: str
    """The `id` of the request that this answers."""
    tool_call_id: str
    """The call."""
    tool_name: str
    """The tool's name."""
    args: dict[str, Any]
    """Its arguments, whole."""
    seq: int
    """The place among the turn's events, from 0; it only grows."""
    client_side: bool | UnsetType = UNSET
    """True when the client is to run it and answer with `tool.output`."""


class ToolResult(FromGateway, frozen=True, kw_only=True, tag="tool.result"):
    """What a tool answered."""

    request_id: str
    """The `id` of the request that this answers."""
    tool_call_id: str
    """The call."""
    tool_name: str
    """The tool's name."""
    result: Any
    """What it answered: a text, or blocks in the provider's shapes."""
    seq: int
    """The place among the turn's events, from 0; it only grows."""


class ToolError(FromGateway, frozen=True, kw_only=True, tag="tool.error"):
    """Why a tool did not answer."""

    request_id: str
    """The `id` of the request that this answers."""
    tool_call_id: str
    """The call."""
    tool_name: str
    """The tool's name."""
    error: str
    """What went wrong, for the model and for a person."""
    seq: int
    """The place among the turn's events, from 0; it only grows."""


class ToolApprovalRequest(FromGateway, frozen=True, kw_only=True, tag="tool.approval.request"):
    """May this tool run? When its `approval` is `always`, `session_approve` is of no effect."""

    request_id: str
    """The `id` of the request that this answers."""
    tool_call_id: str
    """The call."""
    tool_name: str
    """The tool's name."""
    args: dict[str, Any]
    """Its arguments, whole."""
    seq: int
    """The place among the turn's events, from 0; it only grows."""
    risk: Risk | str | UnsetType = UNSET
    """How much harm it can do."""
    approval: Approval | str | UnsetType = UNSET
    """With `always`, `session_approve` is of no effect."""


class ChatStreamNotice(FromGateway, frozen=True, kw_only=True, tag="chat.stream.notice"):
    """Something that a person who waits should know; only for clients that got a hello."""

    request_id: str
    """The `id` of the request that this answers."""
    seq: int
    """The place among the turn's events, from 0; it only grows."""
    kind: NoticeKind | str
    """What has happened."""
    message: str
    """The same, for a person."""
    retry_after_ms: int | UnsetType = UNSET
    """Milliseconds until the provider is asked again."""


class ChatStreamEnd(FromGateway, frozen=True, kw_only=True, tag="chat.stream.end"):
    """The turn's last frame, with the provider's stop reason or one of the gateway's.

    `cancelled`, `budget` (`max_cost` is spent), `max_steps` (too many requests of one turn) and
    `repetition` (the model called tools in a circle) are the gateway's. `usage` and `cost` are the
    sums of `steps`.
    """

    request_id: str
    """The `id` of the request that this answers."""
    turn_id: str
    """The turn."""
    seq: int
    """The place among the turn's events, from 0; it only grows."""
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
    """Why the provider refused."""
    model: str | UnsetType = UNSET
    """The model that answered, when it is another than was asked."""
    stop_sequence: str | UnsetType = UNSET
    """The client's text at which the model stopped."""


class ErrorMessage(FromGateway, frozen=True, kw_only=True, tag="error"):
    """A failure. It is a turn's last frame when its `request_id` is that of a stream."""

    code: ErrorCode | str
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
    """Why the provider refused."""
    model: str | UnsetType = UNSET
    """The model that answered, when it is another than was asked."""


class ContextInspection(FromGateway, frozen=True, kw_only=True, tag="context.inspection"):
    """What the next request weighs."""

    request_id: str
    """The `id` of the request that this answers."""
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


class UsageReport(FromGateway, frozen=True, kw_only=True, tag="usage.report"):
    """What was billed."""

    request_id: str
    """The `id` of the request that this answers."""
    per_model: dict[str, ModelUsage]
    """By model."""
    grand_total: GrandTotal
    """Of all models."""


class SessionListing(FromGateway, frozen=True, kw_only=True, tag="session.list"):
    """A page of sessions."""

    request_id: str
    """The `id` of the request that this answers."""
    sessions: list[SessionSummary]
    """The most recently active first."""
    next: str | UnsetType = UNSET
    """What the next page's `before` takes; left out on the last one."""


class SessionHistoryPage(FromGateway, frozen=True, kw_only=True, tag="session.history"):
    """A page of a session's messages."""

    request_id: str
    """The `id` of the request that this answers."""
    session_id: str
    """The session."""
    messages: list[HistoryMessage]
    """Oldest first."""
    next: str | UnsetType = UNSET
    """What the older page's `before` takes; left out on the oldest one."""


class SessionDeleted(FromGateway, frozen=True, kw_only=True, tag="session.deleted"):
    """A session is gone."""

    request_id: str
    """The `id` of the request that this answers."""
    session_id: str
    """The session."""


class ModelListing(FromGateway, frozen=True, kw_only=True, tag="model.list"):
    """The models that can be asked for, and the tools of servers that no model is offered."""

    request_id: str
    """The `id` of the request that this answers."""
    default_model: str
    """The model of whoever names none."""
    models: list[ModelSummary]
    """The models."""
    tools_left_out: list[LeftOutTool] | UnsetType = UNSET
    """Tools of servers that no model is offered."""


class GatewayStatusReport(FromGateway, frozen=True, kw_only=True, tag="gateway.status"):
    """The gateway's figures, read from its state."""

    request_id: str
    """The `id` of the request that this answers."""
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
    ledger: LedgerState | str
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


class Pong(FromGateway, frozen=True, kw_only=True, tag="pong"):
    """The answer to `ping`."""

    request_id: str
    """The `id` of the request that this answers."""


class GatewayDraining(FromGateway, frozen=True, kw_only=True, tag="gateway.draining"):
    """The gateway is about to close: finish, or reconnect elsewhere."""

    deadline_ms: int
    """Milliseconds until it closes."""


class ChatSend(FromClient, frozen=True, kw_only=True, tag="chat.send"):
    """Ask the model.

    A session remembers its model, system prompt and tools; all else holds for one turn. Sent again
    with the same `id` and `session_id`, it gets the turn that it has started, and is billed once.
    """

    content: str | list[TextBlock | ImageBlock | DocumentBlock]
    """What the user says."""
    session_id: Id | None = None
    """The session that it belongs to. Without it a new one is made."""
    model: ModelId | None = None
    """The model to ask; else the session's, else the gateway's default."""
    agent_id: AgentId | None = None
    """Whose memory and skills a new session has; `default` when unset."""
    system: str | None = None
    """The system prompt, from this turn on."""
    max_tokens: int | None = None
    """The most tokens of the answer; else the gateway's settings tell."""
    thinking: ThinkingChoice | ThinkingBudget = "auto"
    """How the model thinks before it answers."""
    effort: Effort | None = None
    """How much work the model puts into the answer; else the model decides."""
    on_disconnect: OnDisconnect = "detach"
    """What becomes of the turn when this connection is lost."""
    max_cost: float | None = None
    """The most US dollars that the turn may cost."""
    tools: list[ToolDeclaration] | None = None
    """The tools that the client runs, from this turn on."""
    server_tools: list[ServerTool | ServerToolOptions] | None = None
    """The tools that the provider runs, from this turn on."""
    tool_choice: ToolChoice | OneTool | None = None
    """Which tool the model must call in the turn's first request; else it decides."""
    stop_sequences: list[str] | None = None
    """Texts at which the model stops."""
    output_format: OutputFormat | None = None
    """What the answer must be like."""
    temperature: float | None = None
    """How freely the model chooses its words, where it takes that."""
    top_p: float | None = None
    """Words beyond this share of likelihood are not chosen, where the model takes that."""
    top_k: int | None = None
    """So many of the likeliest words are chosen from, where the model takes that."""
    cache_ttl: CacheTtl | None = None
    """How long the provider is to keep the prompt; else 5 minutes."""
    user_id: OpaqueId | None = None
    """Who asks. The provider gets it, and looks for abuse by it."""


class ChatCancel(FromClient, frozen=True, kw_only=True, tag="chat.cancel"):
    """Stop a turn, named by `request_id` or by `turn_id`; its own last frame answers."""

    request_id: Id | None = None
    """The `id` of the request that started the turn."""
    turn_id: Id | None = None
    """The turn's id, instead."""


class ChatResume(FromClient, frozen=True, kw_only=True, tag="chat.resume"):
    """Take up a turn's events after `after` (all of them when absent), then the live ones."""

    turn_id: Id
    """The turn, as `chat.stream.start` told it."""
    after: int | None = None
    """The last `seq` that was seen; without it the turn is told from its start."""


class ContextInspect(Request[ContextInspection], frozen=True, kw_only=True, tag="context.inspect"):
    """What the next request would weigh, with `content` as the user's message."""

    session_id: Id
    """The session."""
    content: str | list[TextBlock | ImageBlock | DocumentBlock] | None = None
    """The user's next message."""
    model: ModelId | None = None
    """The model to ask; else the session's."""
    exact: bool = False
    """Whether the provider is to count the tokens too."""
    turn_id: Id | None = None
    """A turn that was sent: what it was estimated at, and billed, is told too."""
    output_format: OutputFormat | None = None
    """What the answer would have to be like."""


class UsageQuery(Request[UsageReport], frozen=True, kw_only=True, tag="usage.query"):
    """What was billed."""

    session_id: Id | None = None
    """Of this session alone."""
    since: Timestamp | None = None
    """From then on, inclusive."""
    until: Timestamp | None = None
    """Up to then, exclusive."""


class SessionCreate(Request[SessionCreated], frozen=True, kw_only=True, tag="session.create"):
    """Make an empty session."""

    model: ModelId | None = None
    """The session's model; else the gateway's default."""
    agent_id: AgentId | None = None
    """Whose memory and skills it has."""
    system: str | None = None
    """Its system prompt."""
    title: str | None = None
    """A name for people."""


class SessionList(Request[SessionListing], frozen=True, kw_only=True, tag="session.list"):
    """A page of the sessions, the most recently active first."""

    limit: int | None = None
    """How many at most."""
    before: Id | None = None
    """A former page's `next`."""


class SessionHistory(Request[SessionHistoryPage], frozen=True, kw_only=True, tag="session.history"):
    """A page of a session's messages, the newest page first, oldest first within it."""

    session_id: Id
    """The session."""
    limit: int | None = None
    """How many messages at most."""
    before: Id | None = None
    """A former page's `next`."""


class SessionDelete(Request[SessionDeleted], frozen=True, kw_only=True, tag="session.delete"):
    """Forget a session's messages; what it was billed stays in the usage."""

    session_id: Id
    """The session."""


class ModelList(Request[ModelListing], frozen=True, kw_only=True, tag="model.list"):
    """The models that the provider offers."""


class ToolApprovalResponse(FromClient, frozen=True, kw_only=True, tag="tool.approval.response"):
    """A person's answer to `tool.approval.request`."""

    tool_call_id: Id
    """The call, as `tool.approval.request` told it."""
    approved: bool
    """Whether the tool may run."""
    session_approve: bool = False
    """Whether it may do so for the rest of the session, unasked."""


class ToolOutput(FromClient, frozen=True, kw_only=True, tag="tool.output"):
    """The result of a tool that the client ran."""

    tool_call_id: Id
    """The call, as `tool.call` told it."""
    content: str | list[TextBlock | ImageBlock | DocumentBlock]
    """What the model is told."""
    is_error: bool = False
    """Whether the tool failed."""


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
