"""The terminal, as the environment describes it."""

from __future__ import annotations

import os
import sys

from rich.console import Console


def stdout() -> Console:
    """What rich prints to; it obeys NO_COLOR, TERM, COLUMNS and pipes by itself."""
    return Console(highlight=False, soft_wrap=False)


def stderr() -> Console:
    """For what is not the result."""
    return Console(stderr=True, highlight=False)


def can_type() -> bool:
    """Whether stdin is a terminal; a closed one is none."""
    return sys.stdin is not None and sys.stdin.isatty()


def is_interactive() -> bool:
    """Whether a person reads and types, on a terminal that can move its cursor."""
    dumb = os.environ.get("TERM", "").lower() in {"dumb", "unknown", ""}
    return can_type() and sys.stdout.isatty() and not dumb
