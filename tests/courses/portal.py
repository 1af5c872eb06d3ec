"""A stage in a thread of its own: Hypothesis calls a machine's rules from one without a loop."""

from __future__ import annotations

import queue
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import outcome
import trio

from tests.courses.stage import Stage, open_stage, window_of
from tests.support import SECONDS

T = TypeVar("T")

LONGEST_SCENE = 6 * SECONDS


class Portal:
    """Runs scenes on a stage whose model has a window of so many tokens."""

    def __init__(self, window: int, **settings: Any) -> None:
        self._window = window
        self._settings = settings
        self._started: queue.SimpleQueue[trio.lowlevel.TrioToken | None] = queue.SimpleQueue()
        self._ended: outcome.Outcome[None] = outcome.Value(None)
        self._thread = threading.Thread(target=self._play, name="courses", daemon=True)
        self._thread.start()
        token = self._started.get(timeout=LONGEST_SCENE)
        if token is None:
            self._ended.unwrap()
        self._token = token

    @property
    def stage(self) -> Stage:
        """Where it happens."""
        return self._stage

    def do(self, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Play a scene, to its end."""

        async def bounded() -> T:
            with trio.fail_after(LONGEST_SCENE):
                return await work(*args)

        return trio.from_thread.run(bounded, trio_token=self._token)

    def close(self) -> None:
        """End it all."""
        if self._thread.is_alive():
            trio.from_thread.run_sync(self._over.set, trio_token=self._token)
        self._thread.join(LONGEST_SCENE)
        assert not self._thread.is_alive(), "the stage does not end"
        self._ended.unwrap()

    def _play(self) -> None:
        self._ended = outcome.capture(trio.run, self._main)
        self._started.put(None)

    async def _main(self) -> None:
        self._over = trio.Event()
        with TemporaryDirectory() as folder, window_of(self._window):
            async with open_stage(Path(folder), **self._settings) as self._stage:
                self._started.put(trio.lowlevel.current_trio_token())
                await self._over.wait()
