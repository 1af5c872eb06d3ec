"""How long the commands take that ask a running gateway, or only speak of themselves."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scripts.benchmark.figure import Column, Figure, Measured, Order
from scripts.benchmark.process import ROOT, settle
from scripts.benchmark.targets import gateway_settings, start_gateway

TIMES = 3
COMMANDS = ("--help", "--version", "status", "sessions", "usage")


def measure(_: Order) -> Measured:
    """The medians of a few runs of each, with a gateway in the same data folder."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder, nobody = Path(name), 1
        with start_gateway(nobody, folder) as process:
            settle(process.pid)
            env = {**os.environ, **gateway_settings(nobody, folder)}
            values = {
                command: statistics.median(_seconds(command, env) for _ in range(TIMES))
                for command in COMMANDS
            }
    return Measured(values, {})


def _seconds(command: str, env: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "gateway", command],
        cwd=ROOT,
        env=env,
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - began


FIGURE = Figure(
    name="commands",
    title="Commands",
    columns=tuple(Column(command, f"s, {command}", 2) for command in COMMANDS),
    goals=(),
    targets=("gateway",),
    measure=measure,
    once=True,
    alone=True,
)
