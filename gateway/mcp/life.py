"""One life of a server: connected, its tools kept current, its calls answered, until it is lost.

Each call is a task of the connection's own: a caller that is cancelled goes at once, while the
SDK's word to the server, which a full pipe may hold up, goes on behind it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import trio
from mcp.client._transport import TransportStreams
from mcp.client.client import Client
from mcp.client.subscriptions import SubscriptionLost
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    INTERNAL_ERROR,
    PARSE_ERROR,
    Implementation,
    Tool,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from gateway import __version__
from gateway.mcp.answers import to_answer
from gateway.mcp.bounded import MOST_TOOLS
from gateway.mcp.http import Trouble, open_http
from gateway.mcp.no_answer import forgotten, lost, no_result, refused
from gateway.mcp.notices import Notices
from gateway.mcp.offers import offers_of
from gateway.mcp.pace import PacedStream
from gateway.mcp.reading import UNREADABLE
from gateway.mcp.sift import Sift
from gateway.mcp.state import McpTimes, ServerLost, ServerState, SessionForgotten
from gateway.mcp.stdio import open_stdio
from protocol.tools import LeftOutTool, ToolAnswer

log = logging.getLogger(__name__)

for _name in ("mcp", "client"):  # the SDK's: they quote what a server says, with tracebacks
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

_CLOSED: Final = ("Connection closed", "SSE stream")
"""How the SDK's own words begin when no answer comes: a server may use the same code."""

Mode = Literal["auto", "legacy"]
"""Whether the server is asked first for a version without a handshake; some end at that."""

MOST_PAGES: Final = 64
"""Pages of a list of tools."""
REFRESH_SECONDS: Final = 0.2
"""Least time between two looks at the tools, however often a server says that they have changed."""
LAST_SECONDS: Final = 1.0
"""How long the calls that run may still take when the server has forgotten the session."""
LISTEN_SECONDS: Final = 5.0
"""Pause before news are asked for again after their stream has ended."""
LONGEST_REFUSAL: Final = 2_000
"""Characters of a server's own words that the model gets."""


class Life:
    """One connection to one server; `await run()` once."""

    def __init__(self, state: ServerState, times: McpTimes, mode: Mode) -> None:
        self._state = state
        self._times = times
        self._mode: Mode = mode
        self._name = state.server.name
        self._news = trio.Event()
        self._trouble = Trouble(self._look)
        self._in_flight = 0
        self._idle = trio.Event()
        self._sift = Sift(state.server)
        self._listed: tuple[list[Tool], list[LeftOutTool]] | None = None
        self.connected = False

    async def run(self) -> str:
        """Connect and serve until the server is lost; why it was, for a log line."""
        why = "ended"
        with trio.CancelScope(deadline=trio.current_time() + self._times.start) as starting:
            try:
                async with Client(
                    self._transport(),
                    mode=self._mode,
                    cache=None,
                    client_info=Implementation(name="agentspace", version=__version__),
                ) as client:
                    await self._serve(client, starting)
            except* Exception as group:  # noqa: BLE001 - a server's failure is never ours
                why = self._reason(group)
        return (
            f"does not answer within {self._times.start:g} s" if starting.cancelled_caught else why
        )

    @property
    def has_forgotten(self) -> bool:
        """Whether the server does not know this session any more; a new one may do."""
        return self._trouble.has_forgotten

    def _look(self) -> None:
        self._news.set()

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[TransportStreams]:
        server = self._state.server
        notices = Notices(self._look)
        transport = (
            open_http(server, self._trouble, notices) if server.url else open_stdio(server, notices)
        )
        async with transport as (read, write):
            yield PacedStream(read, self._sift), write

    async def _serve(self, client: Client, starting: trio.CancelScope) -> None:
        await self._refresh(client)
        starting.deadline = math.inf
        self.connected = True
        log.info("the MCP server %s offers %d tools", self._name, len(self._state.tools))
        async with trio.open_nursery() as nursery:

            async def call(tool: str, args: dict[str, Any]) -> ToolAnswer:
                return await self._call(client, nursery, tool, args)

            self._state.up(call)
            try:
                nursery.start_soon(self._listen, client)
                await self._keep_current(client)
            finally:
                self._state.down()  # before the nursery closes, which must take no call any more

    async def _keep_current(self, client: Client) -> None:
        while True:
            with trio.move_on_after(self._times.check) as waiting:
                await self._news.wait()
            if self.has_forgotten:
                await self._finish_calls()
                raise ServerLost("has forgotten the session")
            if waiting.cancelled_caught and self._in_flight:
                continue  # it may be unable to do two things at once
            self._news = trio.Event()
            await self._look_again(client)
            await trio.sleep(REFRESH_SECONDS)

    async def _finish_calls(self) -> None:
        """Take no further call; what the server has refused or nearly done ends by itself."""
        self._state.down()
        if self._in_flight:
            with trio.move_on_after(LAST_SECONDS):
                await self._idle.wait()

    async def _look_again(self, client: Client) -> None:
        """Refresh the tools; that they cannot be listed now ends no call that runs."""
        try:
            await self._refresh(client)
        except (MCPError, RuntimeError, ValueError) as error:
            is_closed = isinstance(error, MCPError) and error.code == CONNECTION_CLOSED
            if is_closed or not self._in_flight:
                raise
            log.warning("the MCP server %s does not list its tools now", self._name)

    async def _refresh(self, client: Client) -> None:
        listed = None
        with trio.move_on_after(self._times.start):
            listed = await self._list(client)
        if listed is None:
            if not self._in_flight:
                raise ServerLost("does not answer any more")
        elif listed != self._listed:
            self._listed = tools, left_out = listed
            offers = await trio.to_thread.run_sync(offers_of, self._state.server, tools)
            self._state.offer(offers.tools, [*left_out, *offers.left_out])

    async def _list(self, client: Client) -> tuple[list[Tool], list[LeftOutTool]]:
        """The tools, and those that are not described as MCP demands."""
        self._sift.left_out.clear()
        tools: list[Tool] = []
        if client.server_capabilities.tools is not None:
            tools = await self._pages(client)
        return tools, [*self._sift.left_out.values()]

    async def _pages(self, client: Client) -> list[Tool]:
        tools: list[Tool] = []
        cursor = None
        for _ in range(MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            tools += page.tools
            cursor = page.next_cursor
            if cursor is None or len(tools) > MOST_TOOLS:
                return tools
        log.warning("the MCP server %s lists its tools without end", self._name)
        return tools

    async def _listen(self, client: Client) -> None:
        """Ask for news, where that is how they come; in older versions they come unasked.

        `Notices` takes them in.
        """
        tools = client.server_capabilities.tools
        if client.protocol_version not in MODERN_PROTOCOL_VERSIONS or not (
            tools and tools.list_changed
        ):
            return
        while True:
            try:
                async with client.listen(tools_list_changed=True) as events:
                    async for _ in events:
                        pass
            except (SubscriptionLost, MCPError):
                log.debug("the MCP server %s: its news have ended", self._name)
            await trio.sleep(LISTEN_SECONDS)
            self._look()  # nothing of what was missed is told again

    async def _call(
        self, client: Client, nursery: trio.Nursery, tool: str, args: dict[str, Any]
    ) -> ToolAnswer:
        """Run a call in a task of the connection's; leave it to itself when cancelled."""
        done, scope = trio.Event(), trio.CancelScope()
        outcome: ToolAnswer | SessionForgotten | None = None

        async def run() -> None:
            nonlocal outcome
            self._begin_call()
            try:
                with scope:
                    outcome = await self._answer(client, tool, args)
            finally:
                self._end_call()
                done.set()

        nursery.start_soon(run)
        try:
            await done.wait()
        finally:
            scope.cancel()
        if outcome is None:  # it ran when the connection ended
            outcome = SessionForgotten(lost(self._name)) if self.has_forgotten else lost(self._name)
        if isinstance(outcome, SessionForgotten):
            raise outcome
        return outcome

    def _begin_call(self) -> None:
        if not self._in_flight:
            self._idle = trio.Event()
        self._in_flight += 1

    def _end_call(self) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            self._idle.set()

    async def _answer(
        self, client: Client, tool: str, args: dict[str, Any]
    ) -> ToolAnswer | SessionForgotten | None:
        try:
            return to_answer(await client.call_tool(tool, args), self._state.server.hide)
        except MCPError as error:
            if error.code == CONNECTION_CLOSED and error.message.startswith(_CLOSED):
                return None
            if self.has_forgotten:
                return SessionForgotten(forgotten(self._name))
            if error.code == INTERNAL_ERROR and self._trouble.text:
                if self._trouble.is_refusal:
                    return refused(self._name, self._trouble.text)
                return lost(self._name)
            if error.code == PARSE_ERROR and error.message.startswith(UNREADABLE):
                return no_result(self._name)
            said = self._state.server.hide(error.message.replace("\0", ""))[:LONGEST_REFUSAL]
            return ToolAnswer.failed(f"The MCP server {self._name} refuses the call: {said}")
        except (RuntimeError, ValueError):  # the SDK's, for a result that is none
            return no_result(self._name)

    def _reason(self, error: BaseException) -> str:
        leaves = list(_leaves(error))
        for leaf in leaves:
            if isinstance(leaf, ServerLost):
                return str(leaf)
        if self._trouble.text:
            return self._trouble.text
        for leaf in leaves:
            if isinstance(leaf, MCPError):
                return f"answers with the error {leaf.code}"
        return f"fails ({type(leaves[0]).__name__})"


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
