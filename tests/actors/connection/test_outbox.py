"""The outbox: bounded, in order, and a bell that is never missed."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from actors.connection.outbox import Outbox
from protocol.server import Pong


def pong(number: int) -> Pong:
    """A message to put in."""
    return Pong(request_id=str(number))


async def test_messages_come_out_in_order() -> None:
    """First in, first out."""
    outbox = Outbox(3)
    for number in range(3):
        await outbox.put(pong(number))
    assert [outbox.take() for _ in range(len(outbox))] == [pong(0), pong(1), pong(2)]


async def test_a_full_outbox_makes_whoever_puts_wait() -> None:
    """Each message taken out makes space for one."""
    outbox = Outbox(1)
    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(outbox.put, pong(number))
        for _ in range(3):
            await trio.testing.wait_all_tasks_blocked()
            assert len(outbox) == 1
            outbox.take()
    assert len(outbox) == 0


async def test_whoever_needs_it_empty_waits_for_the_last_message() -> None:
    """An empty one is not waited for."""
    outbox = Outbox(2)
    await outbox.empty()
    for number in range(2):
        await outbox.put(pong(number))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.empty)
        for _ in range(2):
            await trio.testing.wait_all_tasks_blocked()
            assert nursery.child_tasks
            outbox.take()
        await trio.testing.wait_all_tasks_blocked()
        assert not nursery.child_tasks


@pytest.mark.parametrize("rings", [1, 5])
async def test_the_bell_is_heard_once(rings: int) -> None:
    """However often it was rung, and also when it was rung before anybody listened."""
    outbox = Outbox(1)
    for _ in range(rings):
        outbox.ring()
    await outbox.wait()
    with trio.move_on_after(0) as patience:
        await outbox.wait()
    assert patience.cancelled_caught


async def test_the_bell_wakes_who_waits() -> None:
    """A message rings it too."""
    outbox = Outbox(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.wait)
        await trio.testing.wait_all_tasks_blocked()
        await outbox.put(pong(1))
