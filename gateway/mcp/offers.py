"""A server's tools, as MCP has them, in what the gateway offers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from mcp_types import Tool

from gateway.mcp.bounded import MOST_TOOLS, WHOLE
from gateway.mcp.names import name_all, plain, shown
from gateway.mcp.settings import McpServer
from gateway.mcp.state import ServedTool
from protocol.provider.json_schema import Unfit
from protocol.provider.tool_schema import Fitted, fit
from protocol.tools import LeftOutTool, OfferedTool, Risk

log = logging.getLogger(__name__)

LONGEST_DESCRIPTION: Final = 8_192
"""Characters; the rest is cut."""
LONGEST_SCHEMA: Final = 65_536
"""Bytes of a tool's schema."""
LONGEST_WRITTEN: Final = 4 * LONGEST_SCHEMA
"""Characters of a schema as a server writes it: some indent it."""
LONGEST_REASON: Final = 200
"""Characters of the reason why a tool is left out."""
_FURTHER: Final = "(and further ones)"
_TAKEN: Final = "its name is taken by another one of the server"

IN_WORDS: Final = ("title", "description", "default", "examples", "$comment")
"""Keywords of a schema whose values demand nothing."""


class Offers(NamedTuple):
    """What can be offered of a server's tools, by the offered name, and what cannot."""

    tools: dict[str, ServedTool]
    left_out: list[LeftOutTool]


def offers_of(server: McpServer, tools: Sequence[Tool]) -> Offers:
    """What can be offered of `tools`. With many tools it takes a while: it is for a thread."""
    left_out = []
    if len(tools) > MOST_TOOLS:
        reason = f"the server has more than {MOST_TOOLS} tools"
        left_out.append(left_out_tool(server, _FURTHER, reason))
    found: dict[str, Tool] = {}
    for tool in tools[:MOST_TOOLS]:
        found.setdefault(tool.name, tool)
    for strange in sorted(server.tools.keys() - found.keys()):
        log.warning(
            "the MCP server %s has no tool %s, which its settings name", server.name, strange
        )
    served = {}
    for own_name, name in name_all(server.name, found):
        try:
            if name is None:
                raise Unfit(_TAKEN)
            served[name] = _served(server, name, found[own_name])
        except Unfit as problem:
            left_out.append(left_out_tool(server, own_name, str(problem)))
    return Offers(served, left_out)


def left_out_tool(server: McpServer, own_name: object, reason: str) -> LeftOutTool:
    """The mark of a tool that is left out, in plain characters and without secrets."""
    return LeftOutTool(
        name=shown(own_name), server=server.name, reason=plain(server.hide(reason), LONGEST_REASON)
    )


def _served(server: McpServer, name: str, tool: Tool) -> ServedTool:
    """The tool as it is offered. Raises Unfit."""
    fitted = _fitted(tool.input_schema)
    description = server.hide((tool.description or tool.title or "").replace("\0", ""))
    offered = OfferedTool(
        name=name,
        description=description[:LONGEST_DESCRIPTION],
        input_schema=_told(fitted.schema, server.hide),
        approval=server.approval_of(tool.name),
        risk=risk_of(tool),
        server=server.name,
    )
    return ServedTool(tool.name, offered, fitted, is_repeatable(tool))


def _fitted(schema: dict[str, Any]) -> Fitted:
    fitted = fit(_whole(schema))
    try:
        size = len(msgspec.json.encode(fitted.schema))
    except ValueError as error:  # half a character, which JSON has and UTF-8 does not
        raise Unfit("its schema is no text that can be sent") from error
    if size > LONGEST_SCHEMA:
        raise Unfit(f"its schema is longer than {LONGEST_SCHEMA:,} bytes")
    return fitted


def _whole(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as the server sent it; in a long list it comes as a text."""
    text = schema.get(WHOLE)
    if not isinstance(text, str):
        return schema
    if len(text) > LONGEST_WRITTEN:
        raise Unfit(f"its schema is longer than {LONGEST_SCHEMA:,} bytes")
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unfit("its schema cannot be read") from error


def _told(schema: Any, hide: Callable[[str], str], *, words: bool = False) -> Any:
    """A schema without secrets in what it says in words; what it demands stays as it is."""
    match schema:
        case str() if words:
            return hide(schema)
        case list():
            return [_told(one, hide, words=words) for one in schema]
        case dict():
            return {
                name: _told(one, hide, words=words or name in IN_WORDS)
                for name, one in schema.items()
            }
    return schema


def risk_of(tool: Tool) -> Risk:
    """What the server says itself of the tool; MCP's defaults where it says nothing."""
    hints = tool.annotations
    if hints is not None and hints.read_only_hint:
        return "low"
    if hints is None or hints.destructive_hint is not False:
        return "high"
    return "medium"


def is_repeatable(tool: Tool) -> bool:
    """Whether the server says that a second call of the same does nothing more."""
    hints = tool.annotations
    return hints is not None and bool(hints.read_only_hint or hints.idempotent_hint)
