"""How many bytes go over the wire for a byte of text, frames' heads included."""

from __future__ import annotations

from scripts.benchmark.client import Client, Crowd, MsgpackClient
from scripts.benchmark.figure import Column, Figure, Goal, Measured, Order, Window

DELTAS = 400
RATE = 200.0
"""Paced, so that the deltas are not joined."""


def measure(order: Order) -> Measured:
    """An answer as JSON, and for the gateway as msgpack too."""
    window = Window(order)
    values = {"json": _bytes(order, order.client())}
    if order.dialect == "gateway":
        values["msgpack"] = _bytes(order, MsgpackClient(order.port))
    window.close()
    return Measured(values, window.shares)


def _bytes(order: Order, client: Client) -> float:
    """Bytes received for a byte of text, over a whole answer."""
    crowd = Crowd()
    crowd.join(client)
    rate, chars = order.options.rate or RATE, order.options.chars
    before = client.received
    client.ask(f"[[sim: count={DELTAS} rate={rate} chars={chars}]] go")
    crowd.read_until(lambda: client.ended)
    crowd.close()
    return (client.received - before) / (DELTAS * chars)


FIGURE = Figure(
    name="wire",
    title="Bytes on the wire for a byte of text",
    columns=(Column("json", "JSON", 2), Column("msgpack", "msgpack", 2)),
    goals=(Goal("json", 3.5), Goal("msgpack", 2.2)),
    targets=("relay", "gateway", "fastapi", "node"),
    measure=measure,
    once=True,
)
