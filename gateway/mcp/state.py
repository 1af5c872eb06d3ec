"""What is known of one server now, for whoever asks for its tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from gateway.mcp.names import prefix
from gateway.mcp.settings import McpServer
from protocol.tools import OfferedTool, ToolAnswer

Call = Callable[[str, dict[str, Any]], Awaitable[ToolAnswer]]
"""Calls a tool of a connected server, by the server's own name of it."""


class McpTimes(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds."""

    start: float
    """Longest time from starting a server to having its tools."""
    restart: float
    """Longest pause before a server is started again."""
    check: float
    """Pause between two looks at a server's tools."""


class ServerLost(Exception):
    """A server that cannot be used any more; the text says why, without secrets, for a log line."""


class ServedTool(msgspec.Struct, frozen=True):
    """A tool as it is offered, and what its server calls it."""

    own_name: str
    offered: OfferedTool


class ServerState:
    """One server's tools while it is up; nothing while it is down."""

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self.tools: Mapping[str, ServedTool] = {}
        self._call: Call | None = None

    def up(self, call: Call) -> None:
        """The server is connected."""
        self._call = call

    def down(self) -> None:
        """The server is gone, and so are its tools."""
        self._call = None
        self.tools = {}

    def owns(self, name: str) -> bool:
        """Whether `name` is what a tool of this server could be called."""
        return name.startswith(prefix(self.server.name))

    @property
    def is_down(self) -> bool:
        """Whether its tools are not known just now."""
        return self._call is None

    def absent(self, name: str) -> str:
        """Why a tool of this name, which the server could have, cannot be called."""
        if self.is_down:
            return (
                f"The MCP server {self.server.name} is not running at the moment, so {name} "
                "cannot be called. Go on without it, or try again later."
            )
        return f"The MCP server {self.server.name} offers no tool {name}."

    async def call(self, name: str, args: dict[str, Any]) -> ToolAnswer:
        """Call a tool by its offered name; that it cannot be is an answer too."""
        if self._call is None or name not in self.tools:
            return ToolAnswer.failed(self.absent(name))
        return await self._call(self.tools[name].own_name, args)
