"""A server's tools, as MCP has them, in what the gateway offers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from mcp_types import Tool

from gateway.mcp.names import name_all, shown
from gateway.mcp.settings import McpServer
from gateway.mcp.state import ServedTool
from protocol.tools import OfferedTool, Risk

log = logging.getLogger(__name__)

MOST_TOOLS: Final = 256
"""Tools of one server."""
LONGEST_DESCRIPTION: Final = 8_192
"""Characters; the rest is cut."""
LONGEST_SCHEMA: Final = 65_536
"""Bytes of a tool's schema."""


IN_WORDS: Final = ("title", "description", "default", "examples", "$comment")
"""Keywords of a schema whose values demand nothing."""


def served_tools(server: McpServer, tools: Sequence[Tool]) -> dict[str, ServedTool]:
    """What can be offered of `tools`, by the offered name; the log tells of the rest."""
    if len(tools) > MOST_TOOLS:
        log.warning("the MCP server %s has more than %d tools", server.name, MOST_TOOLS)
    found: dict[str, Tool] = {}
    for tool in tools[:MOST_TOOLS]:
        found.setdefault(tool.name, tool)
    for strange in sorted(server.tools.keys() - found.keys()):
        log.warning(
            "the MCP server %s has no tool %s, which its settings name", server.name, strange
        )
    served = {}
    for own_name, name in name_all(server.name, found):
        problem = "its name is taken" if name is None else _problem(found[own_name])
        if problem:
            log.warning(
                "the MCP server %s: the tool %s is left out: %s",
                server.name,
                shown(own_name),
                problem,
            )
        elif name is not None:
            served[name] = ServedTool(own_name, _offered(server, name, found[own_name]))
    return served


def _problem(tool: Tool) -> str:
    try:
        size = len(msgspec.json.encode(tool.input_schema))
    except (TypeError, ValueError, RecursionError):
        return "its schema cannot be read"
    return f"its schema is longer than {LONGEST_SCHEMA} bytes" if size > LONGEST_SCHEMA else ""


def _offered(server: McpServer, name: str, tool: Tool) -> OfferedTool:
    description = server.hide((tool.description or tool.title or "").replace("\0", ""))
    return OfferedTool(
        name=name,
        description=description[:LONGEST_DESCRIPTION],
        input_schema=_told(tool.input_schema, server.hide),
        approval=server.approval_of(tool.name),
        risk=risk_of(tool),
    )


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
