"""Gives memory back to the system once nearly all of many clients have gone.

Problem: CPython takes memory by the megabyte, and gives a megabyte back when nothing in it is used.
A client's objects are mixed with all others, so a few that stay keep most of what the clients took.
CPython itself keeps such objects: thousands of freed tuples, to use them again, and a string in its
cache of methods for many an ExceptionGroup that was split, of which each client's end makes one.
Trick: a full collection drops the former, and the cache can be cleared.
Limits: a collection holds the loop for about 50 us for each client that is left, and each of these
keeps a megabyte or so. So it is made when very few are left, and once more when these have gone.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Final

MANY: Final = 25
"""Clients; what fewer took is not worth a collection."""

PART: Final = 250
"""Nearly all have gone when at most one in so many is left."""

# CPython 3.13 has renamed it.
_clear_caches: Callable[[], None] = (
    getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache
)


class Footprint:
    """Is told how many clients there are, and gives back what those have left that went."""

    def __init__(self) -> None:
        self._most = 0

    def note(self, clients: int) -> None:
        """So many are here now. Where nearly all have gone, the loop is held for some ms."""
        self._most = max(self._most, clients)
        # While the gateway still loads, the collector rests: it would have too much to look at.
        if self._most >= MANY and clients * PART <= self._most and gc.isenabled():
            self._most = clients
            gc.collect()
            _clear_caches()
