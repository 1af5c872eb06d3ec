"""The results as tables: rows of text, which a terminal or a page can show."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.benchmark.figure import Figure
from scripts.benchmark.results import Verdict, median_of, verdicts
from scripts.benchmark.rounds import Sample
from scripts.benchmark.targets import TARGETS

Row = list[str]
WIDEST = 8
"""Cells of a row; when there is one target alone, a wider table is turned."""


def figure_table(samples: Sequence[Sample], figure: Figure) -> list[Row]:
    """The head, and a row for each target: its title, and the median of each column."""
    rows: list[Row] = [[figure.title, *(column.title for column in figure.columns)]]
    for name in figure.targets:
        values = [median_of(samples, figure.name, name, one.key) for one in figure.columns]
        if any(value is not None for value in values):
            cells = [
                "" if value is None else f"{value:,.{column.decimals}f}"
                for column, value in zip(figure.columns, values, strict=True)
            ]
            rows.append([figure.subject or TARGETS[name].title, *cells])
    if len(rows) == 2 and len(rows[0]) > WIDEST:
        return [list(row) for row in zip(*rows, strict=True)]
    return rows


def goal_table(samples: Sequence[Sample], figures: Sequence[Figure]) -> list[Row]:
    """The head, and a row for each goal: what is measured, what it is, what it is to be."""
    rows = [goal_row(figure, one) for figure in figures for one in verdicts(samples, figure)]
    return [["figure", "measured", "goal", ""], *rows]


def goal_row(figure: Figure, verdict: Verdict) -> Row:
    """One goal beside what was measured."""
    column = next(one for one in figure.columns if one.key == verdict.column)
    sign = "at least" if verdict.at_least else "at most"
    if verdict.over is None:
        unit, decimals = "", column.decimals
    else:
        unit, decimals = f" over {TARGETS[verdict.over].title}", 2
    return [
        f"{figure.title}, {column.title}{unit}",
        f"{verdict.value:,.{decimals}f}",
        f"{sign} {verdict.limit:,g}",
        "met" if verdict.met else "missed",
    ]
