"""What it costs to ask in a session of 2,000 turns, over one of 20."""

from __future__ import annotations

import trio

from scripts.benchmark.figure import Column, Figure, Goal, Measured, Order
from scripts.benchmark.history import costs

TURNS = 2_000
REPEATS = 30


def measure(_: Order) -> Measured:
    """In this process: no socket and no provider is part of it."""
    return Measured(trio.run(costs, TURNS, REPEATS), {})


FIGURE = Figure(
    name="history",
    title="A session of 2,000 turns",
    columns=(
        Column("ask_short", "ms to ask at 20 turns", 2),
        Column("ask_long", "ms at 2,000", 2),
        Column("ask_ratio", "ratio", 2),
        Column("inspect_ratio", "ratio to inspect", 2),
        Column("held", "ms, loop held"),
        Column("first", "ms, first after a start", 0),
        Column("first_held", "ms, held by it"),
    ),
    goals=(Goal("ask_ratio", 1.5), Goal("inspect_ratio", 1.5), Goal("held", 5.0)),
    targets=("gateway",),
    measure=measure,
    once=True,
    alone=True,
    subject="the context",
)
