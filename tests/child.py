"""A gateway in a process of its own, for a test that ends it; the provider stays with the test."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from gateway.simulator import Simulator
from tests.support import SECONDS, TOKEN, World
from tests.test_process import environment

START_SECONDS = 30.0


class Child(World):
    """A gateway that runs elsewhere, and the provider that it asks."""

    def __init__(self, process: trio.Process, url: str, simulator: Simulator) -> None:
        self.process = process
        self.simulator = simulator
        self._url = url

    @property
    def url(self) -> str:
        """Where the gateway listens."""
        return self._url

    def kill(self) -> None:
        """SIGKILL: it has no moment left to do anything."""
        self.process.kill()

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    async def exit_code(self) -> int:
        """Wait for its end."""
        with trio.fail_after(SECONDS):
            return await self.process.wait()


@asynccontextmanager
async def open_child(
    folder: Path, simulator: Simulator, *arguments: str, **settings: str
) -> AsyncIterator[Child]:
    """A gateway on `folder` that serves; killed at the end if it is still there."""
    with log_of(folder).open("a") as log:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "gateway", "serve", "--port", "0", *arguments],
            env=environment(
                folder,
                AGENTSPACE_TOKEN=TOKEN,
                AGENTSPACE_ANTHROPIC_BASE_URL=simulator.url,
                **settings,
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        yield Child(process, await _ready_url(process, folder), simulator)
    finally:
        process.kill()
        with trio.move_on_after(SECONDS, shield=True):
            await process.wait()
            assert process.stdout is not None
            await process.stdout.aclose()


async def _ready_url(process: trio.Process, folder: Path) -> str:
    assert process.stdout is not None
    line = b""
    with trio.fail_after(START_SECONDS):
        while not line.endswith(b"\n"):
            more = await process.stdout.receive_some()
            assert more, f"it has ended instead of serving: {log_of(folder).read_text()[-2_000:]}"
            line += more
    return str(json.loads(line)["url"])


def log_of(folder: Path) -> Path:
    """What the gateways of this folder have logged."""
    return folder / "stderr.log"
