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
from scripts.benchmark.targets import Running, Target, running, start_simulator

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

    def keep(sample: Sample) -> None:
        samples.append(sample)
        done(sample)

    with ExitStack() as stack:
        provider = None if figure.provides else stack.enter_context(start_simulator())
        port = free_port() if provider is None else provider.port
        there: list[Running] = []
        for target in targets:
            try:
                there.append(stack.enter_context(running(target, port)))
            except MissingTarget as missing:
                for number in range(rounds):
                    keep(
                        Sample(
                            figure=figure.name,
                            target=target.name,
                            round=number,
                            failure=f"{target.title}: {missing}",
                        )
                    )
        for number in range(rounds):
            for one in there:
                order = Order(
                    figure=figure.name,
                    target=one.target.name,
                    dialect=one.target.dialect,
                    port=one.process.port,
                    pid=one.process.pid,
                    provider_port=port,
                    provider_pid=provider.pid if provider else None,
                    options=options,
                )
                keep(_sample(order, number))
                settle(one.process.pid)
    return samples


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
        failure=failure,
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
