"""The tools of all MCP servers: what is offered now, and a call's way to its server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import trio

from gateway.late import Late
from gateway.mcp.settings import McpServer
from gateway.mcp.state import McpTimes, ServerState
from protocol.tools import LeftOutTool, OfferedTool, ToolAnswer

MOST_LEFT_OUT: Final = 200
"""Tools that cannot be offered, of which is told."""


class McpTools:
    """The servers' tools; `await run()` keeps the servers running until cancelled."""

    def __init__(self, servers: Sequence[McpServer], times: McpTimes) -> None:
        self._states = [ServerState(server) for server in servers if server.enabled]
        self._times = times

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Supervise the servers; started when the SDK is loaded, however long they take.

        No process of theirs is left when it has ended. Without servers it ends at once.
        """
        if not self._states:
            task_status.started()
            return
        supervise = await Late(_load).wait()
        task_status.started()
        await supervise(self._states, self._times)

    def offered(self) -> list[OfferedTool]:
        """What the servers that are up offer now, by name."""
        tools = [tool.offered for state in self._states for tool in state.tools.values()]
        return sorted(tools, key=lambda tool: tool.name)

    def left_out(self) -> list[LeftOutTool]:
        """The servers' tools that cannot be offered, bounded."""
        return [tool for state in self._states for tool in state.left_out][:MOST_LEFT_OUT]

    def may_return(self, name: str) -> bool:
        """Whether a tool of this name could be one of a server that is down."""
        state = self._owner(name)
        return state is not None and state.is_down

    def absent(self, name: str) -> str:
        """Why no tool of this name can be called, for the model."""
        state = self._owner(name)
        return f"There is no tool named {name}." if state is None else state.absent(name)

    async def call(self, name: str, args: dict[str, Any]) -> ToolAnswer:
        """Call a tool by its offered name. A failure is an answer; the caller sets the deadline."""
        state = self._owner(name)
        if state is None:
            return ToolAnswer.failed(self.absent(name))
        return await state.call(name, args)

    def _owner(self, name: str) -> ServerState | None:
        return next((state for state in self._states if state.owns(name)), None)


def _load() -> Callable[[Sequence[ServerState], McpTimes], Awaitable[None]]:
    from gateway.mcp.supervisor import supervise  # noqa: PLC0415 - the SDK takes half a second

    return supervise
