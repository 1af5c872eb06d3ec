"""How many files, and so connections, a process may have open."""

from __future__ import annotations

import resource
from typing import Final

WANTED: Final = 32_768
"""For 10,000 clients: a gateway keeps two for each, one of them for its stream."""


def raised_limit() -> int:
    """The limit of this process and its children, raised as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limits in ((WANTED, max(WANTED, hard)), (min(WANTED, hard), hard)):
        if soft >= WANTED:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        except (OSError, ValueError):
            continue
        break
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
