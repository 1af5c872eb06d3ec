"""A gateway that looks where it is: `python -m scripts.benchmark.sampled`, then as `serve`.

After every few milliseconds of CPU the system interrupts it, and it takes down which part has the
processor. Other than a profiler this costs a part nothing for being called often. A builtin
function, a system call among them, counts for the code that calls it. At SIGUSR1 a line of JSON
goes to stdout: the samples by part since the last one, while the loop's thread was in it.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from types import FrameType
from typing import Final

from gateway.cli import main
from scripts.benchmark.process import ROOT

INTERVAL: Final = 0.002
"""Seconds of CPU between two looks; systems round this up to their own clock's tick."""

PARTS: Final = (
    ("/trio/_core/", "trio: tasks, epoll"),
    ("/trio/", "trio: sockets"),
    ("/trio_websocket/", "trio-websocket"),
    ("/wsproto/", "trio-websocket"),
    ("/gateway/anthropic/", "the provider's stream"),
    ("/gateway/client_stream", "a client's socket"),
    ("/gateway/websocket", "a client's socket"),
    ("/gateway/server", "a client's socket"),
    ("/gateway/", "other"),
    ("/actors/connection/", "frames, turn log"),
    ("/actors/turn_log", "frames, turn log"),
    ("/actors/", "a turn's steps"),
    ("/protocol/", "rules: the answer, fences"),
)
OTHER: Final = "other"


def part_of(file: str) -> str:
    """The part that a source file belongs to; the first that fits."""
    place = file.removeprefix(str(ROOT))
    for piece, part in PARTS:
        if piece in place:
            return part
    return OTHER


def sampling() -> None:
    """Serve as `agentspace serve` does, and take samples."""
    seen: Counter[str] = Counter()

    def look(_: int, frame: FrameType | None) -> None:
        if frame is not None:
            seen[frame.f_code.co_filename] += 1

    def tell(*_: object) -> None:
        parts: Counter[str] = Counter()
        for file, samples in seen.items():
            parts[part_of(file)] += samples
        seen.clear()
        os.write(1, json.dumps(parts).encode() + b"\n")

    signal.signal(signal.SIGPROF, look)
    signal.signal(signal.SIGUSR1, tell)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    main()


if __name__ == "__main__":
    sampling()
