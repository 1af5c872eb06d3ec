"""A request's tools: those that the gateway runs, then the provider's, then the client's.

The order changes only when the tools do: they come first in the prompt, and the provider remembers
a prompt only from its beginning. A session remembers its choice as a JSON list in the provider's
shapes; an entry with a `type` is a tool of the provider's own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from protocol.announcing import Definition
from protocol.client import ChatSend, ServerTool, ToolDeclaration
from protocol.errors import GatewayError
from protocol.provider.features import CODE_TOOLS, EAGER, SERVER_TOOL_TYPES
from protocol.provider.request import Tool
from protocol.tools import READ_SKILL, OfferedTool, ToolRule

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
    offered: Sequence[OfferedTool], down: Sequence[Definition], remembered: bytes | None
) -> Toolset:
    """What is to go upstream: a tool gives way to an earlier one of its name, or the provider's.

    Those that are `offered` come first, then those of servers that are `down`, which the model was
    told of, then the session's own as it `remembered` them.
    """
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
    return Toolset(
        definitions=[*given, *chosen],
        rules=[tool.rule for tool in offered],
        client_names=[tool["name"] for tool in chosen if "type" not in tool],
    )


def eager(tools: Iterable[Definition]) -> list[Definition]:
    """The tools with the field `EAGER`, but for the provider's own."""
    return [tool if "type" in tool else {**tool, EAGER: True} for tool in tools]


def _entry(tool: OfferedTool | ToolDeclaration) -> Definition:
    entry: Definition = msgspec.to_builtins(Tool(tool.name, tool.description, tool.input_schema))
    return entry


def server_tools(names: Sequence[ServerTool]) -> bytes | None:
    """The session's tools when it has the provider's `names` alone."""
    return _joined(_server_entries(names))


def chosen_tools(remembered: bytes | None, send: ChatSend, taken: Collection[str]) -> bytes | None:
    """What the session remembers after `send`; what that does not mention stays.

    The names that are `taken` are those of tools that the gateway runs. Raises
    GatewayError(INVALID_MESSAGE) for what the provider would refuse.
    """
    entries = _decode(remembered or b"[]")
    servers = [tool for tool in entries if "type" in tool]
    clients = [tool for tool in entries if "type" not in tool]
    if send.server_tools is not None:
        servers = _server_entries(send.server_tools)
    providers = _providers_names(servers)
    if send.tools is not None:
        clients = _client_entries(send.tools, {*taken, *providers, READ_SKILL})
    elif send.server_tools is not None:
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


def _server_entries(names: Sequence[ServerTool]) -> list[dict[str, Any]]:
    return [
        {"type": kind, "name": name} for name, kind in SERVER_TOOL_TYPES.items() if name in names
    ]


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
