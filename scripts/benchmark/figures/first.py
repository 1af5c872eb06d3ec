"""How long the first delta takes, with nothing else to do, and what of that the target adds."""

from __future__ import annotations

import statistics
import time

from scripts.benchmark.client import Client, Crowd
from scripts.benchmark.figure import Column, Figure, Goal, Measured, Order, Window

TURNS = 50
WARMUP = 10
PAUSE = 0.015
QUESTION = "[[sim: count=5 chars=30]] What is a mailbox?"


def measure(order: Order) -> Measured:
    """Ask with pauses, through the target and straight at the provider in turn."""
    crowd = Crowd()
    through, straight = order.client(), order.straight()
    crowd.join(through)
    crowd.join(straight)

    def first(client: Client) -> float:
        time.sleep(PAUSE)
        client.ask(QUESTION)
        crowd.read_until(lambda: client.ended)
        return (client.first_at - client.asked_at) * 1e3

    def firsts(count: int) -> tuple[float, float]:
        pairs = [(first(through), first(straight)) for _ in range(count)]
        return statistics.median(pair[0] for pair in pairs), statistics.median(
            pair[1] for pair in pairs
        )

    firsts(WARMUP)
    window = Window(order)
    whole, own = firsts(TURNS)
    window.close()
    crowd.close()
    return Measured({"whole": whole, "added": whole - own}, window.shares)


FIGURE = Figure(
    name="first",
    title="The first delta, idle",
    columns=(Column("whole", "ms after asking", 2), Column("added", "ms added", 2)),
    goals=(Goal("added", 2.0),),
    targets=("relay", "gateway", "fastapi", "node", "litellm"),
    measure=measure,
)
