"""What a server tells without being asked is dropped where it enters, and limited."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from gateway.mcp.bounded import SMALL
from gateway.mcp.http import _event
from gateway.mcp.notices import CHANGED, NOTICES_AT_ONCE, NOTICES_PER_SECOND, Notices


def told(method: str, **fields: Any) -> bytes:
    """A notification."""
    return json.dumps({"jsonrpc": "2.0", "method": method, **fields}).encode()


def nothing() -> None:
    """Nobody looks at the tools."""


@pytest.mark.parametrize("method", ["message", "progress", "resources/updated", "no/such-thing"])
async def test_what_nobody_needs_goes_no_further(method: str) -> None:
    """Of whatever kind it is."""
    assert await Notices(nothing).take(told(f"notifications/{method}"))


async def test_a_change_of_the_tools_is_a_reason_to_look_at_them() -> None:
    """However often it is told."""
    looks: list[int] = []
    notices = Notices(lambda: looks.append(1))
    for _ in range(3):
        assert await notices.take(told(CHANGED))
    assert len(looks) == 3


@pytest.mark.parametrize(
    "message",
    [
        told("notifications/cancelled", params={"requestId": 1}),
        told("notifications/subscriptions/acknowledged"),
        told("ping", id=1),
        told("notifications/message", id=None),
        told("notifications/message", params={"data": "x" * SMALL}),
        b'{"jsonrpc":"2.0","id":1,"result":{"method":"notifications/message"}}',
        b'{"method":5}',
        b'{"method":"notifications/mess',
        b'[{"method":"notifications/message"}]',
        b'{"method":"\\ud83d"}',
        b"",
    ],
)
async def test_everything_else_is_read_like_any_other_message(message: bytes) -> None:
    """What the session needs, requests, answers, and what is large or broken."""
    assert not await Notices(nothing).take(message)


async def test_a_server_that_tells_more_and_more_has_to_wait(autojump_clock: MockClock) -> None:
    """After a burst, which is for free."""
    notices, noise = Notices(nothing), told("notifications/message")
    for _ in range(NOTICES_AT_ONCE):
        await notices.take(noise)
    assert trio.current_time() == 0
    for _ in range(2 * NOTICES_PER_SECOND):
        await notices.take(noise)
    assert 1.9 < trio.current_time() < 2.1


@pytest.mark.parametrize(
    ("named", "left"), [(b"", b""), (b"id: 7\nretry: 5\n", b"id: 7\ndata:\n\n")]
)
async def test_of_an_event_that_nobody_needs_its_id_is_left(named: bytes, left: bytes) -> None:
    """A stream that breaks is taken up again after it."""
    event = b"event: message\n" + named + b"data: " + told(CHANGED) + b"\n\n"
    assert await _event(event, Notices(nothing)) == left
