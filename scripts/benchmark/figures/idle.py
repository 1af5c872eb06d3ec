"""What 10,000 idle connections weigh, and what is left of it once they have gone."""

from __future__ import annotations

import time

from gateway.descriptors import bounded
from scripts.benchmark.client import Client, Crowd
from scripts.benchmark.figure import Column, Figure, Goal, Measured, Order
from scripts.benchmark.files import raised_limit
from scripts.benchmark.process import resident_bytes, settle

CONNECTIONS = 10_000
FIRST = 200
"""Connections that come and go before anything is weighed: what only the first ones need."""

ROUND = 100
"""Connections that are opened before pings are answered again."""


def measure(order: Order) -> Measured:
    """Weigh, connect, weigh, leave, weigh; fewer where the system does not give enough files."""
    count = bounded(order.options.streams or CONNECTIONS, raised_limit())
    for client in _connected(order, FIRST):
        client.close()
    settle(order.pid)
    before = resident_bytes(order.pid)
    clients = _connected(order, count)
    settle(order.pid)
    there = resident_bytes(order.pid)
    for client in clients:
        client.close()
    time.sleep(1.0)
    settle(order.pid)
    after = resident_bytes(order.pid)
    grown = there - before
    return Measured(
        {
            "count": count,
            "before": before / 1e6,
            "there": there / 1e6,
            "after": after / 1e6,
            "each": grown / count / 1024,
            "kept": max(0.0, (after - before) / grown),
        },
        {},
    )


def _connected(order: Order, count: int) -> list[Client]:
    crowd = Crowd()
    for number in range(count):
        crowd.join(order.client())
        if number % ROUND == 0:
            crowd.read()
    return crowd.clients


FIGURE = Figure(
    name="idle",
    title="Idle connections",
    columns=(
        Column("count", "connections", 0),
        Column("before", "MB before"),
        Column("there", "MB with them"),
        Column("after", "MB after they left"),
        Column("each", "KB a connection"),
        Column("kept", "share that is kept", 2),
    ),
    goals=(Goal("each", 20.0), Goal("there", 300.0), Goal("kept", 0.25)),
    targets=("gateway", "fastapi", "node"),
    measure=measure,
    once=True,
)
