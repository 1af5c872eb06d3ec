"""What a client may send: one tagged union.

A question that an actor answers is itself the `Request`, typed by the message that answers it.

Unknown extra fields are ignored; unknown types, missing and ill-typed fields are refused by the
codec with the field's name.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from protocol.provider.content import UserContent
from protocol.provider.thinking import Effort, ThinkingBudget
from protocol.request import TAG_FIELD, Request
from protocol.server import (
    ContextInspection,
    ModelListing,
    SessionCreated,
    SessionDeleted,
    SessionHistoryPage,
    SessionListing,
    UsageReport,
)
from protocol.wire import NAME_OF_A_FOLDER

# `(?!\n)$`: Python's `$` would let one trailing newline pass, ECMAScript's would not.
Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+(?!\n)$")]
"""1 to 64 of `A-Za-z0-9_.:-`."""

AgentId = Annotated[str, Meta(min_length=1, max_length=64, pattern=NAME_OF_A_FOLDER)]
"""An `Id` that cannot begin with a dot: it names a folder."""

ModelId = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.:@/-]+(?!\n)$")]
ToolName = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_-]+(?!\n)$")]
Timestamp = Annotated[str, Meta(min_length=1, max_length=40)]
"""A date or a date and time of ISO 8601; without an offset it is UTC."""

PageSize = Annotated[int, Meta(ge=1, le=200)]
OnDisconnect = Literal["detach", "cancel"]
ThinkingChoice = Literal["auto", "off"]
ToolChoice = Literal["auto", "any", "none"]
ServerTool = Literal["web_search", "web_fetch", "code_execution"]
"""A tool that the provider runs itself."""


Domain = Annotated[str, Meta(max_length=253, pattern=r"^[A-Za-z0-9*_][A-Za-z0-9.*/_-]*(?!\n)$")]
"""A domain, without `https://`; a path may follow."""

CacheTtl = Literal["5m", "1h"]
OpaqueId = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[!-?A-~]+(?!\n)$")]
"""An id that does not reveal a person: no mail address, and no blanks as in a name."""

Fraction = Annotated[float, Meta(ge=0, le=1)]


class ToolDeclaration(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A tool that the client itself runs."""

    name: ToolName
    """What the model calls it."""
    description: Annotated[str, Meta(max_length=16_384)]
    """What it does, for the model."""
    input_schema: dict[str, Any]
    """JSON Schema of its arguments, an object."""
    strict: bool = False
    """Whether the model's arguments must follow the schema."""
    defer_loading: bool = False
    """Whether the model looks for the tool only when it needs it."""
    input_examples: Annotated[list[dict[str, Any]], Meta(max_length=16)] = []
    """Arguments as they may be."""


class UserLocation(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """About where the user is, for a search."""

    city: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    """A city."""
    region: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    """A region or state."""
    country: Annotated[str, Meta(min_length=2, max_length=2)] | None = None
    """Two letters of ISO 3166-1."""
    timezone: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    """IANA's name, as Europe/Berlin."""


class ServerToolOptions(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A tool that the provider runs itself: how often a request may use it, and where."""

    name: ServerTool
    """The tool."""
    max_uses: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    """How often a request may use it."""
    allowed_domains: Annotated[list[Domain], Meta(min_length=1, max_length=64)] | None = None
    """Only these are searched."""
    blocked_domains: Annotated[list[Domain], Meta(min_length=1, max_length=64)] | None = None
    """These are not searched."""
    user_location: UserLocation | None = None
    """Where the user is, for a search."""


class OneTool(msgspec.Struct, frozen=True, rename="camel"):
    """The tool that the model is to use."""

    name: ToolName
    """The tool's name."""


class OutputFormat(msgspec.Struct, frozen=True, rename="camel"):
    """A JSON Schema that the answer must follow: its text is that JSON."""

    schema: dict[str, Any]
    """JSON Schema that the answer's text follows."""


class ClientMessage(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    tag_field=TAG_FIELD,
    omit_defaults=True,
):
    """What every client message has."""

    id: Id
    """Chosen by the client; answers echo it as `requestId`."""


class ChatSend(ClientMessage, frozen=True, tag="chat.send"):
    """Ask the model.

    A session remembers its model, system prompt and tools; all else holds for one turn. Sent again
    with the same `id` and `session_id`, it gets the turn that it has started, and is billed once.
    """

    content: UserContent
    """What the user says."""
    session_id: Id | None = None
    """The session that it belongs to. Without it a new one is made."""
    model: ModelId | None = None
    """The model to ask; else the session's, else the gateway's default."""
    agent_id: AgentId | None = None
    """Whose memory and skills a new session has; `default` when unset."""
    system: str | None = None
    """The system prompt, from this turn on."""
    max_tokens: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None
    """The most tokens of the answer; else the gateway's settings tell."""
    thinking: ThinkingChoice | ThinkingBudget = "auto"
    """How the model thinks before it answers."""
    effort: Effort | None = None
    """How much work the model puts into the answer; else the model decides."""
    on_disconnect: OnDisconnect = "detach"
    """What becomes of the turn when this connection is lost."""
    max_cost: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None
    """The most US dollars that the turn may cost."""
    tools: Annotated[list[ToolDeclaration], Meta(max_length=128)] | None = None
    """The tools that the client runs, from this turn on."""
    server_tools: Annotated[list[ServerTool | ServerToolOptions], Meta(max_length=8)] | None = None
    """The tools that the provider runs, from this turn on."""
    tool_choice: ToolChoice | OneTool | None = None
    """Which tool the model must call in the turn's first request; else it decides."""
    stop_sequences: (
        Annotated[
            list[Annotated[str, Meta(min_length=1, max_length=256)]],
            Meta(min_length=1, max_length=16),
        ]
        | None
    ) = None
    """Texts at which the model stops."""
    output_format: OutputFormat | None = None
    """What the answer must be like."""
    temperature: Fraction | None = None
    """How freely the model chooses its words, where it takes that."""
    top_p: Fraction | None = None
    """Words beyond this share of likelihood are not chosen, where the model takes that."""
    top_k: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    """So many of the likeliest words are chosen from, where the model takes that."""
    cache_ttl: CacheTtl | None = None
    """How long the provider is to keep the prompt; else 5 minutes."""
    user_id: OpaqueId | None = None
    """Who asks. The provider gets it, and looks for abuse by it."""


class ChatCancel(ClientMessage, frozen=True, tag="chat.cancel"):
    """Stop a turn, named by `request_id` or by `turn_id`; its own last frame answers."""

    request_id: Id | None = None
    """The `id` of the request that started the turn."""
    turn_id: Id | None = None
    """The turn's id, instead."""


class ChatResume(ClientMessage, frozen=True, tag="chat.resume"):
    """Take up a turn's events after `after` (all of them when absent), then the live ones."""

    turn_id: Id
    """The turn, as `chat.stream.start` told it."""
    after: Annotated[int, Meta(ge=-1, le=2**53)] | None = None
    """The last `seq` that was seen; without it the turn is told from its start."""


class ContextInspect(ClientMessage, Request[ContextInspection], frozen=True, tag="context.inspect"):
    """What the next request would weigh, with `content` as the user's message."""

    session_id: Id
    """The session."""
    content: UserContent | None = None
    """The user's next message."""
    model: ModelId | None = None
    """The model to ask; else the session's."""
    exact: bool = False
    """Whether the provider is to count the tokens too."""
    turn_id: Id | None = None
    """A turn that was sent: what it was estimated at, and billed, is told too."""
    output_format: OutputFormat | None = None
    """What the answer would have to be like."""


class UsageQuery(ClientMessage, Request[UsageReport], frozen=True, tag="usage.query"):
    """What was billed."""

    session_id: Id | None = None
    """Of this session alone."""
    since: Timestamp | None = None
    """From then on, inclusive."""
    until: Timestamp | None = None
    """Up to then, exclusive."""


class SessionCreate(ClientMessage, Request[SessionCreated], frozen=True, tag="session.create"):
    """Make an empty session."""

    model: ModelId | None = None
    """The session's model; else the gateway's default."""
    agent_id: AgentId | None = None
    """Whose memory and skills it has."""
    system: str | None = None
    """Its system prompt."""
    title: Annotated[str, Meta(max_length=200)] | None = None
    """A name for people."""


class SessionList(ClientMessage, Request[SessionListing], frozen=True, tag="session.list"):
    """A page of the sessions, the most recently active first."""

    limit: PageSize | None = None
    """How many at most."""
    before: Id | None = None
    """A former page's `next`."""


class SessionHistory(
    ClientMessage, Request[SessionHistoryPage], frozen=True, tag="session.history"
):
    """A page of a session's messages, the newest page first, oldest first within it."""

    session_id: Id
    """The session."""
    limit: PageSize | None = None
    """How many messages at most."""
    before: Id | None = None
    """A former page's `next`."""


class SessionDelete(ClientMessage, Request[SessionDeleted], frozen=True, tag="session.delete"):
    """Forget a session's messages; what it was billed stays in the usage."""

    session_id: Id
    """The session."""


class ModelList(ClientMessage, Request[ModelListing], frozen=True, tag="model.list"):
    """The models that the provider offers."""


class ToolApprovalResponse(ClientMessage, frozen=True, tag="tool.approval.response"):
    """A person's answer to `tool.approval.request`."""

    tool_call_id: Id
    """The call, as `tool.approval.request` told it."""
    approved: bool
    """Whether the tool may run."""
    session_approve: bool = False
    """Whether it may do so for the rest of the session, unasked."""


class ToolOutput(ClientMessage, frozen=True, tag="tool.output"):
    """The result of a tool that the client ran."""

    tool_call_id: Id
    """The call, as `tool.call` told it."""
    content: UserContent
    """What the model is told."""
    is_error: bool = False
    """Whether the tool failed."""


class GatewayStatus(ClientMessage, frozen=True, tag="gateway.status"):
    """The gateway's figures, now."""


class Ping(ClientMessage, frozen=True, tag="ping"):
    """Is anybody there?"""


AnyClientMessage = (
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
