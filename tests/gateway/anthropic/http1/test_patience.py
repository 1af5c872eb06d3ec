"""How long bytes are waited for."""

from __future__ import annotations

import httpx2
import pytest
import trio
from trio.testing import MockClock

from gateway.anthropic.http1.patience import Patience


async def test_it_ends_so_long_after_bytes_last_moved(autojump_clock: MockClock) -> None:
    """Give or take a second: it is not moved with each of them."""

    async def move() -> None:
        with Patience(10.0) as patience:
            for _ in range(100):
                await trio.sleep(0.5)
                patience.moved()
            await trio.sleep_forever()

    began = trio.current_time()
    with pytest.raises(httpx2.ReadTimeout):
        await move()
    assert 59.0 <= trio.current_time() - began <= 60.0


async def test_an_end_of_another_kind_is_let_through(autojump_clock: MockClock) -> None:
    """A fault, or a cancel from outside."""
    with pytest.raises(ZeroDivisionError), Patience(10.0):
        raise ZeroDivisionError
    with trio.move_on_after(1.0) as scope, Patience(10.0):
        await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_it_can_be_ended(autojump_clock: MockClock) -> None:
    """Whoever waits then has a deadline of its own."""
    with Patience(10.0) as patience:
        patience.end()
        await trio.sleep(1_000.0)
