"""What a delta costs: CPU of the target for each, while all streams are paced."""

from __future__ import annotations

import time

from scripts.benchmark.client import Crowd, all_live
from scripts.benchmark.figure import Column, Figure, Goal, Measured, Order, Window

SECONDS = 4.0
WARMUP = 0.5
OPENING = 80
"""Streams that are opened a second; nothing flows until all of them are open."""


def measure(order: Order, usual_streams: int, usual_rate: float) -> Measured:
    """Open the streams, wait until all of them flow, and watch for a while.

    The divisor is what the schedule says. A target that joins deltas because it has no CPU to
    spare shows in `frames`, and in its share of a core.
    """
    options = order.options
    streams, rate = options.streams or usual_streams, options.rate or usual_rate
    seconds = options.seconds or SECONDS
    delay = streams / OPENING
    count = int(rate * (seconds + WARMUP + delay + 30))
    text = f"[[sim: chars={options.chars} rate={rate} count={count} delay={delay + 0.5}]] go"
    crowd = Crowd()
    for _ in range(streams):
        client = order.client()
        client.ask(text)
        crowd.join(client)
        time.sleep(1 / OPENING)
    crowd.read_until(lambda: all_live(crowd.clients))
    crowd.read_for(WARMUP)
    before = sum(client.deltas for client in crowd.clients)
    window = Window(order)
    crowd.read_for(seconds)
    window.close()
    frames = sum(client.deltas for client in crowd.clients) - before
    crowd.close()
    deltas = streams * rate * window.seconds
    return Measured(
        {
            "cpu": window.cpu / deltas * 1e6,
            "frames": frames / deltas,
            "core": window.shares["target"],
        },
        window.shares,
    )


def _figure(name: str, streams: int, rate: float) -> Figure:
    return Figure(
        name=name,
        title=f"CPU of a delta, {streams} streams at {rate:.0f} a second",
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
        targets=("relay", "gateway", "fastapi", "node", "litellm"),
        measure=lambda order: measure(order, streams, rate),
    )


FEW = _figure("delta", 40, 50.0)
MANY = _figure("delta_200", 200, 20.0)
"""At a rate at which the slowest target still has CPU to spare."""
