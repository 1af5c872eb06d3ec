"""How many deltas a second the simulator delivers, unpaced: it must not be the bottleneck."""

from __future__ import annotations

import time

from scripts.benchmark.client import Crowd, HttpClient
from scripts.benchmark.figure import Column, Figure, Measured, Order
from scripts.benchmark.process import cpu_seconds, settle
from scripts.benchmark.targets import start_simulator

DELTAS = 300_000
WARMUP = 1_000


def measure(_: Order) -> Measured:
    """One long answer, read by a client that only counts."""
    with start_simulator() as provider:
        settle(provider.pid)
        client = HttpClient(provider.port)
        crowd = Crowd()
        crowd.join(client)

        def answer(count: int) -> None:
            client.ask(f"[[sim: count={count} chars=16]] go", 128_000)
            crowd.read_until(lambda: client.ended, 120)

        answer(WARMUP)
        cpu, began = cpu_seconds(provider.pid), time.perf_counter()
        answer(DELTAS)
        seconds = time.perf_counter() - began
        cpu = cpu_seconds(provider.pid) - cpu
        crowd.close()
    return Measured({"rate": DELTAS / seconds / 1e3, "cpu": cpu / DELTAS * 1e6}, {})


FIGURE = Figure(
    name="simulator",
    title="The simulator",
    columns=(Column("rate", "thousand deltas a second"), Column("cpu", "us of CPU a delta")),
    goals=(),
    targets=("gateway",),
    measure=measure,
    once=True,
    alone=True,
    subject="the simulator",
)
