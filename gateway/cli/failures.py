"""How a failure is told: a line on stderr, and for a program (`--json`) an object on stdout."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import click

from gateway.cli.json_line import print_json
from gateway.cli.options import BAD_USAGE, Stop


def tell_failure(error: click.ClickException, *, as_json: bool) -> None:
    """Say what went wrong.

    The object has the form of the wire's `error`. Where both streams end up in one place, a
    terminal or a file, the object alone is there.
    """
    if not as_json or not share_a_file():
        error.show()
    if as_json and not (isinstance(error, Stop) and error.answered):
        print_json(_as_error(error))


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for JSON, be it one that no command understands."""
    return "--json" in takewhile(lambda argument: argument != "--", arguments)


def share_a_file() -> bool:
    """Whether stdout and stderr are one terminal, pipe or file."""
    return os.path.sameopenfile(1, 2)


def _as_error(error: click.ClickException) -> Any:
    if not isinstance(error, Stop):
        return _error(BAD_USAGE, error.format_message())
    return error.answer or _error(error.code, error.message, retryable=error.retryable)


def _error(code: str, message: str, *, retryable: bool = False) -> dict[str, Any]:
    return {"type": "error", "code": code, "message": message, "retryable": retryable}
