"""Starts each server again when it is lost, after a pause that grows."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from typing import Final, NoReturn

import trio

from gateway.mcp.life import Life, Mode
from gateway.mcp.state import McpTimes, ServerState

log = logging.getLogger(__name__)

FIRST_SECONDS: Final = 1.0
"""The first pause; each further one in a row is twice as long."""
STEADY_SECONDS: Final = 30.0
"""A server that was up for so long begins a new row."""
_MOST_DOUBLINGS: Final = 20


async def supervise(states: Sequence[ServerState], times: McpTimes) -> None:
    """Keep every server running until cancelled."""
    async with trio.open_nursery() as nursery:
        for state in states:
            nursery.start_soon(_keep_running, state, times)


async def _keep_running(state: ServerState, times: McpTimes) -> NoReturn:
    row = 0
    mode: Mode = "auto"
    while True:
        began = trio.current_time()
        life = Life(state, times, mode)
        why = await life.run()
        if not life.connected:
            mode = "legacy" if mode == "auto" else "auto"
        elif trio.current_time() - began >= STEADY_SECONDS:
            row = 0
        pause = pause_after(row, times.restart, random.random())
        if life.has_forgotten and row == 0:
            pause = 0.0  # it is there, and a call waits
        log.warning("the MCP server %s %s; next try in %.1f s", state.server.name, why, pause)
        row += 1
        await trio.sleep(pause)


def pause_after(row: int, longest: float, jitter: float) -> float:
    """Seconds to wait after `row` failures in a row; `jitter` is a random number from 0 to 1."""
    doubled = FIRST_SECONDS * 2.0 ** min(row, _MOST_DOUBLINGS)
    return min(longest, doubled) * (0.5 + jitter / 2)
