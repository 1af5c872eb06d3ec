"""What a load must not exceed: `first_delta.p99>200ms`, and what such a line means."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from gateway.load.strain import OwnClock
from gateway.load.tally import DURATIONS, LoadTally

OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_PARTS: Final = re.compile(r"p(?P<percent>\d{1,2}(\.\d{1,4})?)|min|mean|max|count")
_LINE: Final = re.compile(
    r"\s*(?P<name>[a-z_]+)(\.(?P<part>[A-Za-z0-9_.]+))?\s*(?P<operator>>=|<=|>|<)"
    r"\s*(?P<value>\d+(\.\d+)?)\s*(?P<unit>[a-z%]*)\s*"
)

COUNTS: Final = ("sent", "admitted", "finished", "cancelled", "failed")
PLAIN: Final[dict[str, Callable[[LoadTally, OwnClock], float]]] = {
    "unsent": lambda tally, _: tally.unsent,
    "unfinished": lambda tally, _: tally.unfinished,
    "deltas_per_second": lambda tally, watch: (
        tally.deltas / watch.seconds if watch.seconds else 0.0
    ),
}
SHARES: Final[dict[str, Callable[[LoadTally, OwnClock], float]]] = {
    "error_rate": lambda tally, _: (
        tally.total("failed") / tally.total("sent") if tally.total("sent") else 0.0
    ),
    "cpu": lambda _, watch: watch.cpu,
}


ThresholdUnit = Literal["ms", "share", ""]


class BadThreshold(ValueError):
    """What was given is no threshold; one line, for a person."""


class ThresholdReport(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold and what came of it.

    `unit` is `ms` for a duration, `share` (of 1) for a percentage, else empty. Without a `value`
    nothing was measured, and it has `failed`.
    """

    expression: str
    value: float | None
    unit: ThresholdUnit
    failed: bool


class Threshold(msgspec.Struct, frozen=True):
    """A figure, and what it must not be; `limit` in seconds, a share of 1, or a number."""

    expression: str
    name: str
    part: str
    operator: str
    limit: float

    def judge(self, tally: LoadTally, watch: OwnClock) -> ThresholdReport:
        """What came of it."""
        value = self._value(tally, watch)
        failed = value is None or OPERATORS[self.operator](value, self.limit)
        if value is not None:
            value = round(value * 1e3 if self._unit == "ms" else value, 6)
        return ThresholdReport(
            expression=self.expression, value=value, unit=self._unit, failed=failed
        )

    @property
    def _unit(self) -> ThresholdUnit:
        if self.name in DURATIONS and self.part != "count":
            return "ms"
        return "share" if self.name in SHARES else ""

    def _value(self, tally: LoadTally, watch: OwnClock) -> float | None:
        if self.name in DURATIONS:
            return _of_durations(tally, self.name, self.part)
        if self.name == "errors":
            return tally.errors[self.part] if self.part else tally.errors.total()
        if self.name in COUNTS:
            return tally.total(self.name)
        return (PLAIN | SHARES)[self.name](tally, watch)


def _of_durations(tally: LoadTally, name: str, part: str) -> float | None:
    durations = tally.durations[name]
    match part:
        case "count":
            return durations.count
        case "mean":
            return durations.mean()
        case "min":
            return durations.least if durations.count else None
        case "max":
            return durations.most if durations.count else None
    return durations.quantile(float(part[1:]) / 100)


def read_threshold(text: str) -> Threshold:
    """`first_delta.p99>200ms`, `errors>0`, `error_rate>1%`. Raises BadThreshold."""
    found = _LINE.fullmatch(text)
    if found is None:
        raise BadThreshold(f"{text!r} is no threshold: write it as first_delta.p99>200ms.")
    name, part = found["name"], found["part"] or ""
    _check_part(text, name, part)
    limit = float(found["value"]) * _factor(text, name, part, found["unit"])
    return Threshold(text.strip(), name, part, found["operator"], limit)


def _check_part(text: str, name: str, part: str) -> None:
    if name in DURATIONS:
        if not _PARTS.fullmatch(part):
            raise BadThreshold(f"{text!r}: say which, as {name}.p99, .mean, .max or .count.")
    elif name not in {"errors", *COUNTS, *PLAIN, *SHARES}:
        known = ", ".join((*DURATIONS, "errors", *COUNTS, *PLAIN, *SHARES))
        raise BadThreshold(f"{text!r}: no figure is called {name}. There are {known}.")
    elif part and name != "errors":
        raise BadThreshold(f"{text!r}: {name} has no parts.")


def _factor(text: str, name: str, part: str, unit: str) -> float:
    """What a number in this unit is multiplied with."""
    if name in DURATIONS and part != "count":
        if unit not in _SECONDS:
            raise BadThreshold(f"{text!r}: give a duration in us, ms or s.")
        return _SECONDS[unit]
    if unit == "%" and name in SHARES:
        return 0.01
    if unit:
        raise BadThreshold(f"{text!r}: {name} is not counted in {unit}.")
    return 1.0
