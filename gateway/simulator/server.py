"""The simulator as a server: listens, contains what goes wrong, and shows what it has seen."""

import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from gateway.simulator.cache import PromptCache
from gateway.simulator.connection import HttpConnection
from gateway.simulator.ledger import Bill
from gateway.simulator.reply import Reply
from gateway.simulator.request import Received
from gateway.simulator.script import Responder
from gateway.simulator.service import Service
from gateway.simulator.settings import SimulatorSettings

_log = logging.getLogger(__name__)


class Simulator:
    """A Messages API on `host:port`; port 0 takes a free one.

    `seed` makes the ids come out the same each time, `clock` (seconds) is the prompt cache's.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        settings: SimulatorSettings | None = None,
        seed: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._port = port
        self._service = Service(
            settings or SimulatorSettings(), cache=PromptCache(clock), seed=seed
        )

    async def serve(
        self, *, task_status: trio.TaskStatus["Simulator"] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled; started once it listens. OSError when the port is taken."""
        listeners = await trio.open_tcp_listeners(self._port, host=self._host)
        self._port = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._service.metronome.run)
            nursery.start_soon(trio.serve_listeners, self._contain, listeners)
            task_status.started(self)

    @property
    def url(self) -> str:
        """The base url for a client, without a slash at its end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def requests(self) -> deque[Received]:
        """The requests received, oldest first; a bounded number of them."""
        return self._service.requests

    @property
    def billed(self) -> deque[Bill]:
        """The bills of the answers that have ended, oldest first; a bounded number of them."""
        return self._service.billed

    @property
    def open_streams(self) -> int:
        """Streams being sent now; one is still open for a moment after its last event."""
        return self._service.open_streams

    @property
    def streams_started(self) -> int:
        """Streams begun since the start."""
        return self._service.streams_started

    async def wait_idle(self) -> None:
        """Wait until no stream is being sent."""
        await self._service.wait_idle()

    def script(self, *entries: Reply | Responder) -> None:
        """Arrange the next answers: replies are used once each, in order; then the functions
        are asked with the request's body, the latest first; each may leave it with None."""
        self._service.script.add(*entries)

    async def _contain(self, stream: trio.SocketStream) -> None:
        """Serve one connection. Whatever goes wrong in it ends it, and nothing else."""
        try:
            await HttpConnection(stream, self._service).serve()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client is gone
        except* Exception:  # noqa: BLE001 - the one boundary: it is logged, the rest goes on
            _log.exception("a simulated connection failed")
        finally:
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def open_simulator(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    settings: SimulatorSettings | None = None,
    seed: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Simulator]:
    """A simulator that serves for as long as the block lasts."""
    simulator = Simulator(host, port, settings=settings, seed=seed, clock=clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.serve)
        yield simulator
        nursery.cancel_scope.cancel()


async def run_simulator(
    host: str = "127.0.0.1",
    port: int = 3280,
    *,
    settings: SimulatorSettings | None = None,
    seed: int | None = None,
    on_ready: Callable[[Simulator], object] | None = None,
) -> None:
    """Serve until cancelled; what a command runs. `on_ready` is called once it listens."""
    async with open_simulator(host, port, settings=settings, seed=seed) as simulator:
        if on_ready is not None:
            on_ready(simulator)
        await trio.sleep_forever()
