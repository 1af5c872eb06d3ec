"""What is known of one server now, for whoever asks for its tools."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
import trio

from gateway.mcp.names import prefix
from gateway.mcp.settings import McpServer
from protocol.provider.tool_schema import Fitted
from protocol.tools import LeftOutTool, OfferedTool, ToolAnswer

log = logging.getLogger(__name__)

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


class SessionForgotten(Exception):
    """A server does not know the session any more.

    `answer` is for a call that cannot be repeated: it says whether the call was run.
    """

    def __init__(self, answer: ToolAnswer) -> None:
        super().__init__(answer)
        self.answer = answer


class ServedTool(msgspec.Struct, frozen=True):
    """A tool as it is offered, what its server calls it, and how it takes its arguments.

    It `is_repeatable` when the server says that a call changes nothing, or nothing more.
    """

    own_name: str
    offered: OfferedTool
    fitted: Fitted
    is_repeatable: bool


class ServerState:
    """One server's tools while it is up; nothing while it is down."""

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self.tools: Mapping[str, ServedTool] = {}
        self.left_out: Sequence[LeftOutTool] = ()
        """What of the server's tools cannot be offered, as it was when they were last listed."""
        self._call: Call | None = None
        self._is_up = trio.Event()

    def up(self, call: Call) -> None:
        """The server is connected."""
        self._call = call
        self._is_up.set()

    def offer(self, tools: Mapping[str, ServedTool], left_out: Sequence[LeftOutTool]) -> None:
        """These are the server's tools now; the log tells once of each that is left out."""
        self.tools = tools
        for tool in left_out:
            if tool not in self.left_out:
                log.warning(
                    "the MCP server %s: the tool %s is left out: %s",
                    self.server.name,
                    tool.name,
                    tool.reason,
                )
        self.left_out = left_out

    def down(self) -> None:
        """The server is gone, and so are its tools."""
        self._call = None
        if self._is_up.is_set():  # who waits for the next life waits for this one
            self._is_up = trio.Event()
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
        call = self._call
        if call is None or name not in self.tools:
            return ToolAnswer.failed(self.absent(name))
        tool = self.tools[name]
        try:
            own = tool.fitted.own_arguments(args)
        except ValueError as error:
            return ToolAnswer.failed(f"The arguments do not fit: {error}.")
        try:
            return await call(tool.own_name, own)
        except SessionForgotten as forgotten:
            if self._call is call:
                self.down()
            return await self._again(name, tool, own) if tool.is_repeatable else forgotten.answer

    async def _again(self, name: str, tool: ServedTool, own: dict[str, Any]) -> ToolAnswer:
        """The call once more, in a new session."""
        log.info("a call of %s is repeated in a new session", name)
        await self._is_up.wait()
        if self._call is None or name not in self.tools:
            return ToolAnswer.failed(self.absent(name))
        try:
            return await self._call(tool.own_name, own)
        except SessionForgotten:
            return ToolAnswer.failed(
                f"The MCP server {self.server.name} forgets the session at every call. Go on "
                "without it."
            )
