"""The rows of turns as they are read.

Whatever stands in one, it is read: another program, a former gateway or a broken disk may have
written it. What is of the wrong type or out of range counts as not told, and enters no sum. The
statements are plain SQL, for pony gives up at the first value that it does not expect; it is
pony's `select` all the same, which takes no lock that a writer waits for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, TypeVar, get_args

import msgspec

from gateway.ledger.rows import FIGURES, TURN
from gateway.ledger.schema import MOST_PICO, from_pico
from protocol.context import SectionWeight
from protocol.records import (
    CalibrationRecord,
    ModelTotals,
    StepRecord,
    TurnRecord,
    TurnStatus,
    UsageTotals,
)
from protocol.usage import MOST_SUM, Cost, TokenCounts

log = logging.getLogger(__name__)

T = TypeVar("T")

_READ = f"SELECT {', '.join(TURN)} FROM Turn"  # noqa: S608 - all our own
_LEARNED = "WHERE status <> 'open' AND steps <> '[]' ORDER BY created_at DESC LIMIT $most"

_HALF = 2**32
"""Sums are made of both halves of a figure: of two rows alone the whole may exceed 64 bits."""

_SETTLED = "status <> 'open'"
_CLEAN = """
SELECT model, {figures},
  CASE WHEN {priced} THEN CAST(input_cost AS BIGINT) END AS input_cost,
  CASE WHEN {priced} THEN CAST(output_cost AS BIGINT) END AS output_cost,
  CASE WHEN {priced} AND cost_estimated THEN 1 END AS doubtful
FROM Turn WHERE {condition}
""".format(
    condition=f"{_SETTLED} AND NOT mixed",
    figures=", ".join(
        f"CASE WHEN {name} BETWEEN 0 AND {MOST_SUM} THEN CAST({name} AS BIGINT) ELSE 0 END "
        f"AS {name}"
        for name in FIGURES
    ),
    priced=f"input_cost BETWEEN 0 AND {MOST_PICO} AND output_cost BETWEEN 0 AND {MOST_PICO}",
)
_SUMMED = (*FIGURES, "input_cost", "output_cost")
_HALVES = ", ".join(
    f"COALESCE(SUM({name} / {_HALF}), 0), COALESCE(SUM({name} % {_HALF}), 0)" for name in _SUMMED
)
_TOTALS = f"""SELECT model, count(*), count(*) - count(input_cost), count(doubtful), {_HALVES}
FROM ({{clean}}) AS Clean GROUP BY model ORDER BY model
"""  # noqa: S608 - all our own

_steps = msgspec.json.Decoder(tuple[StepRecord, ...])
_weights = msgspec.json.Decoder(tuple[SectionWeight, ...])


def find(db: Any, session_id: str, turn_id: str) -> TurnRecord | None:
    """The session's turn."""
    keys = {"session_id": session_id, "turn_id": turn_id}
    rows = _rows(db, "WHERE turn_id = $turn_id AND session_id = $session_id", keys)
    return next((row.turn() for row in rows), None)


def open_ones(db: Any) -> list[TurnRecord]:
    """The turns that are not settled."""
    rows = [*_rows(db, "WHERE status = 'open'", {})]
    found = [row.turn() for row in rows]
    _complain(rows)
    return found


def samples(db: Any, most: int) -> list[CalibrationRecord]:
    """What there is to learn from the latest `most` requests, oldest first."""
    rows = [*_rows(db, _LEARNED, {"most": most})]
    found = [sample for row in reversed(rows) for sample in row.samples()]
    _complain(rows)
    return found[-most:]


def totals(db: Any, session_id: str | None, since: int | None, until: int | None) -> UsageTotals:
    """Sums of the settled turns, by model; and the turns that are of several models."""
    values = {"session_id": session_id, "since": since, "until": until}
    asked = "" if session_id is None else " AND session_id = $session_id"
    asked += "" if since is None else " AND created_at >= $since"
    asked += "" if until is None else " AND created_at < $until"
    sums = db.select(_TOTALS.format(clean=_CLEAN + asked), {}, values)
    mixed = _rows(db, f"WHERE {_SETTLED} AND mixed{asked} ORDER BY created_at", values)
    return UsageTotals(
        models=tuple(_total(*row) for row in sums), mixed=tuple(row.turn() for row in mixed)
    )


def _total(
    model: object, requests: int, unpriced: int, estimated: int, *halves: int
) -> ModelTotals:
    figures = [high * _HALF + low for high, low in zip(halves[::2], halves[1::2], strict=True)]
    *counts, input_cost, output_cost = figures
    return ModelTotals(
        model=str(model),
        counts=TokenCounts(**dict(zip(FIGURES, counts, strict=True))),
        cost=from_pico(input_cost) + from_pico(output_cost),
        requests=requests,
        unpriced=unpriced,
        estimated=estimated,
    )


def _rows(db: Any, where: str, values: dict[str, Any]) -> Iterator[_Row]:
    for row in db.select(f"{_READ} {where}", {}, values):
        yield _Row(dict(zip(TURN, row, strict=True)))


def _complain(rows: list[_Row]) -> None:
    """One line for all rows that hold what no gateway writes."""
    strange = [str(row.values["turn_id"]) for row in rows if not row.is_sound]
    if strange:
        log.warning(
            "the rows of %d turns hold what cannot be read, which counts as not told; one is %.64r",
            len(strange),
            strange[0],
        )


class _Row:
    """One row, read column by column; `is_sound` as long as all could be read."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self.is_sound = True

    def turn(self) -> TurnRecord:
        """The turn, as far as it can be read."""
        status = self.values["status"]
        return TurnRecord(
            turn_id=str(self.values["turn_id"]),
            session_id=str(self.values["session_id"]),
            request_id=str(self.values["request_id"]),
            model=str(self.values["model"]),
            status=status if status in get_args(TurnStatus) else self._strange("interrupted"),
            created_at=self._number("created_at", MOST_PICO) or 0,
            settled_at=self._number("settled_at", MOST_PICO),
            stop_reason=self._text("stop_reason"),
            error_code=self._text("error_code"),
            counted_tokens=self._number("counted_tokens") or 0,
            counts=TokenCounts(**{name: self._number(name) or 0 for name in FIGURES}),
            estimated=bool(self.values["estimated"]),
            cost=self._cost(),
            steps=self._steps(),
            token_estimate=self._number("token_estimate") or 0,
            cost_estimate=_dollars(self._number("cost_estimate", MOST_PICO)),
            weights=self._json("weights", _weights.decode),
        )

    def samples(self) -> list[CalibrationRecord]:
        """What there is to learn from the turn's requests."""
        model = str(self.values["model"])
        steps = [step for step in self._steps() if step.counted_tokens > 0]
        return [sample for step in steps if (sample := step.sample(model)) is not None]

    def _cost(self) -> Cost | None:
        paid = self._number("input_cost", MOST_PICO), self._number("output_cost", MOST_PICO)
        if paid[0] is None or paid[1] is None:
            return None
        return Cost(
            input_cost=from_pico(paid[0]),
            output_cost=from_pico(paid[1]),
            estimated=bool(self.values["cost_estimated"]),
        )

    def _steps(self) -> tuple[StepRecord, ...]:
        steps = self._json("steps", _steps.decode)
        return steps if all(step.counts.is_believable for step in steps) else self._strange(())

    def _number(self, name: str, most: int = MOST_SUM) -> int | None:
        value = self.values[name]
        if value is None or (isinstance(value, int) and 0 <= value <= most):
            return value
        return self._strange(None)

    def _text(self, name: str) -> str | None:
        value = self.values[name]
        return value if value is None or isinstance(value, str) else self._strange(None)

    def _json(self, name: str, decode: Callable[[str], tuple[T, ...]]) -> tuple[T, ...]:
        try:
            return decode(self.values[name])
        except (msgspec.DecodeError, UnicodeError, TypeError, RecursionError):
            return self._strange(())

    def _strange(self, instead: T) -> T:
        self.is_sound = False
        return instead


def _dollars(pico: int | None) -> Decimal | None:
    return None if pico is None else from_pico(pico)
