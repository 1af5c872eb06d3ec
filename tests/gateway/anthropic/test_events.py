"""The events of one answer, as the turn gets them from the bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx2
import pytest
import trio

from gateway.anthropic.events import AT_ONCE, Events

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
NEWS = b'event: news\ndata: {"type":"news"}\n\n'


async def at_once(chunk: bytes) -> AsyncGenerator[bytes]:
    """A body that comes with one read."""
    yield chunk


@pytest.mark.parametrize("event", [PING, NEWS])
async def test_many_events_of_one_read_leave_room_for_other_tasks(event: bytes) -> None:
    """A read of 64 KB may bring 1,700 of them: every other client would wait for all."""
    request = httpx2.Request("POST", "http://127.0.0.1/v1/messages")
    body = at_once(event * 1_000)
    events = Events(body, httpx2.Response(200, request=request))
    rests = longest = taken = 0

    async def another(task_status: trio.TaskStatus[None]) -> None:
        nonlocal rests
        task_status.started()
        while True:
            rests += 1
            await trio.lowlevel.checkpoint()

    async with aclosing(body), trio.open_nursery() as nursery:
        await nursery.start(another)
        before = rests
        for _ in range(1_000):
            await anext(events)
            taken = taken + 1 if rests == before else 1
            before, longest = rests, max(longest, taken)
        nursery.cancel_scope.cancel()
    assert longest <= 2 * AT_ONCE, "of two tasks that rest, either may come first"
