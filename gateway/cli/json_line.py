"""JSON for programs: one line, valid whatever it holds and wherever it is written."""

from __future__ import annotations

import json
import math
import re
import sys
from decimal import Decimal
from typing import Any, Final

import click
import msgspec

from gateway.cli.streams import has_unicode, sound

_DRIVES: Final = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What JSON allows in a string and a terminal obeys."""

_BEYOND_ASCII: Final = re.compile("[^\x00-\x7e]")

_encoder = msgspec.json.Encoder(decimal_format="number")  # as the wire has it


def json_line(value: Any, encoding: str | None = "utf-8") -> str:
    """A value of the wire as it is sent, for a stream of this encoding.

    What JSON has no word for (RFC 8259, sections 6 and 8.2) is replaced: NaN and infinity by
    `null`, half a character by U+FFFD.
    """
    text = _encoder.encode(_valid(msgspec.to_builtins(value, builtin_types=[Decimal]))).decode()
    # Outside of strings JSON is ASCII, and no control: an escape can stand for each of these.
    kept_apart = _DRIVES if has_unicode(encoding) else _BEYOND_ASCII
    return kept_apart.sub(lambda found: json.dumps(found[0])[1:-1], text)


def print_json(value: Any) -> None:
    """One line on stdout."""
    click.echo(json_line(value, sys.stdout.encoding))


def _valid(value: Any) -> Any:
    match value:
        case str():
            return sound(value)
        case float() if not math.isfinite(value):
            return None
        case Decimal() if not value.is_finite():
            return None
        case list():
            return [_valid(item) for item in value]
        case dict():
            return {_valid(name): _valid(item) for name, item in value.items()}
        case _:
            return value
