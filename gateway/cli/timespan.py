"""A length of time on the command line: `30`, `30s`, `5m`, `1h`, `200ms`."""

from __future__ import annotations

import re
from typing import Final

import click

LONGEST_SECONDS: Final = 86_400.0

_UNITS: Final = {"ms": 1e-3, "": 1.0, "s": 1.0, "m": 60.0, "h": 3_600.0}
_TEXT: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)")


def timespan(text: str) -> float:
    """The seconds of an option's value, at most a day. Raises BadParameter."""
    found = _TEXT.fullmatch(text)
    seconds = float(found[1]) * _UNITS[found[2]] if found else -1.0
    if not 0 <= seconds <= LONGEST_SECONDS:
        raise click.BadParameter(f"{text!r} is no time up to a day: write 30s, 5m or 1h.")
    return seconds
