"""The process that started this one, and holds its stdin."""

from __future__ import annotations

import os
from contextlib import suppress

import trio


async def wait_for_eof() -> None:
    """Until stdin ends: the parent holds it, and when it dies, however it dies, it ends."""
    with suppress(OSError):  # it was closed from the start
        while await trio.to_thread.run_sync(os.read, 0, 4096, abandon_on_cancel=True):
            pass
