"""A request's tools: those that the gateway runs, then the provider's, then the client's.

The order changes only when the tools do: they come first in the prompt, and the provider remembers
a prompt only from its beginning. A session remembers its choice as a JSON list in the provider's
shapes; an entry with a `type` is a tool of the provider's own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, get_args

import msgspec

from protocol.announcing import Definition
from protocol.client import ChatSend, ServerTool, ServerToolOptions, ToolDeclaration
from protocol.errors import GatewayError
from protocol.provider.features import CODE_TOOLS, EAGER, TOOL_SEARCH
from protocol.provider.request import Tool
from protocol.tools import READ_SKILL, OfferedTool, ToolRule

_OPTIONS = ("strict", "defer_loading", "input_examples")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[dict[str, Any]]).decode


class Toolset(msgspec.Struct, frozen=True, kw_only=True):
    """The tools that a request is to have, in the provider's shapes.

    `rules` are of those that the gateway runs, `client_names` name those that the client runs.
    """

    definitions: list[Definition]
    rules: list[ToolRule]
    client_names: list[str]


def assemble_tools(
    offered: Sequence[OfferedTool],
    down: Sequence[Definition],
    remembered: bytes | None,
    server_types: Sequence[str],
) -> Toolset:
    """What is to go upstream: a tool gives way to an earlier one of its name, or the provider's.

    Those that are `offered` come first, then those of servers that are `down`, which the model was
    told of, then the session's own as it `remembered` them: deferred ones, with the tool that finds
    them, the provider's, in a version of the `server_types` that the model has, and the client's.
    Raises GatewayError(INVALID_MESSAGE) for a tool of the provider's that the model has not.
    """
    if not (offered or down or remembered):
        return Toolset(definitions=[], rules=[], client_names=[])
    own = sorted(_decode(remembered or b"[]"), key=lambda tool: "type" not in tool)
    providers = _providers_names(own)
    offered = [tool for tool in offered if tool.name not in providers]
    given = [
        *(_entry(tool) for tool in offered),
        *(tool for tool in down if tool["name"] not in providers),
    ]
    taken = {tool["name"] for tool in given}
    chosen = [
        tool
        for tool in own
        if tool["name"] not in taken and ("type" in tool or tool["name"] not in providers)
    ]
    clients = [tool for tool in chosen if "type" not in tool]
    servers = [_versioned(tool, server_types) for tool in chosen if "type" in tool]
    if any(tool.get("defer_loading") for tool in clients):
        servers.append({**TOOL_SEARCH})
    # A breakpoint of the cache goes to the last one, and may not go to a deferred one.
    clients.sort(key=lambda tool: not tool.get("defer_loading", False))
    deferred = sum(bool(tool.get("defer_loading")) for tool in clients)
    return Toolset(
        definitions=[*given, *clients[:deferred], *servers, *clients[deferred:]],
        rules=[tool.rule for tool in offered],
        client_names=[tool["name"] for tool in clients],
    )


def eager(toolset: Toolset) -> Toolset:
    """The same, its tools with the field `EAGER`, but for the provider's own.

    A strict one has it neither: with it the provider holds arguments against no schema (its page
    "Fine-grained tool streaming").
    """
    definitions = [
        tool if "type" in tool or tool.get("strict") else {**tool, EAGER: True}
        for tool in toolset.definitions
    ]
    return msgspec.structs.replace(toolset, definitions=definitions)


def _versioned(tool: Definition, server_types: Sequence[str]) -> Definition:
    """The provider's tool in a version that the model has: that it was told of, or the newest."""
    kinds = [kind for kind in server_types if kind.rpartition("_")[0] == tool["name"]]
    if not kinds:
        raise GatewayError(
            "INVALID_MESSAGE", f"`serverTools`: this model has no `{tool['name']}`. Leave it out."
        )
    return tool if tool["type"] in kinds else {**tool, "type": kinds[0]}


def _entry(tool: OfferedTool | ToolDeclaration) -> Definition:
    options = {}
    if isinstance(tool, ToolDeclaration):
        options = {name: getattr(tool, name) for name in _OPTIONS}
    entry: Definition = msgspec.to_builtins(
        Tool(tool.name, tool.description, tool.input_schema, **options)
    )
    return entry


def server_tools(wanted: Sequence[ServerTool | ServerToolOptions]) -> bytes | None:
    """The session's tools when it has those of the provider that are `wanted` alone."""
    return _joined(_server_entries(wanted))


def chosen_tools(remembered: bytes | None, send: ChatSend, taken: Collection[str]) -> bytes | None:
    """What the session remembers after `send`; what that does not mention stays.

    The names that are `taken` are those of tools that the gateway runs. Raises
    GatewayError(INVALID_MESSAGE) for what the provider would refuse.
    """
    if send.tools is None and send.server_tools is None:
        return remembered
    entries = _decode(remembered or b"[]")
    servers = [tool for tool in entries if "type" in tool]
    clients = [tool for tool in entries if "type" not in tool]
    if send.server_tools is not None:
        servers = _server_entries(send.server_tools)
    providers = _providers_names(servers)
    if send.tools is not None:
        reserved = {*taken, *providers, READ_SKILL}
        if any(tool.defer_loading for tool in send.tools):
            reserved.add(TOOL_SEARCH["name"])
        clients = _client_entries(send.tools, reserved)
    else:
        _check_clients(clients, providers)
    return _joined([*servers, *clients])


def _check_clients(clients: Sequence[dict[str, Any]], providers: Collection[str]) -> None:
    for tool in clients:
        if tool["name"] in providers:
            raise GatewayError(
                "INVALID_MESSAGE",
                f"`serverTools`: this session has a tool of yours named `{tool['name']}`, and that "
                "is a name of the provider's own. Give yours another one in `tools`.",
            )


def _providers_names(entries: Sequence[dict[str, Any]]) -> set[str]:
    """The names that the provider's own tools take among these.

    Executing code brings tools of its own (the page on that tool, August 2026), and newer versions
    of the web's tools bring it along (their pages): so any of them takes those names, too.
    """
    names = {tool["name"] for tool in entries if "type" in tool}
    return names | CODE_TOOLS if names else names


def _joined(entries: list[dict[str, Any]]) -> bytes | None:
    return _encode(entries) if entries else None


def _server_entries(wanted: Sequence[ServerTool | ServerToolOptions]) -> list[dict[str, Any]]:
    """The provider's tools; their versions are chosen for each request."""
    options = [ServerToolOptions(name=one) if isinstance(one, str) else one for one in wanted]
    for number, one in enumerate(options):
        if (fault := _server_fault(one)) is not None:
            raise GatewayError("INVALID_MESSAGE", f"`serverTools[{number}]`: {fault}.")
    found = {one.name: _server_entry(one) for one in options}
    return [found[name] for name in get_args(ServerTool) if name in found]


def _server_entry(options: ServerToolOptions) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": options.name, "name": options.name}
    for name in ("max_uses", "allowed_domains", "blocked_domains"):
        if (value := getattr(options, name)) is not None:
            entry[name] = value
    if (place := options.user_location) is not None:
        known = {name: value for name, value in msgspec.structs.asdict(place).items() if value}
        entry["user_location"] = {"type": "approximate", **known}
    return entry


def _server_fault(options: ServerToolOptions) -> str | None:
    """What the provider refuses of a tool's options, as a clause (its page "Web search tool")."""
    if options.allowed_domains and options.blocked_domains:
        return "give `allowedDomains` or `blockedDomains`, not both"
    if options.name == "code_execution" and options != ServerToolOptions(name=options.name):
        return "`code_execution` takes no options"
    if options.name != "web_search" and options.user_location is not None:
        return "`userLocation` is for `web_search`"
    return None


def _client_entries(declared: Sequence[ToolDeclaration], taken: set[str]) -> list[dict[str, Any]]:
    for number, tool in enumerate(declared):
        if tool.name in taken:
            raise GatewayError(
                "INVALID_MESSAGE",
                f"`tools[{number}].name`: there is a tool named `{tool.name}` already. Give "
                "yours another name.",
            )
        taken = taken | {tool.name}
    return [_entry(tool) for tool in declared]
