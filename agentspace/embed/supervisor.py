"""Keeps a gateway running: started, restarted after a crash, drained at the end.

One task runs process after process. Leaving the context cancels that task, and so does whatever
ends the body; the process is stopped by the context that opened it, shielded and with deadlines.
So there is one way to the end, and no state to tell "ended" from "was ended".
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio
import msgspec

from agentspace.embed.child import Child, open_child
from agentspace.embed.events import GatewayEnded, GatewayEvent, GatewayFailed, GatewayStarted
from agentspace.embed.launch import COMMAND, Launch
from agentspace.embed.lines import LAST_WORD, LastLine, log_line
from agentspace.embed.restarts import BAD_CONFIGURATION, Restarts
from agentspace.embed.settings import GatewaySettings
from agentspace.running import GatewayReady

log = logging.getLogger(__name__)


class Supervised:
    """A gateway that is kept running.

    `url`, `pid` and `token` are the current process's, or the last one's while none runs;
    `restarts` counts the processes after the first.
    """

    def __init__(self, token: str) -> None:
        self.url = ""
        self.pid = 0
        self.token = token
        self.restarts = 0
        self._ready = anyio.Event()

    async def wait_ready(self) -> None:
        """Wait until a process can serve.

        A client's connection breaks a moment before the supervisor sees the process end: a client
        that reconnects in a loop of this and a refused connection is right after a few rounds.
        """
        await self._ready.wait()

    def _became_ready(self, ready: GatewayReady) -> None:
        self.url, self.pid = ready.url, ready.pid
        self._ready.set()

    def _lost(self) -> None:
        self._ready = anyio.Event()


def _ignore(_event: GatewayEvent) -> None:
    pass


@asynccontextmanager
async def supervised(
    *,
    settings: GatewaySettings | None = None,
    environ: Mapping[str, str] | None = None,
    command: Sequence[str] = COMMAND,
    ready_seconds: float = 30.0,
    restart_limit: int = 5,
    window_seconds: float = 60.0,
    backoff_seconds: float = 0.2,
    backoff_cap_seconds: float = 10.0,
    on_line: Callable[[str], None] = log_line,
    on_event: Callable[[GatewayEvent], None] = _ignore,
) -> AsyncIterator[Supervised]:
    """Run a gateway as a child process while the body runs; under asyncio or trio.

    An empty setting counts as not given. Without `port` the first process takes a free one, which
    its successors keep if they can. `environ` is the whole environment (the parent's own),
    `command` what `agentspace` is. A token and a time to drain that neither the settings nor the
    environment names are the supervisor's own, whatever the gateway's `config.toml` says.

    A process that ends, or is not ready within `ready_seconds`, is started again: at once after
    `backoff_seconds`, then after twice that, at most `backoff_cap_seconds`. After `restart_limit`
    restarts in a row, none of which served for `window_seconds`, it is given up.

    What it logs goes line by line to `on_line`, by default to the logger `agentspace.gateway`;
    `on_event` hears of each start and each end. Neither may block or raise.

    Leaving lets the gateway drain for its `drain_seconds` before it is ended by force.

    Raises GatewayFailed, also out of the body, when the gateway is given up or its exit code says
    that a restart would be useless; TypeError for a name that is no setting; OSError when the
    command cannot be run. What the body raises comes out as it is.
    """
    launch = Launch(settings or {}, os.environ if environ is None else environ, command)
    if on_line is log_line:
        launch.log_as_json()
    gateway = Supervised(launch.token)
    restarts = Restarts(
        restart_limit,
        window_seconds=window_seconds,
        first_seconds=backoff_seconds,
        cap_seconds=backoff_cap_seconds,
    )
    supervisor = _Supervisor(gateway, launch, restarts, ready_seconds, on_line, on_event)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(supervisor.run)
            await gateway.wait_ready()
            yield gateway
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        failure = _unwrapped(group)
    else:
        return
    raise failure  # outside of `except`: the group is no part of its story


class _Ended(msgspec.Struct, frozen=True):
    """A process that ended unasked; `served_seconds` is `None` when it was never ready."""

    exit_code: int
    last_line: str
    served_seconds: float | None


class _Supervisor:
    """Runs process after process."""

    def __init__(
        self,
        gateway: Supervised,
        launch: Launch,
        restarts: Restarts,
        ready_seconds: float,
        on_line: Callable[[str], None],
        on_event: Callable[[GatewayEvent], None],
    ) -> None:
        self._gateway = gateway
        self._launch = launch
        self._restarts = restarts
        self._ready_seconds = ready_seconds
        self._on_line = on_line
        self._on_event = on_event
        self._port = launch.port

    async def run(self) -> None:
        """Until cancelled. Raises GatewayFailed."""
        while True:
            ended = await self._serve_once()
            if self._lost_its_port(ended):
                self._port = self._launch.port
                continue
            delay = self._restarts.after(ended.exit_code, ended.served_seconds or 0.0)
            self._on_event(GatewayEnded(ended.exit_code, ended.last_line, delay))
            failed = GatewayFailed(ended.exit_code, ended.last_line)
            if delay is None:
                raise failed
            log.warning("%s; it is started again in %.1f s", failed, delay)
            await anyio.sleep(delay)
            self._gateway.restarts += 1

    async def _serve_once(self) -> _Ended:
        """One process, from its start to its end."""
        last_line = LastLine()

        def take_line(line: str) -> None:
            line = self._launch.without_secrets(line)
            last_line.take(line)
            self._on_line(line)

        launch = self._launch
        served_seconds = None
        async with open_child(
            launch.arguments(self._port), launch.environ, take_line, launch.drain_seconds
        ) as child:
            with anyio.move_on_after(self._ready_seconds) as patience:
                ready = await child.ready()
            if patience.cancelled_caught:
                take_line(f"{LAST_WORD}it was not ready within {self._ready_seconds:g} s.")
            elif ready is not None:
                served_seconds = await self._serve(child, ready)
        return _Ended(child.exit_code, str(last_line), served_seconds)

    async def _serve(self, child: Child, ready: GatewayReady) -> float:
        """From the ready line to the end; the seconds between."""
        since = anyio.current_time()
        self._port = str(urlsplit(ready.url).port or 0)
        self._gateway._became_ready(ready)
        self._on_event(GatewayStarted(ready.url, ready.pid, self._gateway.restarts))
        await child.ended()
        self._gateway._lost()
        return anyio.current_time() - since

    def _lost_its_port(self, ended: _Ended) -> bool:
        """Whether the port that a former process had may be somebody else's now."""
        refused = ended.exit_code == BAD_CONFIGURATION and ended.served_seconds is None
        return refused and self._port != self._launch.port


def _unwrapped(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error of the body, or the supervisor's, without the task group's wrapping.

    When both failed, the body most likely did because its gateway was gone: that is said first,
    and the body's error is its cause.
    """
    errors = [
        error
        for error in group.exceptions
        if not isinstance(error, anyio.get_cancelled_exc_class())
    ]
    if len(errors) == 1:
        return errors[0]
    failures = [error for error in errors if isinstance(error, GatewayFailed)]
    if len(failures) != 1:
        return group
    failures[0].__cause__ = next(error for error in errors if error is not failures[0])
    return failures[0]
