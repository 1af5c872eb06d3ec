"""Writes the results into a page, between two marks, and draws the plots beside it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from scripts.benchmark.figure import Column, Figure
from scripts.benchmark.installed import HERE, python_of
from scripts.benchmark.results import OURS, Results, median_of
from scripts.benchmark.tables import Row, figure_table, goal_table
from scripts.benchmark.targets import TARGETS

BEGIN: Final = "<!-- results:begin -->"
END: Final = "<!-- results:end -->"
PLOT: Final = "performance.svg"
PLOTTED: Final = (
    ("delta", "cpu"),
    ("delta_200", "cpu"),
    ("turn", "cpu"),
    ("first", "added"),
    ("burst", "p99"),
    ("latency", "p99"),
    ("unpaced", "rate"),
    ("idle", "each"),
    ("start", "ready"),
)
"""The figures that are drawn, with the column of each."""


class NoMarks(Exception):
    """The page lacks the marks between which results stand."""


def write_page(page: Path, results: Results, figures: Mapping[str, Figure]) -> None:
    """Put the results into the page, and the plot and all samples beside it. Raises NoMarks.

    What the samples there say of figures that were not measured now is kept, so that a page can be
    renewed in parts; the machine is that of the last run. `figures` are all there are, by name.
    """
    kept = page.with_suffix(".json")
    if kept.exists():
        results = merged(msgspec.json.decode(kept.read_bytes(), type=Results), results)
    kept.write_bytes(msgspec.json.encode(results) + b"\n")
    _write(page, results, [one for name, one in figures.items() if name in _measured(results)])


def merged(old: Results, new: Results) -> Results:
    """The new results, and the old ones of other figures, with the notes on them."""
    renewed = _measured(new)
    samples = [sample for sample in old.samples if sample.figure not in renewed]
    others = {sample.figure for sample in samples}
    notes = [note for note in old.notes if note.partition(":")[0] in others]
    return Results(new.machine, samples + new.samples, notes + new.notes)


def _measured(results: Results) -> set[str]:
    return {sample.figure for sample in results.samples}


def _write(page: Path, results: Results, figures: Sequence[Figure]) -> None:
    panels = panels_of(results, figures)
    if panels:
        draw(panels, page.parent / PLOT)
    page.write_text(with_results(page.read_text(), results_text(results, figures)))


def with_results(page: str, text: str) -> str:
    """The page with this text between its marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoMarks(f"the page has no {BEGIN} before an {END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def results_text(results: Results, figures: Sequence[Figure]) -> str:
    """The machine, the goals, a table for each figure, and what was noticed."""
    rounds = 1 + max((sample.round for sample in results.samples), default=0)
    said = "One round." if rounds == 1 else f"Medians of up to {rounds} rounds."
    parts = [
        f"Measured on {results.machine.line()}. {said}",
        markdown_table(goal_table(results.samples, figures)),
        f"![{', '.join(_plotted_titles(results, figures))}]({PLOT})",
    ]
    for figure in figures:
        table = figure_table(results.samples, figure)
        if len(table) > 1:
            parts.append(markdown_table(table))
    if results.notes:
        parts.append("\n".join(f"- {note}" for note in results.notes))
    return "\n\n".join(parts)


def markdown_table(rows: Sequence[Row]) -> str:
    """A table whose first column is text, and the others figures."""
    head, *body = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))


def panels_of(results: Results, figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """What is drawn: for each figure the bars of its targets."""
    panels = []
    by_name = {figure.name: figure for figure in figures}
    for name, key in PLOTTED:
        if name not in by_name:
            continue
        figure = by_name[name]
        column = next(one for one in figure.columns if one.key == key)
        bars = _bars(results, figure, column)
        if bars:
            panels.append({"title": figure.title, "unit": column.title, "bars": bars})
    return panels


def _bars(results: Results, figure: Figure, column: Column) -> list[list[object]]:
    medians = {
        name: median_of(results.samples, figure.name, name, column.key) for name in figure.targets
    }
    return [
        [TARGETS[name].title, value, name == OURS]
        for name, value in medians.items()
        if value is not None
    ]


def _plotted_titles(results: Results, figures: Sequence[Figure]) -> list[str]:
    return [panel["title"] for panel in panels_of(results, figures)]


def draw(panels: list[dict[str, Any]], file: Path) -> None:
    """Write the plot. Raises MissingTarget when matplotlib cannot be had."""
    subprocess.run(
        [python_of("plots"), HERE / "plots" / "draw.py", file],
        input=json.dumps(panels).encode(),
        check=True,
    )
