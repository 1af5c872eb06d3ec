"""How much text gets through one core when the provider sends as fast as it can."""

from __future__ import annotations

from scripts.benchmark.client import Crowd
from scripts.benchmark.figure import Column, Figure, Goal, Measured, Order, Window

STREAMS = 4
DELTAS = 20_000
WARMUP = 500


def measure(order: Order) -> Measured:
    """Several streams at once, from the first question to the last answer's end."""
    streams = order.options.streams or STREAMS
    crowd = Crowd()
    for _ in range(streams):
        crowd.join(order.client())

    def answers(count: int) -> None:
        for client in crowd.clients:
            client.ask(f"[[sim: count={count} chars={order.options.chars}]] go", 128_000)
        crowd.read_until(lambda: all(client.ended for client in crowd.clients), 120)

    answers(WARMUP)
    window = Window(order)
    answers(DELTAS)
    window.close()
    crowd.close()
    deltas = streams * DELTAS
    return Measured(
        {"rate": deltas / window.seconds / 1e3, "cpu": window.cpu / deltas * 1e6}, window.shares
    )


FIGURE = Figure(
    name="unpaced",
    title="Unpaced throughput",
    columns=(Column("rate", "thousand deltas a second"), Column("cpu", "us of CPU a delta")),
    goals=(Goal("rate", 8.0, over="fastapi", at_least=True),),
    targets=("relay", "gateway", "fastapi", "node", "litellm"),
    measure=measure,
)
