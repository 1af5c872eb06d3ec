"""How long the gateway holds the loop, step by step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import trio

OURS = ("actors.", "gateway.", "trio_websocket.")
NOT_OURS = "gateway.simulator"


class LoopWatch(trio.abc.Instrument):
    """Remembers the longest step of the gateway's tasks, in seconds of this thread's CPU.

    CPU and not the clock's time: other programs of this machine take time as well.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self.whose = ""
        self._since = time.thread_time()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._since = time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        taken = time.thread_time() - self._since
        name = task.name
        if taken > self.longest and name.startswith(OURS) and not name.startswith(NOT_OURS):
            self.longest, self.whose = taken, name


@contextmanager
def watch_loop() -> Iterator[LoopWatch]:
    """Watch the loop for as long as the block lasts."""
    watch = LoopWatch()
    trio.lowlevel.add_instrument(watch)
    try:
        yield watch
    finally:
        trio.lowlevel.remove_instrument(watch)
