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
from gateway.setting_kinds import (
    Access,
    Attempts,
    Budget,
    Bytes,
    Count,
    Folder,
    Host,
    HostNames,
    LogFormat,
    LogLevel,
    ModelName,
    OptionalFile,
    OptionalToken,
    OptionalUrl,
    Origins,
    PlainText,
    Port,
    Seconds,
    ServerTools,
    Switch,
)
from protocol.provider.model_info import ModelInfo

MIB: Final = 1024 * 1024


def _about(description: str, *, secret: bool = False, section: str = "") -> Meta:
    """What a setting is. `section` is the title of those that begin with this one."""
    return Meta(description=description, extra={"secret": secret, "section": section})


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting. Times are in seconds, sizes in bytes."""

    host: Annotated[Host, _about("Address to listen on.", section="Who may connect, and where")] = (
        "127.0.0.1"
    )
    port: Annotated[Port, _about("TCP port to listen on; 0 takes a free one.")] = 3271
    auth: Annotated[
        Access,
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

    data_dir: Annotated[
        Folder,
        _about(
            "Folder of the database, the token and the agents' folders.",
            section="Where things are kept",
        ),
    ] = msgspec.field(default_factory=lambda: platformdirs.user_data_path("agentspace"))
    prices_file: Annotated[
        OptionalFile, _about("TOML or JSON file of prices that win over the built-in ones.")
    ] = None
    api_key_file: Annotated[
        OptionalFile, _about("File of the provider's key, readable by its owner alone.")
    ] = None

    anthropic_base_url: Annotated[
        OptionalUrl,
        _about(
            "Address of the Messages API; not given: the provider's.",
            secret=True,
            section="What is asked of the model",
        ),
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

    handshake_seconds: Annotated[
        Seconds, _about("Longest WebSocket handshake of a client.", section="How long to wait")
    ] = 8.0
    write_seconds: Annotated[
        Seconds, _about("Longest write of one frame; then the connection is given up.")
    ] = 10.0
    keepalive_seconds: Annotated[
        Seconds, _about("Pause between two pings, and the longest wait for a pong.")
    ] = 20.0
    ask_seconds: Annotated[
        Seconds,
        _about(
            "Longest wait of one actor for another's answer; for a turn's beginning "
            "`connect_seconds` more."
        ),
    ] = 10.0
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
            "The same while the model thinks, writes a tool's arguments or waits for the "
            "provider's tools, if pings come."
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

    mcp_start_seconds: Annotated[
        Seconds,
        _about(
            "Longest time from starting an MCP server to having its tools.",
            section="Tools from MCP servers",
        ),
    ] = 30.0
    mcp_restart_seconds: Annotated[
        Seconds, _about("Longest pause before an MCP server that was lost is started again.")
    ] = 60.0
    mcp_check_seconds: Annotated[
        Seconds, _about("Pause between two looks whether an MCP server still answers.")
    ] = 60.0
    mcp_servers: tuple[McpServer, ...] = ()  # tables of the file, with neither flag nor variable
    models: tuple[ModelInfo, ...] = ()  # likewise

    max_connections: Annotated[
        Count, _about("Clients at once; a further one gets a 503.", section="How much to hold")
    ] = 10_000
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

    log_level: Annotated[
        LogLevel,
        _about("Least severity that is logged.", section="What is logged, to stderr"),
    ] = "info"
    log_format: Annotated[LogFormat, _about("How a log line is written.")] = "text"

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
    """One setting with a single value, as its annotation in `Settings` describes it.

    `default` is for people to read; `section` is the title of the settings that it stands with.
    """

    name: str
    type: Any
    placeholder: str
    expects: str
    description: str
    secret: bool
    section: str
    default: str

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"{PREFIX}{self.name.upper()}"

    @property
    def flag(self) -> str:
        """Its flag on the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def words(self) -> tuple[str, ...]:
        """The few words of which it takes one; empty for a setting that takes other values."""
        kind = get_args(self.type)[0]
        return get_args(kind) if get_origin(kind) is Literal else ()

    @property
    def is_tuple(self) -> bool:
        """Whether it takes several values."""
        return get_origin(get_args(self.type)[0]) is tuple

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off."""
        return get_args(self.type)[0] is bool


PREFIX: Final = "AGENTSPACE_"
"""How the environment variables of all settings begin."""

DATA_FOLDER: Final = "the user's data folder"
"""What stands for the default of `data_dir`, which is another for each user."""

TABLES: Final = ("mcp_servers", "models")
"""What has tables in the file, with neither flag nor variable."""


def _described() -> dict[str, Setting]:
    found: dict[str, Setting] = {}
    hints = get_type_hints(Settings, include_extras=True)
    section = ""
    for field in msgspec.structs.fields(Settings):
        if field.name in TABLES:
            continue
        hint = hints[field.name]
        metas = [meta for meta in hint.__metadata__ if isinstance(meta, Meta)]
        extra: dict[str, Any] = {}
        for meta in metas:
            extra |= meta.extra or {}
        section = extra["section"] or section
        found[field.name] = Setting(
            name=field.name,
            type=hint,
            placeholder=extra["placeholder"],
            expects=extra["expects"],
            description=next(meta.description for meta in metas if meta.description),
            secret=extra["secret"],
            section=section,
            default=_shown_default(field.default),
        )
    return found


def _shown_default(default: object) -> str:
    match default:
        case msgspec.NODEFAULT:
            return DATA_FOLDER
        case None | ():
            return ""
        case bool():
            return str(default).lower()
        case float():
            return f"{default:g}"
        case _:
            return str(default)


SETTINGS: Final = _described()
