"""The rounds: each member at its own time, from one task."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from weakref import ref

import trio
import trio.testing
from trio.testing import MockClock

from actors.connection.rounds import Rounds


class Diary:
    """Who was called, and when."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, str]] = []

    def member(self, name: str) -> Callable[[], None]:
        """One who writes down when it is called."""
        return lambda: self.calls.append((trio.current_time(), name))


@asynccontextmanager
async def made(rounds: Rounds) -> AsyncIterator[None]:
    """The time in which somebody makes the rounds."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rounds.run)
        yield
        nursery.cancel_scope.cancel()


async def test_each_is_called_in_its_own_time(autojump_clock: MockClock) -> None:
    """So long after it joined, and again so long after that."""
    rounds, diary = Rounds(20), Diary()
    async with made(rounds):
        await trio.sleep(1)
        rounds.join(diary.member("a"))
        await trio.sleep(5)
        rounds.join(diary.member("b"))
        await trio.sleep(45)
    assert diary.calls == [(21, "a"), (26, "b"), (41, "a"), (46, "b")]


async def test_who_has_left_is_called_no_more(autojump_clock: MockClock) -> None:
    """Also when it was the next, and when nobody is left for a while."""
    rounds, diary = Rounds(20), Diary()
    members = {name: diary.member(name) for name in "abc"}
    async with made(rounds):
        for name in "ab":
            rounds.join(members[name])
        await trio.sleep(10)
        rounds.leave(members["a"])
        await trio.sleep(15)
        rounds.leave(members["b"])
        await trio.sleep(100)
        rounds.join(members["c"])
        await trio.sleep(20.5)
    assert diary.calls == [(20, "b"), (145, "c")]


async def test_who_comes_after_one_that_has_left_is_not_called_early(
    autojump_clock: MockClock,
) -> None:
    """The rounds wait for the first, and find another when its time has come."""
    rounds, diary = Rounds(20), Diary()
    first = diary.member("a")
    async with made(rounds):
        rounds.join(first)
        await trio.sleep(5)
        rounds.join(diary.member("b"))
        rounds.leave(first)
        await trio.sleep(25)
    assert diary.calls == [(25, "b")]


async def test_who_has_left_is_not_kept_alive(autojump_clock: MockClock) -> None:
    """Not even the one that the rounds have waited for since."""
    rounds = Rounds(20)
    member = Diary().member("a")
    alive = ref(member)
    async with made(rounds):
        rounds.join(member)
        await trio.testing.wait_all_tasks_blocked()
        rounds.leave(member)
        del member
        assert alive() is None
