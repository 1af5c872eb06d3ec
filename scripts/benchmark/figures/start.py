"""What a start costs: seconds to the ready line, memory there, and a first answer at once.

A start is measured as people have it, with the bytecode that a first run has written. After its
ready line the gateway loads the rest; how long a probe of `/healthz` waits meanwhile at most shows
whether that holds up clients.
"""

from __future__ import annotations

import http.client
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scripts.benchmark.client import CLIENTS, Crowd
from scripts.benchmark.figure import Column, Figure, Goal, Measured, Order, Values
from scripts.benchmark.process import Process, resident_bytes, settle
from scripts.benchmark.targets import TARGETS, start_simulator

TIMES = 3
WATCHED = 3.0
"""Seconds after the ready line in which the probe is asked."""

QUESTION = "[[sim: count=5 chars=30]] What is a mailbox?"


def measure(order: Order) -> Measured:
    """The medians of a few starts, the first of which only writes bytecode."""
    target = TARGETS[order.target]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, start_simulator() as provider:

        def start() -> Process:
            return target.start(provider.port, Path(folder))

        with start() as process:
            settle(process.pid)
        runs = []
        for _ in range(TIMES):
            unit = _import_of_trio()
            with start() as process:
                values = {"ready": process.seconds_to_ready, "memory": _megabytes(process)}
                values["ratio"] = values["ready"] / unit
                values["first"] = _first_answer(order, process)
            runs.append(values | _loading(order, start()))
        return Measured(
            {name: statistics.median(run[name] for run in runs) for name in runs[0]}, {}
        )


def _import_of_trio() -> float:
    """Seconds of a Python that imports trio and ends: what a start is a multiple of."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import trio"], check=True)
    return time.perf_counter() - began


def _first_answer(order: Order, process: Process) -> float:
    """Seconds from the ready line to the first piece of an answer that is asked for at once."""
    began = time.perf_counter()
    client = CLIENTS[order.dialect](process.port)
    crowd = Crowd()
    crowd.join(client)
    client.ask(QUESTION)
    crowd.read_until(lambda: client.ended)
    crowd.close()
    return client.first_at - began


def _loading(order: Order, process: Process) -> Values:
    """The slowest probe in the first seconds, and the memory after them."""
    with process:
        values: Values = {}
        if order.dialect == "gateway":
            values["held"] = _slowest_probe(process.port)
        settle(process.pid)
        values["loaded"] = _megabytes(process)
        return values


def _slowest_probe(port: int) -> float:
    limit, slowest = time.perf_counter() + WATCHED, 0.0
    while (began := time.perf_counter()) < limit:
        probe = http.client.HTTPConnection("127.0.0.1", port)
        probe.request("GET", "/healthz")
        probe.getresponse().read()
        probe.close()
        slowest = max(slowest, time.perf_counter() - began)
        time.sleep(0.01)  # the gateway has other things to do
    return slowest * 1e3


def _megabytes(process: Process) -> float:
    return resident_bytes(process.pid) / 1e6


FIGURE = Figure(
    name="start",
    title="A start",
    columns=(
        Column("ready", "s to ready", 2),
        Column("ratio", "x import trio", 1),
        Column("memory", "MB there", 0),
        Column("first", "s to a first delta", 2),
        Column("held", "ms, slowest probe", 0),
        Column("loaded", "MB when loaded", 0),
    ),
    goals=(Goal("ready", 0.5), Goal("memory", 60.0)),
    targets=("gateway", "fastapi", "node"),
    measure=measure,
    once=True,
    alone=True,
)
