"""What a small turn costs: CPU of the target for each, one turn after the other.

Each is the first of a new session, with a short question and an answer of five deltas that come at
once. The gateway stores it, weighs it and bills it; the others keep nothing.
"""

from __future__ import annotations

from scripts.benchmark.client import Crowd
from scripts.benchmark.figure import Column, Figure, Goal, Measured, Order, Window

TURNS = 200
WARMUP = 30
QUESTION = "[[sim: count=5 chars=30]] What is a mailbox?"


def measure(order: Order) -> Measured:
    """Ask, read to the end, and ask again, on one connection."""
    crowd = Crowd()
    client = order.client()
    crowd.join(client)

    def turns(count: int) -> None:
        for _ in range(count):
            client.ask(QUESTION)
            crowd.read_until(lambda: client.ended)

    turns(WARMUP)
    window = Window(order)
    turns(TURNS)
    window.close()
    crowd.close()
    return Measured(
        {"cpu": window.cpu / TURNS * 1e3, "wall": window.seconds / TURNS * 1e3}, window.shares
    )


FIGURE = Figure(
    name="turn",
    title="A whole small turn",
    columns=(Column("cpu", "ms of CPU", 2), Column("wall", "ms from asking to the end", 2)),
    goals=(Goal("cpu", 1.2, over="fastapi"),),
    targets=("relay", "gateway", "fastapi", "node", "litellm"),
    measure=measure,
)
