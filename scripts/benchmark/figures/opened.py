"""What a turn costs while 2,000 streams are open, over what it costs with none.

The streams have begun and then say nothing, so that only their being there can cost. What the
target does meanwhile by itself is measured apart and taken off.
"""

from __future__ import annotations

from scripts.benchmark.client import Client, Crowd
from scripts.benchmark.figure import Column, Figure, Goal, Measured, Order, Window
from scripts.benchmark.process import resident_bytes
from scripts.benchmark.provider import Provider, Upstream, delta, finish, start

STREAMS = 2_000
TURNS = 150
WARMUP = 30
WATCHED = 2.0
"""Seconds in which nothing is asked."""

NUDGED = 500
"""Streams that are opened before all say a word, lest they count as broken: a minute is allowed."""

ANSWER = start() + delta("Five words are enough. ") * 5 + finish()


def measure(order: Order) -> Measured:
    """Turns with nothing open; then the streams; then the turns again."""
    streams = order.options.streams or STREAMS
    provider = Provider(order.provider_port)
    crowd = Crowd()
    asker = order.client()
    crowd.join(asker)
    _turns(provider, crowd, asker, WARMUP)
    none, _ = _cost(order, provider, crowd, asker)
    before = resident_bytes(order.pid)
    upstreams: list[Upstream] = []
    for number in range(streams):
        upstreams.append(_begin(provider, crowd, order.client()))
        if number % NUDGED == 0 or number == streams - 1:
            for upstream in upstreams:
                upstream.send(delta("I am still here. "))
    grown = resident_bytes(order.pid) - before
    _turns(provider, crowd, asker, WARMUP)
    many, shares = _cost(order, provider, crowd, asker)
    crowd.close()
    provider.close()
    return Measured(
        {"none": none, "many": many, "ratio": many / none, "memory": grown / streams / 1024},
        shares,
    )


def _cost(
    order: Order, provider: Provider, crowd: Crowd, asker: Client
) -> tuple[float, dict[str, float]]:
    """Milliseconds of CPU for a turn, beyond what passes by itself."""
    still = Window(order)
    crowd.read_for(WATCHED)
    still.close()
    window = Window(order)
    _turns(provider, crowd, asker, TURNS)
    window.close()
    cpu = window.cpu - still.cpu * window.seconds / still.seconds
    return cpu / TURNS * 1e3, window.shares


def _begin(provider: Provider, crowd: Crowd, client: Client) -> Upstream:
    """A stream that has begun."""
    client.ask("Begin.")
    crowd.join(client)
    upstream = provider.take()
    upstream.send(start() + delta("I have begun. "))
    crowd.read_until(lambda: client.first_at > 0)
    return upstream


def _turns(provider: Provider, crowd: Crowd, asker: Client, count: int) -> None:
    for _ in range(count):
        asker.ask("What is a mailbox?")
        provider.take().send(ANSWER)
        crowd.read_until(lambda: asker.ended)


FIGURE = Figure(
    name="opened",
    title="A turn with 2,000 streams open",
    columns=(
        Column("none", "ms of CPU, none open", 2),
        Column("many", "ms of CPU, all open", 2),
        Column("ratio", "ratio", 2),
        Column("memory", "KB an open stream"),
    ),
    goals=(Goal("ratio", 1.2),),
    targets=("gateway",),
    measure=measure,
    once=True,
    provides=True,
)
