"""Takes the targets in turn, round after round, and keeps what comes out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Final

import msgspec

from scripts.benchmark.figure import Figure, Measured, Options, Order
from scripts.benchmark.installed import MissingTarget
from scripts.benchmark.process import ROOT, Process, settle
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
        provider = stack.enter_context(start_simulator())
        there: list[Running] = []
        for target in targets:
            try:
                there.append(stack.enter_context(running(target, provider.port)))
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
                keep(_sample(figure, one, provider, number, options))
                settle(one.process.pid)
    return samples


def _sample(
    figure: Figure, one: Running, provider: Process, number: int, options: Options
) -> Sample:
    order = Order(
        figure=figure.name,
        dialect=one.target.dialect,
        port=one.process.port,
        pid=one.process.pid,
        provider_port=provider.port,
        provider_pid=provider.pid,
        options=options,
    )
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
        figure=figure.name,
        target=one.target.name,
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
