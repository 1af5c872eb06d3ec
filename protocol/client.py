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

# `(?!\n)$`: Python's `$` would let one trailing newline pass, ECMAScript's would not.
Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+(?!\n)$")]
"""1 to 64 of `A-Za-z0-9_.:-`."""

AgentId = Annotated[
    str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:-]*(?!\n)$")
]
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
    """A tool that the client itself runs; `input_schema` is JSON Schema.

    With `strict` the model's arguments follow the schema. With `defer_loading` the model looks for
    the tool when it needs it. `input_examples` are arguments as they may be.
    """

    name: ToolName
    description: Annotated[str, Meta(max_length=16_384)]
    input_schema: dict[str, Any]
    strict: bool = False
    defer_loading: bool = False
    input_examples: Annotated[list[dict[str, Any]], Meta(max_length=16)] = []


class UserLocation(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """About where the user is, for a search: a country is two letters, a timezone is IANA's."""

    city: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    region: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    country: Annotated[str, Meta(min_length=2, max_length=2)] | None = None
    timezone: Annotated[str, Meta(min_length=1, max_length=255)] | None = None


class ServerToolOptions(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A tool that the provider runs itself: how often a request may use it, and where."""

    name: ServerTool
    max_uses: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    allowed_domains: Annotated[list[Domain], Meta(min_length=1, max_length=64)] | None = None
    blocked_domains: Annotated[list[Domain], Meta(min_length=1, max_length=64)] | None = None
    user_location: UserLocation | None = None


class OneTool(msgspec.Struct, frozen=True, rename="camel"):
    """The tool that the model is to use."""

    name: ToolName


class OutputFormat(msgspec.Struct, frozen=True, rename="camel"):
    """A JSON Schema that the answer must follow: its text is that JSON."""

    schema: dict[str, Any]


class ClientMessage(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    tag_field=TAG_FIELD,
    omit_defaults=True,
):
    """What every client message has: the `id` that answers echo as `requestId`."""

    id: Id


class ChatSend(ClientMessage, frozen=True, tag="chat.send"):
    """Ask the model; `max_cost` in USD, `max_tokens` of output.

    A session remembers its model, system prompt and tools; all else holds for one turn. A
    `tool_choice` that forces a tool holds for the turn's first request. `user_id` is passed on to
    the provider, which looks for abuse by it.
    """

    content: UserContent
    session_id: Id | None = None
    model: ModelId | None = None
    agent_id: AgentId | None = None
    system: str | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None
    thinking: ThinkingChoice | ThinkingBudget = "auto"
    effort: Effort | None = None
    on_disconnect: OnDisconnect = "detach"
    max_cost: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None
    tools: Annotated[list[ToolDeclaration], Meta(max_length=128)] | None = None
    server_tools: Annotated[list[ServerTool | ServerToolOptions], Meta(max_length=8)] | None = None
    tool_choice: ToolChoice | OneTool | None = None
    stop_sequences: (
        Annotated[
            list[Annotated[str, Meta(min_length=1, max_length=256)]],
            Meta(min_length=1, max_length=16),
        ]
        | None
    ) = None
    output_format: OutputFormat | None = None
    temperature: Fraction | None = None
    top_p: Fraction | None = None
    top_k: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    cache_ttl: CacheTtl | None = None
    user_id: OpaqueId | None = None


class ChatCancel(ClientMessage, frozen=True, tag="chat.cancel"):
    """Stop a turn, named by the request that started it or by its `turn_id`."""

    request_id: Id | None = None
    turn_id: Id | None = None


class ChatResume(ClientMessage, frozen=True, tag="chat.resume"):
    """Take up a turn's events after `after` (all of them when absent), then the live ones."""

    turn_id: Id
    after: Annotated[int, Meta(ge=-1, le=2**53)] | None = None


class ContextInspect(ClientMessage, Request[ContextInspection], frozen=True, tag="context.inspect"):
    """What the next request would weigh, with `content` as the user's message.

    With `turn_id` the answer also has what that turn was estimated at and billed. `output_format`
    is the one that the request would ask for.
    """

    session_id: Id
    content: UserContent | None = None
    model: ModelId | None = None
    exact: bool = False
    turn_id: Id | None = None
    output_format: OutputFormat | None = None


class UsageQuery(ClientMessage, Request[UsageReport], frozen=True, tag="usage.query"):
    """What was billed, `since` inclusive, `until` exclusive."""

    session_id: Id | None = None
    since: Timestamp | None = None
    until: Timestamp | None = None


class SessionCreate(ClientMessage, Request[SessionCreated], frozen=True, tag="session.create"):
    """Make an empty session."""

    model: ModelId | None = None
    agent_id: AgentId | None = None
    system: str | None = None
    title: Annotated[str, Meta(max_length=200)] | None = None


class SessionList(ClientMessage, Request[SessionListing], frozen=True, tag="session.list"):
    """Sessions, the most recently active first; `before` is a former page's `next`."""

    limit: PageSize | None = None
    before: Id | None = None


class SessionHistory(
    ClientMessage, Request[SessionHistoryPage], frozen=True, tag="session.history"
):
    """A page of a session's messages, the newest page first, oldest first within it."""

    session_id: Id
    limit: PageSize | None = None
    before: Id | None = None


class SessionDelete(ClientMessage, Request[SessionDeleted], frozen=True, tag="session.delete"):
    """Forget a session's messages; what it was billed stays in the usage."""

    session_id: Id


class ModelList(ClientMessage, Request[ModelListing], frozen=True, tag="model.list"):
    """The models that the provider offers."""


class ToolApprovalResponse(ClientMessage, frozen=True, tag="tool.approval.response"):
    """A person's answer to `tool.approval.request`."""

    tool_call_id: Id
    approved: bool
    session_approve: bool = False


class ToolOutput(ClientMessage, frozen=True, tag="tool.output"):
    """The result of a tool that the client ran."""

    tool_call_id: Id
    content: UserContent
    is_error: bool = False


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
