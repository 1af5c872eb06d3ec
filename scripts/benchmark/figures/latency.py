"""How much later a delta arrives for going through the target, while 200 streams run."""

from __future__ import annotations

from scripts.benchmark.client import HttpClient
from scripts.benchmark.figure import Column, Figure, Goal, Measured, Order, Window
from scripts.benchmark.pacing import Pacing
from scripts.benchmark.provider import Provider
from scripts.benchmark.statistic import percentile

STREAMS = 200
SECONDS = 3.0
WARMUP = 1.0
RATE = 10.0
"""Deltas a second and stream: so many that the slowest target has CPU to spare."""


def measure(order: Order) -> Measured:
    """The delays through the target, and those of the same streams without it."""
    options = order.options
    seconds, rate = options.seconds or SECONDS, options.rate or RATE
    through = Pacing(Provider(order.provider_port), order.client, rate, options.chars)
    through.open(options.streams or STREAMS)
    through.run(WARMUP)
    through.delays.clear()
    window = Window(order)
    through.run(seconds)
    window.close()
    through.close()
    own = Provider()
    straight = Pacing(own, lambda: HttpClient(own.port), rate, options.chars)
    straight.open(options.streams or STREAMS)
    straight.delays.clear()
    straight.run(seconds / 2)
    straight.close()
    p50, p99 = (
        (percentile(through.delays, percent) - percentile(straight.delays, percent)) * 1e3
        for percent in (50, 99)
    )
    # The load never sleeps, so that its share says nothing.
    return Measured({"p50": p50, "p99": p99}, {"target": window.shares["target"]})


FIGURE = Figure(
    name="latency",
    title="Added latency of a delta, 200 streams",
    columns=(Column("p50", "ms, p50", 3), Column("p99", "ms, p99", 3)),
    goals=(Goal("p50", 1.5, over="relay"), Goal("p99", 2.0, over="relay")),
    targets=("relay", "gateway", "fastapi", "node"),
    measure=measure,
    provides=True,
)
