"""How many connections the system lets the gateway hold: each takes a file descriptor, its stream
from the provider a second one.

A process without descriptors takes no connection, not even a probe's: it looks dead. Many systems
begin with 1,024 of them and allow far more to whoever asks, as Go's programs do by themselves
(golang/go#46279).
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Final

if sys.platform != "win32":
    import resource

log = logging.getLogger(__name__)

RESERVED: Final = 384
"""Descriptors for all else: files, MCP servers, and those who have not said yet what they want."""

EACH: Final = 2
PERIOD_SECONDS: Final = 60.0


def connections_for(wanted: int) -> int:
    """How many of the `wanted` connections there can be, with as many descriptors as we can get."""
    limit = _raised_limit()
    if limit is None:
        return wanted
    return bounded(wanted, limit)


def tell_if_fewer(wanted: int, most: int) -> None:
    """Log that there can be at most so many connections, when that is fewer than `wanted`."""
    if most < wanted:
        log.info(
            "at most %d clients are let in, instead of the %d of max_connections: the system gives "
            "no more file descriptors (ulimit -n)",
            most,
            wanted,
        )


def bounded(wanted: int, limit: int) -> int:
    """How many of the `wanted` connections fit into `limit` descriptors; one at least."""
    return max(1, min(wanted, (limit - RESERVED) // EACH))


def _raised_limit() -> int | None:
    """The limit of open files, raised as far as it may be; `None` where there is none."""
    if sys.platform == "win32":
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        return soft  # some systems name a hard limit that they do not give
    return None if hard == resource.RLIM_INFINITY else hard


class Sparing(logging.Filter):
    """Lets a line through once a minute, and without its traceback.

    trio tells ten times a second that there is no descriptor left.
    """

    def __init__(self) -> None:
        super().__init__()
        self._next = -float("inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is logged."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + PERIOD_SECONDS
        record.exc_info = None
        return True


logging.getLogger("trio.serve_listeners").addFilter(Sparing())
