"""A gateway that counts its calls: `python -m scripts.benchmark.counted`, then as `serve`.

At SIGUSR1 it writes a line of JSON to stdout: how many Python functions were called so far by the
thread of the loop and by the others, how many builtin ones, and how many blocks of memory it has.
Resuming a coroutine counts as a call, as it costs like one. The counters begin at the first signal,
so that they do not slow down the start; those of other threads begin with the thread.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
from types import FrameType

from trio._core._run import GLOBAL_RUN_CONTEXT

from gateway.cli import main


class Counter:
    """Calls of one kind of thread."""

    def __init__(self) -> None:
        self.python = 0
        self.builtin = 0

    def take(self, _: FrameType, event: str, __: object) -> None:
        """What the interpreter calls at each event."""
        if event == "call":
            self.python += 1
        elif event == "c_call":
            self.builtin += 1


def forget_deadlines() -> None:
    """Have trio let go of the scopes whose deadlines have passed or were called off.

    It keeps up to a thousand of them for a while, which would look like memory that a turn keeps.
    There is no public way to ask for this.
    """
    GLOBAL_RUN_CONTEXT.runner.deadlines._prune()


def counting() -> None:
    """Serve as `agentspace serve` does, with counters."""
    loop, others = Counter(), Counter()
    threading.setprofile(others.take)

    def tell(*_: object) -> None:
        sys.setprofile(None)
        forget_deadlines()
        gc.collect()
        line = {
            "loop": loop.python,
            "loop_builtin": loop.builtin,
            "others": others.python,
            "blocks": sys.getallocatedblocks(),
        }
        os.write(1, json.dumps(line).encode() + b"\n")
        sys.setprofile(loop.take)

    signal.signal(signal.SIGUSR1, tell)
    main()


if __name__ == "__main__":
    counting()
