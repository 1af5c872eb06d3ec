"""A hundred clients ask at once: when does the last of them see something?"""

from __future__ import annotations

from scripts.benchmark.client import Crowd
from scripts.benchmark.figure import Column, Figure, Goal, Measured, Order, Window
from scripts.benchmark.statistic import percentile

CLIENTS = 100
TIMES = 5
QUESTION = "[[sim: count=5 chars=30]] What is a mailbox?"


def measure(order: Order) -> Measured:
    """All ask, all are read to the end; a few times, of which the first only warms up."""
    crowd = Crowd()
    for _ in range(order.options.streams or CLIENTS):
        crowd.join(order.client())

    def ask_all() -> list[float]:
        for client in crowd.clients:
            client.ask(QUESTION)
        crowd.read_until(lambda: all(client.ended for client in crowd.clients))
        began = min(client.asked_at for client in crowd.clients)
        return [(client.first_at - began) * 1e3 for client in crowd.clients]

    ask_all()
    window = Window(order)
    waits = [wait for _ in range(TIMES) for wait in ask_all()]
    window.close()
    crowd.close()
    return Measured({"p50": percentile(waits, 50), "p99": percentile(waits, 99)}, window.shares)


FIGURE = Figure(
    name="burst",
    title="A hundred ask at once: the first delta",
    columns=(Column("p50", "ms, p50"), Column("p99", "ms, p99")),
    goals=(Goal("p99", 1.0, over="fastapi"),),
    targets=("relay", "gateway", "fastapi", "node", "litellm"),
    measure=measure,
)
