"""The process of an MCP server: its environment, its stderr, its end.

It has a session of its own: the terminal's Ctrl-C is ours alone, and its whole group can be ended.
It gets pipes for all three streams, never ours. When the gateway is killed, the pipes end: a server
that reads its stdin ends then by itself; one that does not is left behind.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import trio

from agentspace.lines import Lines
from gateway.mcp.settings import McpServer, without
from gateway.mcp.state import ServerLost

log = logging.getLogger(__name__)

INHERITED: Final = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "USER")
"""Variables that a server gets of ours; any other (a key, say) must be named in its table."""

EXIT_SECONDS: Final = 2.0
"""How long a server may take to end by itself once its stdin has ended."""
TERMINATE_SECONDS: Final = 2.0
"""How long it may then take after SIGTERM, and then after SIGKILL."""

LONGEST_LOGGED: Final = 500
"""Characters of a line of stderr that are logged."""
MOST_LOGGED: Final = 50
"""Lines of stderr that are logged in a second; further ones are dropped."""
_PIECE: Final = 16_384


@asynccontextmanager
async def open_child(server: McpServer) -> AsyncIterator[trio.Process]:
    """Start the server's process; it and all its offspring are gone when the block is left.

    Raises ServerLost when it cannot be started.
    """
    try:
        process = await trio.lowlevel.open_process(
            [server.command, *server.args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(server),
            cwd=server.cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise ServerLost(f"cannot be started: {error.strerror}") from error
    # No checkpoint up to the `try`: a cancel there would leave the process behind.
    reading = trio.CancelScope(shield=True)  # a full pipe would keep the process from ending
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_log_stderr, server, process, reading)
        try:
            yield process
        finally:
            with trio.CancelScope(shield=True):  # every wait in it has a deadline
                await _end(process)
            reading.cancel()


def _environment(server: McpServer) -> dict[str, str]:
    ours = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return ours | server.env


async def _end(process: trio.Process) -> None:
    """End of stdin, then SIGTERM, then SIGKILL; at last whatever the process itself has started."""
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdin.aclose()
    if not await _ended(process, EXIT_SECONDS):
        _signal(process, signal.SIGTERM)
        if not await _ended(process, TERMINATE_SECONDS):
            _signal(process, signal.SIGKILL)
            await _ended(process, TERMINATE_SECONDS)
    _signal(process, signal.SIGKILL)
    await process.stdout.aclose()


async def _ended(process: trio.Process, seconds: float) -> bool:
    with trio.move_on_after(seconds):
        await process.wait()
    return process.returncode is not None


def _signal(process: trio.Process, number: signal.Signals) -> None:
    """To the whole group, which outlives its leader."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


async def exit_of(process: trio.Process) -> str:
    """How a process whose stdout has ended ends, for a log line."""
    if not await _ended(process, EXIT_SECONDS):
        return "closed its stdout"
    code = process.returncode or 0
    return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"


async def _log_stderr(server: McpServer, process: trio.Process, reading: trio.CancelScope) -> None:
    """Read stderr to its end, so that it is never full; log a bounded part of it."""
    assert process.stderr is not None
    lines, quota = Lines(), Quota(MOST_LOGGED)
    with reading:
        async with process.stderr as stderr:
            while piece := await stderr.receive_some(_PIECE):
                for line in lines.feed(bytes(piece)):
                    if log.isEnabledFor(logging.DEBUG) and quota.take(trio.current_time()):
                        log.debug("%s says: %s", server.name, _loggable(line, server.secrets))


def _loggable(line: str, secrets: tuple[str, ...]) -> str:
    line = without(line, secrets)[:LONGEST_LOGGED]
    return "".join(c if c.isprintable() else " " for c in line).rstrip()


class Quota:
    """So many a second."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._second = -1
        self._taken = 0

    def take(self, now: float) -> bool:
        """Whether one more fits into this second."""
        if int(now) != self._second:
            self._second, self._taken = int(now), 0
        self._taken += 1
        return self._taken <= self._most
