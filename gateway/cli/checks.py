"""What commands find out about this machine: a line each, with a word what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from gateway.cli.console import stdout
from gateway.cli.json_line import print_json
from gateway.cli.views.harmless import harmless

State = Literal["ok", "warn", "fail"]

_STYLES: Final[dict[State, str]] = {"ok": "green", "warn": "yellow", "fail": "bold red"}


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at: what was `found`, and what to do when that is not well."""

    name: str
    state: State
    found: str
    advice: str = ""


def report(checks: Sequence[Check], *, as_json: bool) -> bool:
    """Print the checks; whether none of them failed."""
    if as_json:
        print_json(checks)
    else:
        stdout().print(_lines(harmless(list(checks))))
    return all(check.state != "fail" for check in checks)


def _lines(checks: Sequence[Check]) -> RenderableType:
    shown = Table.grid(padding=(0, 2))
    shown.add_column(no_wrap=True)
    shown.add_column(no_wrap=True)
    shown.add_column(overflow="fold")
    for check in checks:
        words = " ".join(filter(None, [check.found, check.advice]))
        shown.add_row(Text(check.state, _STYLES[check.state]), check.name, Text(words))
    return shown
