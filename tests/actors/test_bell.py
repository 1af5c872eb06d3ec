"""A bell wakes the one task that waits for it, and is heard once."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from actors.bell import Bell


async def test_a_bell_wakes_whoever_waits() -> None:
    """However often it is rung, it is heard once."""
    bell, heard = Bell(), 0

    async def listen() -> None:
        nonlocal heard
        while True:
            await bell.wait()
            heard += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await trio.testing.wait_all_tasks_blocked()
        assert heard == 0
        for _ in range(3):
            bell.ring()
        await trio.testing.wait_all_tasks_blocked()
        assert heard == 1
        bell.ring()
        await trio.testing.wait_all_tasks_blocked()
        assert heard == 2
        nursery.cancel_scope.cancel()


async def test_a_bell_that_was_rung_before_is_heard_at_once() -> None:
    """And then not again."""
    bell = Bell()
    bell.ring()
    await bell.wait()
    with trio.move_on_after(0) as patience:
        await bell.wait()
    assert patience.cancelled_caught


async def test_whoever_gave_up_is_not_woken() -> None:
    """The next one hears what was rung meanwhile."""
    bell = Bell()
    with trio.move_on_after(0):
        await bell.wait()
    bell.ring()
    await bell.wait()


async def test_a_bell_has_one_listener() -> None:
    """A second one is a mistake, and not a task that nobody wakes."""
    bell = Bell()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bell.wait)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(AssertionError):
            await bell.wait()
        bell.ring()
