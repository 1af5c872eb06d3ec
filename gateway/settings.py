"""Every setting: its kind, unit, default and meaning, in one struct; MCP servers have tables.

`gateway.config` finds out which values are in force.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec
import platformdirs
from msgspec import Meta

from gateway.mcp.settings import McpServer
from protocol.client import ServerTool, ServerToolOptions
from protocol.provider.model_info import ModelInfo

MIB: Final = 1024 * 1024


def _kind(expects: str, **limits: Any) -> Meta:
    return Meta(extra={"expects": expects}, **limits)


def _about(description: str, *, secret: bool = False) -> Meta:
    return Meta(description=description, extra={"secret": secret})


Port = Annotated[int, _kind("a whole number from 0 to 65535", ge=0, le=65_535)]
Seconds = Annotated[float, _kind("seconds: above 0, at most 86400", gt=0, le=86_400)]
Count = Annotated[int, _kind("a whole number from 1 to 1000000", ge=1, le=1_000_000)]
Attempts = Annotated[int, _kind("a whole number from 0 to 10", ge=0, le=10)]
Budget = Annotated[int, _kind("a whole number from 1024 to 1000000", ge=1_024, le=1_000_000)]
Bytes = Annotated[int, _kind("bytes: a whole number from 1024 up", ge=1_024, le=2**40)]
Switch = Annotated[bool, _kind("true or false")]
Folder = Annotated[Path, _kind("a path")]
OptionalFile = Annotated[Path | None, _kind("a path")]
PlainText = Annotated[str, _kind("text in UTF-8, without NUL")]
Host = Annotated[str, _kind("an address or a host name", pattern=r"^[A-Za-z0-9.:_%-]{1,255}\Z")]
ModelName = Annotated[str, _kind("a model's id", pattern=r"^[!-~]{1,128}\Z")]
# What a subprotocol can carry too (RFC 9110, section 5.6.2): that is where browsers put a token.
_Token = Annotated[str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{16,512}\Z")]
OptionalToken = Annotated[
    _Token | None,
    _kind("16 to 512 letters, digits or any of !#$%&'*+-.^_`|~"),
]
OptionalUrl = Annotated[str | None, _kind("an http:// or https:// address without user, ? or #")]
_Origin = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9+.-]*://[a-z0-9.:_\[\]-]+\Z")]
Origins = Annotated[
    tuple[_Origin, ...],
    _kind("origins in lower case without path or *, such as https://app.example:8443"),
]
_HostName = Annotated[str, Meta(pattern=r"^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)\Z")]
HostNames = Annotated[
    tuple[_HostName, ...], _kind("host names in lower case without port, such as gateway.example")
]

ServerTools = Annotated[
    tuple[ServerTool | ServerToolOptions, ...],
    _kind("any of web_search, web_fetch, code_execution; in the file also with options"),
]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting. Times are in seconds, sizes in bytes."""

    # Who may connect, and where
    host: Annotated[Host, _about("Address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, _about("TCP port to listen on; 0 takes a free one.")] = 3271
    auth: Annotated[
        Literal["token", "none"],
        _kind("token or none"),
        _about("Whether a client must show the token; `none` is for a loopback host alone."),
    ] = "token"
    token: Annotated[
        OptionalToken,
        _about("The bearer token; without one, a token is made and kept.", secret=True),
    ] = None
    allowed_origins: Annotated[
        Origins, _about("Origins of web pages that may connect, compared exactly.")
    ] = ()
    allowed_hosts: Annotated[
        HostNames, _about("Further Host names that the gateway answers to.")
    ] = ()

    # Where things are kept
    data_dir: Annotated[
        Folder, _about("Folder of the database, the token and the agents' folders.")
    ] = msgspec.field(default_factory=lambda: platformdirs.user_data_path("agentspace"))
    prices_file: Annotated[
        OptionalFile, _about("TOML or JSON file of prices that win over the built-in ones.")
    ] = None
    api_key_file: Annotated[
        OptionalFile, _about("File of the provider's key, readable by its owner alone.")
    ] = None

    # What is asked of the model
    anthropic_base_url: Annotated[
        OptionalUrl, _about("Address of the Messages API; not given: the provider's.", secret=True)
    ] = None
    default_model: Annotated[ModelName, _about("Model of a session that names none.")] = (
        "claude-sonnet-5-5"
    )
    max_tokens: Annotated[
        Count, _about("Longest answer, in tokens, thinking included; the model's limit caps it.")
    ] = 16_384
    thinking_budget: Annotated[
        Budget, _about("Tokens to think with, for models that take a budget.")
    ] = 8_000
    system_prompt: Annotated[PlainText, _about("System prompt of a session that brings none.")] = (
        "You are a helpful assistant. Be accurate and brief, and say so when you do not know."
    )
    response_format: Annotated[
        Switch, _about("Whether the model is told how answers are to be formatted.")
    ] = True

    prompt_caching: Annotated[
        Switch, _about("Whether the provider is asked to remember prompts, at its own prices.")
    ] = True
    server_tools: Annotated[
        ServerTools, _about("The provider's own tools that a new session has.")
    ] = ()
    max_steps: Annotated[
        Count, _about("Requests that one turn may make of the model while it calls tools.")
    ] = 25
    tool_result_bytes: Annotated[
        Bytes, _about("How much text of a tool's answer the model gets.")
    ] = 128 * 1024
    tools_at_once: Annotated[Count, _about("Tools of one turn that run side by side.")] = 16

    # How long to wait
    handshake_seconds: Annotated[Seconds, _about("Longest WebSocket handshake of a client.")] = 8.0
    write_seconds: Annotated[
        Seconds, _about("Longest write of one frame; then the connection is given up.")
    ] = 10.0
    keepalive_seconds: Annotated[
        Seconds, _about("Pause between two pings, and the longest wait for a pong.")
    ] = 20.0
    ask_seconds: Annotated[Seconds, _about("Longest wait of one actor for another's answer.")] = (
        10.0
    )
    settle_seconds: Annotated[
        Seconds, _about("Longest wait for the database to take down how a turn ended.")
    ] = 10.0
    close_seconds: Annotated[Seconds, _about("Longest wait for a client's own close.")] = 5.0
    catalog_seconds: Annotated[
        Seconds, _about("How long is kept what the provider tells of its models.")
    ] = 3_600.0
    connect_seconds: Annotated[
        Seconds, _about("Longest wait for a connection to the provider.")
    ] = 5.0
    first_content_seconds: Annotated[
        Seconds, _about("Longest wait for the first content of an answer.")
    ] = 120.0
    llm_idle_seconds: Annotated[
        Seconds, _about("Longest silence between two contents of an answer.")
    ] = 60.0
    llm_tool_seconds: Annotated[
        Seconds,
        _about(
            "The same while a tool's arguments are written or the provider's tools run, if pings "
            "come."
        ),
    ] = 900.0
    turn_seconds: Annotated[
        Seconds, _about("Longest turn, its tools and its questions to people included.")
    ] = 3_600.0
    retry_attempts: Annotated[
        Attempts, _about("Further attempts at a request that failed before its first content.")
    ] = 2
    tool_seconds: Annotated[Seconds, _about("Longest run of a tool.")] = 60.0
    client_tool_seconds: Annotated[
        Seconds, _about("Longest wait for a client's answer to a tool that it runs itself.")
    ] = 120.0
    approval_seconds: Annotated[
        Seconds, _about("Longest wait for a person's word on a tool; silence is a no.")
    ] = 120.0
    retry_cap_seconds: Annotated[
        Seconds,
        _about(
            "Longest pause before a further attempt that the provider may ask for; a share of up "
            "to half comes on top, so that turns do not come back together."
        ),
    ] = 8.0
    drain_seconds: Annotated[
        Seconds, _about("Time that turns and clients get to finish when the gateway stops.")
    ] = 10.0
    stop_on_stdin_eof: Annotated[
        Switch, _about("Whether the end of stdin (the parent is gone) stops the gateway.")
    ] = False

    # Tools from MCP servers
    mcp_start_seconds: Annotated[
        Seconds, _about("Longest time from starting an MCP server to having its tools.")
    ] = 30.0
    mcp_restart_seconds: Annotated[
        Seconds, _about("Longest pause before an MCP server that was lost is started again.")
    ] = 60.0
    mcp_check_seconds: Annotated[
        Seconds, _about("Pause between two looks whether an MCP server still answers.")
    ] = 60.0
    mcp_servers: tuple[McpServer, ...] = ()  # tables of the file, with neither flag nor variable
    models: tuple[ModelInfo, ...] = ()  # likewise

    # How much to hold
    max_connections: Annotated[Count, _about("Clients at once; a further one gets a 503.")] = 10_000
    max_message_bytes: Annotated[Bytes, _about("Longest message of a client.")] = 16 * MIB
    max_pending_queries: Annotated[
        Count, _about("Questions of one connection that may wait for their answers.")
    ] = 16
    mailbox_size: Annotated[Count, _about("Messages that an actor's mailbox holds.")] = 64
    outbox_size: Annotated[Count, _about("Answers that wait for one connection's writer.")] = 256
    ledger_queue: Annotated[Count, _about("Writes that wait for the database.")] = 4_096
    log_retention_seconds: Annotated[
        Seconds, _about("How long a finished turn can be resumed.")
    ] = 300.0
    log_retention_bytes: Annotated[
        Bytes, _about("How much of finished turns is kept to be resumed.")
    ] = 64 * MIB
    history_cache_bytes: Annotated[
        Bytes, _about("How much of sessions' history is kept in memory.")
    ] = 64 * MIB
    memory_bytes: Annotated[
        Bytes, _about("How much of an agent's memory files goes into the context.")
    ] = 64 * 1024
    skill_bytes: Annotated[
        Bytes, _about("How much of a skill's text one call of `read_skill` answers.")
    ] = 64 * 1024
    list_limit_default: Annotated[Count, _about("Rows of a page that names no limit.")] = 50
    list_limit_max: Annotated[Count, _about("Most rows of a page.")] = 200

    # What is logged, to stderr
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        _kind("debug, info, warning or error"),
        _about("Least severity that is logged."),
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"], _kind("text or json"), _about("How a log line is written.")
    ] = "text"

    @property
    def agents_dir(self) -> Path:
        """The agents' folders: `{agentId}/memory.md`, `{agentId}/memory/`, `{agentId}/skills/`."""
        return self.data_dir / "agents"

    def __repr__(self) -> str:
        shown = (
            f"{name}={'…' if name in SETTINGS and SETTINGS[name].secret and value else value!r}"
            for name, value in msgspec.structs.asdict(self).items()
        )
        return f"Settings({', '.join(shown)})"


class Setting(msgspec.Struct, frozen=True):
    """One setting with a single value, as its annotation in `Settings` describes it."""

    type: Any
    expects: str
    description: str
    secret: bool

    @property
    def is_tuple(self) -> bool:
        """Whether it takes several values."""
        return get_origin(get_args(self.type)[0]) is tuple

    @property
    def is_choice(self) -> bool:
        """Whether it takes one of a few words."""
        return get_origin(get_args(self.type)[0]) is Literal


TABLES: Final = ("mcp_servers", "models")
"""What has tables in the file, with neither flag nor variable."""


def _described() -> dict[str, Setting]:
    found = {}
    for name, hint in get_type_hints(Settings, include_extras=True).items():
        if name in TABLES:
            continue
        metas = [meta for meta in hint.__metadata__ if isinstance(meta, Meta)]
        extra: dict[str, Any] = {}
        for meta in metas:
            extra |= meta.extra or {}
        description = next(meta.description for meta in metas if meta.description)
        found[name] = Setting(hint, extra["expects"], description, extra["secret"])
    return found


SETTINGS: Final = _described()


def settings_table() -> str:
    """A Markdown table of every setting, for the README."""
    rows = ["| setting | default | takes | what it is |", "|---|---|---|---|"]
    defaults = {field.name: field for field in msgspec.structs.fields(Settings)}
    for name, setting in SETTINGS.items():
        default = defaults[name].default
        shown = (
            "the user's data folder" if default is msgspec.NODEFAULT else _shown_default(default)
        )
        expects = setting.expects.replace("|", "\\|")
        rows.append(f"| `{name}` | {shown} | {expects} | {setting.description} |")
    return "\n".join(rows) + "\n"


def _shown_default(default: object) -> str:
    match default:
        case None | ():
            return "not set"
        case bool():
            return f"`{str(default).lower()}`"
        case float():
            return f"`{default:g}`"
        case _:
            return f"`{default}`"
