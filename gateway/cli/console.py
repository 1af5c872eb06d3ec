"""The terminal, as the environment describes it."""

from __future__ import annotations

import os
import sys

from rich.console import Console

from gateway.cli.streams import has_unicode


def stdout() -> Console:
    """What rich prints to; it obeys NO_COLOR, TERM, COLUMNS and pipes by itself."""
    return _console(to_stderr=False)


def stderr() -> Console:
    """For what is not the result."""
    return _console(to_stderr=True)


def _console(*, to_stderr: bool) -> Console:
    """Texts are shown as they are: what a model, a tool or a file names may look like markup."""
    return Console(
        stderr=to_stderr,
        color_system=None if is_dumb() else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )


def is_dumb() -> bool:
    """Whether the terminal can do nothing but write lines. Windows describes none."""
    kind = os.environ.get("TERM", "" if sys.platform != "win32" else "windows")
    return kind.lower() in {"dumb", "unknown", ""}


def can_draw(console: Console) -> bool:
    """Whether a text that grows can be drawn again in its place.

    Where characters are spelled, a line is longer than it was measured.
    """
    return console.is_terminal and not is_dumb() and has_unicode(console.encoding)


def can_type() -> bool:
    """Whether stdin is a terminal; a closed one is none."""
    return sys.stdin is not None and sys.stdin.isatty()


def is_interactive() -> bool:
    """Whether a person reads and types, on a terminal that can move its cursor."""
    return can_type() and sys.stdout.isatty() and not is_dumb()
