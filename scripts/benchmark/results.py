"""What all rounds say together: medians, and ratios that are taken within a round."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

from scripts.benchmark.figure import Figure, Goal
from scripts.benchmark.machine import Machine
from scripts.benchmark.rounds import Sample

OURS = "gateway"


class Verdict(msgspec.Struct, frozen=True):
    """The gateway's value of a column beside its goal; `over` names the target it is divided by."""

    figure: str
    column: str
    over: str | None
    value: float
    limit: float
    at_least: bool
    met: bool


class Results(msgspec.Struct, frozen=True):
    """A run: the machine, the samples, and what was noticed on the way."""

    machine: Machine
    samples: list[Sample]
    notes: list[str]


def values_of(samples: Sequence[Sample], figure: str, target: str, column: str) -> list[float]:
    """The values of a column, in the order of the rounds."""
    return [
        sample.measured.values[column]
        for sample in samples
        if sample.figure == figure
        and sample.target == target
        and sample.measured
        and column in sample.measured.values
    ]


def median_of(samples: Sequence[Sample], figure: str, target: str, column: str) -> float | None:
    """The median of the rounds, or None when nothing was measured."""
    values = values_of(samples, figure, target, column)
    return statistics.median(values) if values else None


def ratio_of(samples: Sequence[Sample], figure: str, column: str, over: str) -> float | None:
    """The median of the rounds' ratios, the gateway's value over the other's."""
    by_round: dict[int, dict[str, float]] = {}
    for sample in samples:
        if sample.figure == figure and sample.measured and column in sample.measured.values:
            by_round.setdefault(sample.round, {})[sample.target] = sample.measured.values[column]
    ratios = [
        values[OURS] / values[over]
        for values in by_round.values()
        if OURS in values and values.get(over)
    ]
    return statistics.median(ratios) if ratios else None


def verdicts(samples: Sequence[Sample], figure: Figure) -> list[Verdict]:
    """Each goal of a figure that could be judged."""
    found = []
    for goal in figure.goals:
        value = _value_for(samples, figure, goal)
        if value is not None:
            found.append(
                Verdict(
                    figure=figure.name,
                    column=goal.column,
                    over=goal.over,
                    value=value,
                    limit=goal.limit,
                    at_least=goal.at_least,
                    met=goal.is_met(value),
                )
            )
    return found


def _value_for(samples: Sequence[Sample], figure: Figure, goal: Goal) -> float | None:
    if goal.over is None:
        return median_of(samples, figure.name, OURS, goal.column)
    return ratio_of(samples, figure.name, goal.column, goal.over)
