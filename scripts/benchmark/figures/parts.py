"""Where the gateway's CPU goes while 40 streams are paced: microseconds of a delta, by part."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import msgspec

from scripts.benchmark.figure import Column, Figure, Measured, Order
from scripts.benchmark.figures import delta
from scripts.benchmark.process import Process, settle
from scripts.benchmark.sampled import OTHER, PARTS
from scripts.benchmark.targets import gateway_settings, start_simulator

SECONDS = 15.0
STREAMS = 40
RATE = 50.0
NAMES = tuple(dict.fromkeys(part for _, part in PARTS))


def measure(order: Order) -> Measured:
    """A figure like that of a delta, with the samples of the same window."""
    seconds = order.options.seconds or SECONDS
    options = msgspec.structs.replace(order.options, seconds=seconds)
    command = [sys.executable, "-m", "scripts.benchmark.sampled", "serve", "--port", "0"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        provider = stack.enter_context(start_simulator())
        settings = gateway_settings(provider.port, folder)
        gateway = stack.enter_context(Process(command, settings))
        settle(gateway.pid)
        order = msgspec.structs.replace(
            order,
            port=gateway.port,
            pid=gateway.pid,
            provider_port=provider.port,
            provider_pid=provider.pid,
            options=options,
        )
        _samples(gateway)
        measured = delta.measure(order, STREAMS, RATE)
        samples = _samples(gateway)
    whole, cost = sum(samples.values()), measured.values["cpu"]
    parts = {name: samples.get(name, 0) / whole * cost for name in NAMES}
    return Measured({"all": cost, **parts}, measured.shares)


def _samples(gateway: Process) -> dict[str, int]:
    """Samples by part since they were last asked for."""
    gateway.child.send_signal(signal.SIGUSR1)
    assert gateway.child.stdout is not None
    return msgspec.convert(json.loads(gateway.child.stdout.readline()), dict[str, int])


FIGURE = Figure(
    name="parts",
    title="us of CPU a delta, by part",
    columns=(
        Column("all", "all"),
        *(Column(name, name) for name in NAMES if name != OTHER),
        Column(OTHER, OTHER),
    ),
    goals=(),
    targets=("gateway",),
    measure=measure,
    once=True,
    alone=True,
)
