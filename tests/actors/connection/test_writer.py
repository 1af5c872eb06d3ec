"""The writer: a delta leaves in the task that appends it while nothing waits, else in order."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.connection.outbox import Outbox
from actors.connection.watch import Watch
from actors.connection.writer import ReadsTooSlowly, Writer
from actors.ports import SocketClosed
from actors.turn_log import TurnLog
from protocol.codec import JSON
from protocol.errors import Failure
from protocol.server import Pong
from protocol.turn import LONGEST_JOINED, Failed, Noticed, Reasoning, Text, TurnEvent
from tests.actors.fakes import FakeSocket

END = Failed(turn_id="turn_1", failure=Failure(code="LLM_ERROR", message=""), usage=None, cost=None)


class Desk:
    """A writer with a client, and the log of a turn that it watches."""

    def __init__(self) -> None:
        self.socket = FakeSocket()
        self.outbox = Outbox(8)
        self.ended: list[str] = []
        self.is_over = False
        self.writer = Writer(
            self.socket,
            JSON,
            self.outbox,
            write_seconds=10.0,
            says_notices=False,
            stream_ended=lambda watch: self.ended.append(watch.request_id),
        )

    def follow(self, log: TurnLog, after: int = -1) -> None:
        """Watch a turn."""
        cursor = log.open_cursor(self.writer.hear, after=after)
        self.writer.watch = Watch(cursor, "r1", cancel_when_gone=False)
        self.outbox.ring()

    async def fails(self, error: type[Exception]) -> None:
        """Write until this goes wrong."""
        with pytest.raises(error):
            await self.writer.run(lambda: self.is_over)

    def heard(self) -> list[str]:
        """What the client has got since the last time: the deltas' text, else the types."""
        frames: list[str] = []
        while True:
            try:
                frame = json.loads(self.socket.told.receive_nowait())
            except trio.WouldBlock:
                return frames
            frames.append(frame.get("delta", frame["type"]))


@asynccontextmanager
async def running(desk: Desk) -> AsyncIterator[None]:
    """The writer runs, and waits for something to do."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.writer.run, lambda: desk.is_over)
        await trio.testing.wait_all_tasks_blocked()
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def watching() -> AsyncIterator[tuple[Desk, TurnLog]]:
    """A writer that has nothing to do, and the turn that it watches."""
    desk, log = Desk(), TurnLog("turn_1")
    async with running(desk):
        desk.follow(log)
        await trio.testing.wait_all_tasks_blocked()
        yield desk, log


@pytest.mark.parametrize("kind", [lambda text: Text(text, "code"), Reasoning])
async def test_a_delta_has_left_when_it_is_appended(kind: Callable[[str], TurnEvent]) -> None:
    """No task is switched, and the writer is not woken for it."""
    async with watching() as (desk, log):
        for text in ("one", "two"):
            log.append(kind(text))
            assert desk.heard() == [text]
        assert desk.outbox.is_waited_for
        await trio.testing.wait_all_tasks_blocked()
        assert desk.heard() == []


@pytest.mark.parametrize(
    ("events", "frames"),
    [
        ([END], ["error"]),
        ([Text("a", "text"), Text("b", "text")], ["ab"]),
        ([Noticed(kind="retry", message="wait"), Text("a", "text")], ["a"]),
        ([Text("x" * (LONGEST_JOINED + 1), "text")], ["x" * (LONGEST_JOINED + 1)]),
    ],
)
async def test_all_else_is_the_writers_own_work(events: list[TurnEvent], frames: list[str]) -> None:
    """An end, several events at once, what this client has no word for, and what is large."""
    async with watching() as (desk, log):
        log.extend(events)
        assert desk.heard() == []
        await trio.testing.wait_all_tasks_blocked()
        assert desk.heard() == frames
        assert desk.ended == (["r1"] if log.finished else [])


async def test_a_message_that_waits_goes_before_a_later_delta() -> None:
    """The client gets both in the order in which they came about."""
    async with watching() as (desk, log):
        await desk.outbox.put(Pong(request_id="p"))
        log.append(Text("a", "text"))
        assert desk.heard() == []
        await trio.testing.wait_all_tasks_blocked()
        assert desk.heard() == ["pong", "a"]


async def test_while_a_client_is_behind_nothing_more_is_written_for_it() -> None:
    """What is appended meanwhile is joined; then each delta leaves at once again."""
    async with watching() as (desk, log):
        desk.socket.stop_reading()
        for text in ("a", "b", "c"):
            log.append(Text(text, "text"))
            await trio.testing.wait_all_tasks_blocked()
            assert (desk.writer.is_held_up, desk.heard()) == (True, [])
        desk.socket.read_on()
        await trio.testing.wait_all_tasks_blocked()
        assert (desk.writer.is_held_up, desk.heard()) == (False, ["a", "bc"])
        log.append(Text("d", "text"))
        assert desk.heard() == ["d"]


async def test_what_another_has_written_and_is_still_on_its_way_is_waited_for() -> None:
    """A pong, say: nothing of a turn is added to it but by the writer, which waits."""
    async with watching() as (desk, log):
        desk.socket.stop_reading()
        desk.socket.write(b'{"type":"the pong"}')
        for text in ("a", "b", "c"):
            log.append(Text(text, "text"))
        await trio.testing.wait_all_tasks_blocked()
        desk.socket.read_on()
        await trio.testing.wait_all_tasks_blocked()
        assert desk.heard() == ["the pong", "abc"]


async def test_a_frame_that_does_not_leave_in_time_ends_the_writing(
    autojump_clock: MockClock,
) -> None:
    """Also when the turn's own task began it."""
    desk, log = Desk(), TurnLog("turn_1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.fails, ReadsTooSlowly)
        desk.follow(log)
        await trio.testing.wait_all_tasks_blocked()
        desk.socket.stop_reading()
        log.append(Text("a", "text"))
    assert trio.current_time() == 10


@pytest.mark.parametrize("error", [SocketClosed(), ZeroDivisionError()])
async def test_what_goes_wrong_at_one_client_is_not_its_turns_trouble(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer's own task meets it; another client that watches the same turn notices nothing."""

    def fail(payload: bytes) -> None:
        raise error

    async with watching() as (other, log), trio.open_nursery() as nursery:
        desk = Desk()
        nursery.start_soon(desk.fails, type(error))
        desk.follow(log)
        await trio.testing.wait_all_tasks_blocked()
        monkeypatch.setattr(desk.socket, "write", fail)
        for text in ("a", "b"):
            log.append(Text(text, "text"))
            assert other.heard() == [text]


async def test_it_ends_when_all_is_over_and_written() -> None:
    """What came last is still written."""
    desk = Desk()
    async with running(desk):
        desk.is_over = True
        await desk.outbox.put(Pong(request_id="p"))
        await trio.testing.wait_all_tasks_blocked()
        assert desk.heard() == ["pong"]
        desk.outbox.ring()
        await trio.testing.wait_all_tasks_blocked()
        assert not desk.outbox.is_waited_for
