"""What a delta costs: CPU of the target for each, while all streams are paced."""

from __future__ import annotations

import time

from scripts.benchmark.client import Crowd, all_live
from scripts.benchmark.figure import Column, Figure, Goal, Measured, Order, Window

STREAMS = 40
SECONDS = 5.0
WARMUP = 1.0
OPENING = 40
"""Streams that are opened a second; nothing flows until all of them are open."""


def measure(order: Order) -> Measured:
    """Open the streams, wait until all of them flow, and watch for a while.

    The divisor is what the schedule says. A target that joins deltas because it has no CPU to
    spare shows in `frames`, and in its share of a core.
    """
    options = order.options
    streams, seconds = options.streams or STREAMS, options.seconds or SECONDS
    delay = streams / OPENING
    count = int(options.rate * (seconds + WARMUP + delay + 10))
    text = (
        f"[[sim: chars={options.chars} rate={options.rate} count={count} delay={delay + 0.5}]] go"
    )
    crowd = Crowd()
    for _ in range(streams):
        client = order.client()
        client.ask(text)
        crowd.join(client)
        time.sleep(1 / OPENING / 2)
    crowd.read_until(lambda: all_live(crowd.clients))
    crowd.read_for(WARMUP)
    before = sum(client.deltas for client in crowd.clients)
    window = Window(order)
    crowd.read_for(seconds)
    window.close()
    frames = sum(client.deltas for client in crowd.clients) - before
    crowd.close()
    deltas = streams * options.rate * window.seconds
    return Measured(
        {
            "cpu": window.cpu / deltas * 1e6,
            "frames": frames / deltas,
            "core": window.shares["target"],
        },
        window.shares,
    )


FIGURE = Figure(
    name="delta",
    title="CPU of a paced delta",
    columns=(
        Column("cpu", "us a delta"),
        Column("frames", "frames a delta", 2),
        Column("core", "of a core", 2),
    ),
    goals=(
        Goal("cpu", 1.5, over="relay"),
        Goal("cpu", 0.95, over="node"),
        Goal("cpu", 0.45, over="fastapi"),
    ),
    targets=("relay", "gateway", "fastapi", "node"),
    measure=measure,
)
