"""How long the provider goes on writing after a client has cancelled, while 200 streams run.

The gateway is told with `chat.cancel`. The others have no such word: their clients hang up.
"""

from __future__ import annotations

import time

from scripts.benchmark.client import Client
from scripts.benchmark.figure import Column, Figure, Goal, Measured, Order, Window
from scripts.benchmark.pacing import Pacing
from scripts.benchmark.provider import Provider
from scripts.benchmark.statistic import percentile

STREAMS = 200
CANCELS = 100
RATE = 10.0


def measure(order: Order) -> Measured:
    """Cancel one stream after the other; each is replaced, so that as many run."""
    options = order.options
    rate = options.rate or RATE
    pacing = Pacing(Provider(order.provider_port), order.client, rate, options.chars)
    pacing.open(options.streams or STREAMS)
    pacing.run(1.0)
    window = Window(order)
    waits = [_cancelled(pacing, order, number) for number in range(CANCELS)]
    window.close()
    pacing.close()
    return Measured(
        {
            "p50": percentile(waits, 50),
            "p99": percentile(waits, 99),
            "most": max(waits),
        },
        {"target": window.shares["target"]},
    )


def _cancelled(pacing: Pacing, order: Order, number: int) -> float:
    """Milliseconds from the cancel to the end of the target's connection to the provider."""
    place = number % len(pacing.streams)
    stream = pacing.streams[place]
    began = time.perf_counter()
    hung_up = _cancel(pacing, stream.client)
    pacing.run_until(lambda: stream.upstream.closed_at > 0)
    wait = (stream.upstream.closed_at - began) * 1e3
    if not hung_up:
        pacing.run_until(lambda: stream.client.ended)
    pacing.streams[place] = pacing.begin(order.client() if hung_up else stream.client)
    return wait


def _cancel(pacing: Pacing, client: Client) -> bool:
    """Whether that was done by hanging up."""
    client.cancel()
    if client.socket.fileno() >= 0:
        return False
    pacing.crowd.leave(client)
    return True


FIGURE = Figure(
    name="cancel",
    title="From a cancel to the end at the provider, 200 streams",
    columns=(Column("p50", "ms, p50"), Column("p99", "ms, p99"), Column("most", "ms, most")),
    goals=(Goal("p99", 50.0),),
    targets=("relay", "gateway", "fastapi", "node"),
    measure=measure,
    provides=True,
)
