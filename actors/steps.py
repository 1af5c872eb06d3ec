"""Work of many small steps, between which the loop is free for others."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

import trio

Result = TypeVar("Result")


async def in_steps(steps: Generator[None, None, Result]) -> Result:
    """The result of `steps`; after each of them everybody else has a turn."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: Result = done.value
            return result
        await trio.lowlevel.checkpoint()
