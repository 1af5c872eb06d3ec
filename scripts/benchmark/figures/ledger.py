"""How many turns a second the ledger settles, each with a commit before and one after its answer.

`scripts/bench_ledger` has the sessions that are run here, and shows more: the statements of a turn,
and where the database's thread spends its time.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from pathlib import Path

import trio

from gateway.cli.serve import SWITCH_SECONDS
from gateway.ledger.ledger import Ledger
from scripts.benchmark.figure import Column, Figure, Goal, Measured, Order, Values
from scripts.benchmark.script import load_script

TURNS = 3_000
ALONE = 300
AT_ONCE = (1, 20, 100, 500)


def measure(_: Order) -> Measured:
    """So many sessions at once on a real file, as the gateway opens it."""
    logging.disable()
    sys.setswitchinterval(SWITCH_SECONDS)  # as `agentspace serve` does
    return Measured(trio.run(_rates), {})


async def _rates() -> Values:
    values: Values = {}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        ledger = Ledger(Path(folder) / "ledger.db", queue_size=1_000)
        await ledger.open()
        sessions = load_script("bench_ledger").Bench(ledger)
        await sessions.take(20, 400)
        for at_once in AT_ONCE:
            turns = ALONE if at_once == 1 else TURNS
            began, cpu = time.perf_counter(), time.process_time()
            await sessions.take(at_once, turns)
            values[f"rate_{at_once}"] = turns / (time.perf_counter() - began)
            values["cpu"] = (time.process_time() - cpu) / turns * 1e6
        await ledger.close()
    values["most"] = max(values[f"rate_{at_once}"] for at_once in AT_ONCE)
    return values


FIGURE = Figure(
    name="ledger",
    title="Settled turns a second",
    columns=(
        *(Column(f"rate_{at_once}", f"{at_once} sessions", 0) for at_once in AT_ONCE),
        Column("most", "the most", 0),
        Column("cpu", "us of CPU a turn", 0),
    ),
    goals=(Goal("most", 3_000.0, at_least=True),),
    targets=("gateway",),
    measure=measure,
    once=True,
    alone=True,
    subject="the ledger",
)
