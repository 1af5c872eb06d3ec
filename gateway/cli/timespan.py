"""A length of time on the command line: `30`, `30s`, `5m`, `1h`, `200ms`."""

from __future__ import annotations

import re
from typing import Any, Final

import click

LONGEST_SECONDS: Final = 86_400.0

_UNITS: Final = {"ms": 1e-3, "": 1.0, "s": 1.0, "m": 60.0, "h": 3_600.0}
_TEXT: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)")


class Timespan(click.ParamType[float]):
    """Seconds, at most a day."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds; a number is some already."""
        if isinstance(value, float):
            return value
        found = _TEXT.fullmatch(str(value))
        seconds = float(found[1]) * _UNITS[found[2]] if found else -1.0
        if not 0 <= seconds <= LONGEST_SECONDS:
            self.fail(f"{value!r} is no time up to a day: write 30s, 5m or 1h.", param, ctx)
        return seconds
