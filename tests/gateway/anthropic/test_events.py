"""The events of one answer, as the turn gets them from the bytes."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest
import trio

from gateway.anthropic.events import AT_ONCE, Events
from protocol.provider.decoding import LONGEST_TEXT
from protocol.provider.events import (
    ContentBlockDelta,
    MalformedEvent,
    MessageStop,
    ProviderPing,
    TextDelta,
)
from tests.answers import next_of

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
LONGEST = 1 << 20
NEWS = b'event: news\ndata: {"type":"news"}\n\n'


class AtOnce:
    """A body that comes with one read."""

    def __init__(self, chunk: bytes) -> None:
        self._chunks = [chunk]

    @property
    def is_whole(self) -> bool:
        """See `Pieces`."""
        return not self._chunks

    async def each(self, take: Callable[[bytes], bool]) -> bool:
        """See `Pieces`."""
        await trio.lowlevel.checkpoint()
        return bool(self._chunks) and take(self._chunks.pop())


def events_in(chunk: bytes) -> Events:
    """The events of a body that comes with one read."""
    request = httpx2.Request("POST", "http://127.0.0.1/v1/messages")
    return Events(AtOnce(chunk), request, None, longest=LONGEST)


@pytest.mark.parametrize("event", [PING, NEWS])
async def test_many_events_of_one_read_leave_room_for_other_tasks(event: bytes) -> None:
    """A read of 64 KB may bring 1,700 of them: every other client would wait for all."""
    events = events_in(event * 1_000)
    rests = longest = taken = came = 0

    async def another(task_status: trio.TaskStatus[None]) -> None:
        nonlocal rests
        task_status.started()
        while True:
            rests += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        await nursery.start(another)
        before = rests
        while came < 1_000:
            batch = len(await next_of(events))
            came += batch
            taken = taken + batch if rests == before else batch
            before, longest = rests, max(longest, taken)
        nursery.cancel_scope.cancel()
    assert longest <= 2 * AT_ONCE, "of two tasks that rest, either may come first"


def delta(text: str) -> bytes:
    """An event that brings a text."""
    told = '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%s"}}'
    return b"data: " + (told % text).encode() + b"\n\n"


async def test_the_texts_of_one_read_are_one() -> None:
    """A stream that is written faster than it is read costs one pass a read."""
    events = events_in(delta("a") + delta("b") + PING + delta("c"))
    batch = await next_of(events)
    assert batch == [text("ab"), ProviderPing(), text("c")]


async def test_what_came_before_a_broken_event_is_told_first() -> None:
    """Then the fault is, once and again."""
    events = events_in(delta("a") + b"data: {\n\n" + delta("b"))
    assert await next_of(events) == [text("a")]
    for _ in range(2):
        with pytest.raises(MalformedEvent):
            await next_of(events)


async def test_nothing_follows_the_end_in_its_batch() -> None:
    """Whoever takes the batch need not look for it but at the end."""
    events = events_in(delta("a") + b'data: {"type":"message_stop"}\n\n' + PING)
    assert await next_of(events) == [text("a"), MessageStop()]
    assert await next_of(events) == [ProviderPing()]


async def test_a_long_text_comes_in_pieces_in_its_place() -> None:
    """Each piece is a batch, and what was small before and after it is not mixed with it."""
    long = "x" * 10_000
    events = events_in(delta("a") + delta(long) + delta("b"))
    batches = []
    while batch := await next_of(events):
        batches.append(batch)
    texts = [event.delta.text for [event] in batches]  # type: ignore[union-attr]
    assert (texts[0], "".join(texts[1:-1]), texts[-1]) == ("a", long, "b")
    assert max(map(len, texts)) <= LONGEST_TEXT


def text(piece: str) -> ContentBlockDelta:
    """The event that brings this text."""
    return ContentBlockDelta(0, TextDelta(piece))
