"""The command line of `scripts/bench`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from scripts.benchmark.churn import Churned, churn
from scripts.benchmark.figure import Figure, Options
from scripts.benchmark.figures.all import FIGURES
from scripts.benchmark.files import raised_limit
from scripts.benchmark.machine import Busy, Machine, this_machine
from scripts.benchmark.page import write_page
from scripts.benchmark.quick import (
    LIMITS,
    MARGIN,
    VERSION,
    excesses,
    limits,
    quick_counts,
    renew,
)
from scripts.benchmark.results import Results
from scripts.benchmark.rounds import Sample, measure_rounds, rounds_of, saturated
from scripts.benchmark.tables import Row, figure_table, goal_table
from scripts.benchmark.targets import LITELLM, TARGETS, USUAL

console = Console(highlight=False)
BUSY = 0.5
"""The load average from which the machine counts as busy before anything was begun."""

OTHERS = 0.1
"""The share of a core that processes of others may use without a word."""


def parser(about: str | None) -> argparse.ArgumentParser:
    """What can be asked for."""
    made = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--only", action="append", choices=FIGURES, help="measure this figure; several times: these"
    )
    made.add_argument("--targets", help="of these alone, with commas: " + ",".join(TARGETS))
    made.add_argument("--litellm", action="store_true", help="of LiteLLM, too (installs 700 MB)")
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--streams", type=int, help="at once; each figure has its own default")
    made.add_argument("--seconds", type=float, help="of a window in which streams are watched")
    made.add_argument("--rate", type=float, help="deltas a second and stream")
    made.add_argument("--chars", type=int, default=30, help="of a delta")
    made.add_argument(
        "--churn", type=float, metavar="SECONDS", help="come and go for so long instead"
    )
    made.add_argument(
        "--quick",
        action="store_true",
        help="count calls and memory instead, and hold them to limits",
    )
    made.add_argument("--limits", type=Path, default=LIMITS, help="the file of these limits")
    made.add_argument(
        "--renew", action="store_true", help="with --quick: take the counts down there"
    )
    made.add_argument(
        "--write", type=Path, metavar="PAGE", help="write tables, plot and samples there"
    )
    made.add_argument("--from", type=Path, metavar="FILE", dest="source", help="of a run's --json")
    made.add_argument("--json", type=Path, metavar="FILE", help="write all samples there")
    return made


def main(about: str | None = None) -> None:
    """Measure what is asked for, and show it."""
    arguments = parser(about).parse_args()
    if arguments.quick:
        quick(arguments.limits, renewing=arguments.renew)
        return
    if arguments.churn:
        show_churn(churn(arguments.churn))
        return
    figures = [FIGURES[name] for name in arguments.only or FIGURES]
    wanted = set(arguments.targets.split(",")) if arguments.targets else set(USUAL)
    if arguments.litellm:
        wanted.add(LITELLM.name)
    options = Options(
        streams=arguments.streams,
        seconds=arguments.seconds,
        rate=arguments.rate,
        chars=arguments.chars,
    )
    if arguments.source:
        results = msgspec.json.decode(arguments.source.read_bytes(), type=Results)
    else:
        results = run(figures, wanted, arguments.rounds, options)
    show(results, figures)
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    if arguments.write:
        write_page(arguments.write, results, FIGURES)


def quick(file: Path, *, renewing: bool) -> None:
    """Count, show, and fail when a count has grown."""
    counts = quick_counts()
    if renewing:
        renew(counts, file)
    limit = limits(file).get(VERSION, {})
    rows = [
        [name, f"{count:,.1f}", f"{limit[name]:,.1f}" if name in limit else "none"]
        for name, count in counts.items()
    ]
    console.print(_table([[f"Python {VERSION}", "counted", "limit"], *rows]))
    if not limit:
        console.print(f"{file.name} has no limits for Python {VERSION}: nothing is judged.")
    if grown := excesses(counts, limit):
        raise SystemExit(
            "\n".join(map(str, grown))
            + f"\nMore than {MARGIN - 1:.0%} above the limit. Find what has "
            "grown; if it is worth it, take the new counts down:\n"
            "scripts/bench --quick --renew"
        )


def show_churn(churned: Churned) -> None:
    """Show it, and fail when something has stayed behind."""
    console.print(
        f"{churned.turns:,} visits in {churned.seconds:.0f} s. "
        f"Memory: {churned.warm_mb:.1f} MB when warm, {churned.end_mb:.1f} MB at the end."
    )
    console.print("MB over time: " + " ".join(f"{one:.0f}" for one in churned.memory_mb))
    if churned.left:
        raise SystemExit(f"Left behind: {churned.left}")
    if not churned.is_flat:
        raise SystemExit("The memory has grown.")


def run(figures: Sequence[Figure], wanted: set[str], rounds: int, options: Options) -> Results:
    """All rounds of all figures, under a progress bar; Ctrl-C ends it with what was measured."""
    raised_limit()
    machine, busy = this_machine(), Busy()
    console.print(machine.line())
    samples: list[Sample] = []
    stopped = []
    total = sum(len(wanted & set(figure.targets)) * rounds_of(figure, rounds) for figure in figures)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(TextColumn("{task.description}"), *columns, console=console) as progress:
        task = progress.add_task("starting", total=total)

        def done(sample: Sample) -> None:
            samples.append(sample)
            progress.update(task, advance=1, description=f"{sample.figure}: {sample.target}")
            if not console.is_terminal:
                print(f"{sample.figure}: {sample.target}", flush=True)

        try:
            for figure in figures:
                targets = [TARGETS[name] for name in figure.targets if name in wanted]
                measure_rounds(figure, targets, rounds, options, done)
        except KeyboardInterrupt:
            stopped.append("It was stopped before its end.")
    return Results(machine, samples, [*notes_on(machine, busy, samples), *stopped])


def notes_on(machine: Machine, busy: Busy, samples: Sequence[Sample]) -> list[str]:
    """What makes a reader doubt the figures: a busy machine, a full core, what was not measured."""
    notes = []
    if machine.load_before > BUSY:
        notes.append(f"The machine was busy before: load {machine.load_before:.2f}.")
    if (share := busy.others()) > OTHERS:
        notes.append(f"Other processes used {share:.0%} of a core meanwhile.")
    for name in dict.fromkeys(sample.figure for sample in samples):
        mine = [sample for sample in samples if sample.figure == name]
        notes += [f"{name}: {one} used up its core." for one in saturated(mine)]
        notes += [
            f"{name}: {one}" for one in dict.fromkeys(sample.failure for sample in mine) if one
        ]
    return notes


def show(results: Results, figures: Sequence[Figure]) -> None:
    """Print the tables, and what was noticed."""
    for figure in figures:
        console.print(_table(figure_table(results.samples, figure)))
    console.print(_table(goal_table(results.samples, figures)))
    for note in results.notes:
        console.print(note)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, head in enumerate(rows[0]):
        table.add_column(head, justify="right" if number else "left")
    for row in rows[1:]:
        table.add_row(*row)
    return table
