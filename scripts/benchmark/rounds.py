"""Takes the targets in turn, round after round, and keeps what comes out."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Final

import msgspec

from scripts.benchmark.figure import Figure, Measured, Options, Order
from scripts.benchmark.installed import MissingTarget
from scripts.benchmark.process import ROOT, settle
from scripts.benchmark.targets import TARGETS, Target, running, start_simulator

LONGEST: Final = 300.0
"""Seconds that one measurement of one target may take."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement, or why there is none (`failure`)."""

    figure: str
    target: str
    round: int
    measured: Measured | None = None
    failure: str = ""


def measure_rounds(
    figure: Figure,
    targets: Iterable[Target],
    rounds: int,
    options: Options,
    done: Callable[[Sample], object],
) -> list[Sample]:
    """All rounds of one figure; `done` is told of each sample.

    The provider and the targets are started once, and serve through all rounds; the targets that
    are not asked do nothing meanwhile.
    """
    samples: list[Sample] = []
    rounds = rounds_of(figure, rounds)

    def keep(sample: Sample) -> None:
        samples.append(sample)
        done(sample)

    with ExitStack() as stack:
        orders = _orders(figure, targets, options, stack)
        for number in range(rounds):
            for target, order in orders.items():
                if isinstance(order, MissingTarget):
                    keep(_failed(figure.name, target.name, number, f"{target.title}: {order}"))
                    continue
                keep(_sample(order, number))
                if not figure.alone:
                    settle(order.pid)
    return samples


def rounds_of(figure: Figure, rounds: int) -> int:
    """How many rounds of the wanted ones a figure takes."""
    return min(rounds, 1) if figure.once else rounds


def _orders(
    figure: Figure, targets: Iterable[Target], options: Options, stack: ExitStack
) -> dict[Target, Order | MissingTarget]:
    """What the load is told of each target, once that serves; or why it does not."""
    provider = None
    if not figure.alone and not figure.provides:
        provider = stack.enter_context(start_simulator())
    port = provider.port if provider else free_port()
    orders: dict[Target, Order | MissingTarget] = {}
    for target in targets:
        process = None
        if not figure.alone:
            try:
                process = stack.enter_context(running(target, port))
            except MissingTarget as missing:
                orders[target] = missing
                continue
        orders[target] = Order(
            figure=figure.name,
            target=target.name,
            dialect=target.dialect,
            port=process.port if process else 0,
            pid=process.pid if process else 0,
            provider_port=port,
            provider_pid=provider.pid if provider else None,
            options=options,
        )
    return orders


def _failed(figure: str, target: str, number: int, failure: str) -> Sample:
    return Sample(figure=figure, target=target, round=number, failure=failure)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _sample(order: Order, number: int) -> Sample:
    command = [sys.executable, "-m", "scripts.benchmark.load", msgspec.json.encode(order).decode()]
    measured, failure = None, ""
    try:
        ended = subprocess.run(
            command, cwd=ROOT, capture_output=True, check=True, timeout=LONGEST, text=True
        )
        measured = msgspec.json.decode(ended.stdout, type=Measured)
    except subprocess.CalledProcessError as error:
        failure = error.stderr.strip().rpartition("\n")[2] or f"the load ended with {error}"
    except subprocess.TimeoutExpired:
        failure = f"no figure within {LONGEST:.0f} seconds"
    return Sample(
        figure=order.figure,
        target=order.target,
        round=number,
        measured=measured,
        failure=f"{TARGETS[order.target].title}: {failure}" if failure else "",
    )


def saturated(samples: Sequence[Sample], share: float = 0.9) -> list[str]:
    """Which processes had no CPU to spare, each named once: `gateway`, `gateway's provider`, …."""
    found: dict[str, None] = {}
    for sample in samples:
        for process, used in (sample.measured.shares if sample.measured else {}).items():
            if used > share:
                name = sample.target if process == "target" else f"{sample.target}'s {process}"
                found[name] = None
    return list(found)
