"""What every test of the actors shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio


@pytest.fixture(autouse=True)
def threads_keep_the_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under `autojump_clock` what is for a thread is done at once.

    The clock jumps when all tasks wait, and does not see that one of them waits for a thread: on a
    busy machine the deadlines of a test would pass before the thread is done.
    """
    if "autojump_clock" in request.fixturenames:
        monkeypatch.setattr(trio.to_thread, "run_sync", _at_once)


async def _at_once(work: Callable[..., Any], *arguments: Any, **_: Any) -> Any:
    await trio.lowlevel.checkpoint()
    return work(*arguments)
