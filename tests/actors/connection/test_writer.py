"""The writer: what is short leaves in the task that appends it, while nothing waits before it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.connection.watch import Watch
from actors.connection.writer import IN_A_ROW, ReadsTooSlowly, Writer
from actors.ports import SocketClosed
from actors.turn_log import TurnLog
from protocol.codec import JSON
from protocol.errors import Failure
from protocol.server import Pong
from protocol.turn import (
    LONGEST_JOINED,
    Failed,
    Noticed,
    Reasoning,
    SourceFound,
    Started,
    Text,
    ToolCalled,
    TurnEvent,
)
from tests.actors.fakes import FakeSocket

STARTED = Started(session_id="s", model="m", turn_id="turn_1", new_session_key="key")
END = Failed(turn_id="turn_1", failure=Failure(code="LLM_ERROR", message=""), usage=None, cost=None)


class Desk:
    """A writer with a client, and the log of a turn that it watches."""

    def __init__(self, nursery: trio.Nursery, *, is_open: bool = True) -> None:
        self.socket = FakeSocket()
        self.ended: list[str] = []
        self.runs = 0
        self.failures: list[Exception] = []
        self._nursery = nursery
        self.writer = Writer(
            self.socket,
            JSON,
            outbox_size=2,
            write_seconds=10.0,
            says_notices=False,
        )
        if is_open:
            self.writer.open(self)

    def stream_ended(self, watch: Watch) -> None:
        """See `WriterOwner`."""
        self.ended.append(watch.request_id)

    def begin_writing(self) -> None:
        """See `WriterOwner`."""
        self.runs += 1
        self._nursery.start_soon(self._run)

    async def _run(self) -> None:
        try:
            await self.writer.run()
        except Exception as error:  # noqa: BLE001 - a test looks at it
            self.failures.append(error)

    async def follow(self, log: TurnLog, after: int = -1) -> None:
        """Watch a turn, from here on with nothing to do."""
        cursor = log.open_cursor(self.writer.hear, after=after)
        self.writer.watch = Watch(cursor, "r1", cancel_when_gone=False)
        self.writer.ring()
        await trio.testing.wait_all_tasks_blocked()
        self.runs = 0

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
async def watching() -> AsyncIterator[tuple[Desk, TurnLog]]:
    """A writer that has nothing to do, and the turn that it watches."""
    log = TurnLog("turn_1")
    async with trio.open_nursery() as nursery:
        desk = Desk(nursery)
        await desk.follow(log)
        yield desk, log


@pytest.mark.parametrize("kind", [lambda text: Text(text, "code"), Reasoning])
async def test_a_delta_has_left_when_it_is_appended(kind: Callable[[str], TurnEvent]) -> None:
    """No task has anything to do with it."""
    async with watching() as (desk, log):
        for text in ("one", "two"):
            log.append(kind(text))
            assert desk.heard() == [text]
        assert desk.runs == 0


async def test_the_end_has_left_when_it_is_appended() -> None:
    """So has what else is short; and what this client has no word for is passed over."""
    async with watching() as (desk, log):
        for event, frames in (
            (STARTED, ["session.created", "chat.stream.start"]),
            (SourceFound("https://example.org", None), ["chat.stream.source"]),
            (Noticed(kind="retry", message="wait"), []),
            (Text("a", "text"), ["a"]),
            (END, ["error"]),
        ):
            log.append(event)
            assert desk.heard() == frames
        assert (desk.ended, desk.runs, log.watchers) == (["r1"], 0, 0)


async def test_an_end_that_cannot_be_written_is_the_writers_own_trouble() -> None:
    """It is not taken for told: the writer's task meets it again."""
    async with watching() as (desk, log):
        desk.socket.leave()
        log.append(END)
        assert desk.ended == []
        await trio.testing.wait_all_tasks_blocked()
        assert [type(error) for error in desk.failures] == [SocketClosed]


async def test_the_tail_of_an_end_is_waited_for() -> None:
    """It counts as told, and the writer's task sees to it that it leaves."""
    async with watching() as (desk, log):
        desk.socket.stop_reading()
        log.append(END)
        assert (desk.ended, desk.heard()) == (["r1"], [])
        await trio.testing.wait_all_tasks_blocked()
        desk.socket.read_on()
        await trio.testing.wait_all_tasks_blocked()
        assert (desk.heard(), desk.runs, desk.writer.is_held_up) == (["error"], 1, False)


@pytest.mark.parametrize(
    ("events", "frames"),
    [
        ([ToolCalled("t", "look", {}, client_side=False)], ["tool.call"]),
        ([Text("a", "text"), Text("b", "text")], ["ab"]),
        ([Noticed(kind="retry", message="wait"), Text("a", "text")], ["a"]),
        ([Text("x" * (LONGEST_JOINED + 1), "text")], ["x" * (LONGEST_JOINED + 1)]),
        ([Text("a", "text"), END], ["a", "error"]),
    ],
)
async def test_all_else_is_the_writers_own_work(events: list[TurnEvent], frames: list[str]) -> None:
    """What tools do, several events at once, and what is large."""
    async with watching() as (desk, log):
        log.extend(events)
        assert desk.heard() == []
        await trio.testing.wait_all_tasks_blocked()
        assert desk.heard() == frames
        assert desk.ended == (["r1"] if log.finished else [])


async def test_others_have_a_turn_while_many_frames_are_written() -> None:
    """A client that resumes may be owed thousands."""
    log = TurnLog("turn_1")
    for number in range(IN_A_ROW * 6):
        log.append(SourceFound(f"https://example.org/{number}", None))
    async with trio.open_nursery() as nursery:
        desk = Desk(nursery)
        cursor = log.open_cursor(desk.writer.hear)
        desk.writer.watch = Watch(cursor, "r1", cancel_when_gone=False)
        desk.writer.ring()
        heard: list[int] = []
        while sum(heard) < len(log.events):
            await trio.lowlevel.checkpoint()
            heard.append(len(desk.heard()))
        assert max(heard) <= 2 * IN_A_ROW  # in one pass it may come first, in the next one last


async def test_a_message_that_waits_goes_before_a_later_delta() -> None:
    """The client gets both in the order in which they came about."""
    async with watching() as (desk, log):
        await desk.writer.put(Pong(request_id="p"))
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
    """A pong, say: one delta goes in line after it, and the writer waits with the rest."""
    async with watching() as (desk, log):
        desk.socket.stop_reading()
        desk.socket.write(b'{"type":"the pong"}')
        for text in ("a", "b", "c"):
            log.append(Text(text, "text"))
        await trio.testing.wait_all_tasks_blocked()
        desk.socket.read_on()
        await trio.testing.wait_all_tasks_blocked()
        assert desk.heard() == ["the pong", "a", "bc"]


async def test_a_frame_that_does_not_leave_in_time_ends_the_writing(
    autojump_clock: MockClock,
) -> None:
    """Also when the turn's own task began it."""
    async with watching() as (desk, log):
        desk.socket.stop_reading()
        log.append(Text("a", "text"))
        await trio.sleep(60)
        assert [type(error) for error in desk.failures] == [ReadsTooSlowly]
    assert desk.writer.is_held_up


@pytest.mark.parametrize("error", [SocketClosed(), ZeroDivisionError()])
async def test_what_goes_wrong_at_one_client_is_not_its_turns_trouble(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer's own task meets it; another client that watches the same turn notices nothing."""

    def fail(payload: bytes) -> None:
        raise error

    async with watching() as (other, log), watching() as (desk, _):
        await desk.follow(log)
        monkeypatch.setattr(desk.socket, "write", fail)
        for text in ("a", "b"):
            log.append(Text(text, "text"))
            assert other.heard() == [text]
        await trio.testing.wait_all_tasks_blocked()
        assert desk.failures == [error]


async def test_a_message_that_finds_no_room_waits_for_it() -> None:
    """All come, in the order in which they were put."""
    async with watching() as (desk, _):
        desk.socket.stop_reading()
        async with trio.open_nursery() as nursery:

            async def put_all() -> None:
                for number in range(6):
                    await desk.writer.put(Pong(request_id=f"p{number}"))

            nursery.start_soon(put_all)
            await trio.testing.wait_all_tasks_blocked()
            assert desk.writer.waiting == 2
            desk.socket.read_on()
        await trio.testing.wait_all_tasks_blocked()
        assert (desk.heard(), desk.writer.waiting) == (["pong"] * 6, 0)


async def test_whoever_needs_it_empty_waits_for_the_last_message() -> None:
    """An empty one is not waited for."""
    async with watching() as (desk, _):
        await desk.writer.empty()
        desk.socket.stop_reading()
        for _ in range(2):
            await desk.writer.put(Pong(request_id="p"))
            await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.writer.empty)
            await trio.testing.wait_all_tasks_blocked()
            assert (desk.writer.waiting, len(nursery.child_tasks)) == (1, 1)
            desk.socket.read_on()


async def test_one_task_at_a_time_writes() -> None:
    """However often it is said that there is something to do."""
    async with watching() as (desk, log):
        for _ in range(3):
            desk.writer.ring()
        await desk.writer.put(Pong(request_id="p"))
        log.append(Text("a", "text"))
        await trio.testing.wait_all_tasks_blocked()
        assert (desk.heard(), desk.runs) == (["pong", "a"], 1)


async def test_no_task_begins_after_the_close() -> None:
    """It would begin in a nursery that has ended; the one that writes already goes on."""
    async with watching() as (desk, log):
        desk.socket.stop_reading()
        await desk.writer.put(Pong(request_id="p"))
        await trio.testing.wait_all_tasks_blocked()
        log.append(END)
        desk.writer.close()
        desk.socket.read_on()
        await trio.testing.wait_all_tasks_blocked()
        await desk.writer.put(Pong(request_id="q"))
        assert (desk.heard(), desk.ended, desk.runs) == (["pong", "error"], [], 1)


async def test_what_was_put_before_it_opened_is_written_then() -> None:
    """And not before."""
    async with trio.open_nursery() as nursery:
        desk = Desk(nursery, is_open=False)
        await desk.writer.put(Pong(request_id="p"))
        assert desk.runs == 0
        desk.writer.open(desk)
        await trio.testing.wait_all_tasks_blocked()
        assert desk.heard() == ["pong"]


async def test_all_who_wait_until_nothing_is_left_are_told_together() -> None:
    """However many they are, and not before the last message has been taken."""
    told: list[str] = []

    async def wait_as(name: str) -> None:
        await desk.writer.empty()
        told.append(name)

    async with trio.open_nursery() as nursery:
        desk = Desk(nursery, is_open=False)
        await desk.writer.put(Pong(request_id="p"))
        nursery.start_soon(wait_as, "one")
        nursery.start_soon(wait_as, "other")
        await trio.testing.wait_all_tasks_blocked()
        assert told == []
        desk.writer.open(desk)
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(told) == ["one", "other"]
