"""Sessions in memory: bounded, locked, and the same as what is stored."""

from __future__ import annotations

import msgspec
import pytest
import trio
import trio.testing

from actors.context.history import EMPTY_SESSION, History, Sessions
from protocol.errors import GatewayError
from protocol.provider.content import Role
from protocol.records import MessageRecord, MessageStatus, SessionRecord
from tests.actors.fakes import FakeStore


def session(name: str, *, system: str | None = None, tools: bytes | None = None) -> SessionRecord:
    """A session."""
    return SessionRecord(
        session_id=name,
        agent_id="default",
        model="m",
        system=system,
        tools=tools,
        title=None,
        created_at=1,
        last_active_at=1,
    )


def message(name: str, size: int = 1_000) -> MessageRecord:
    """A message of `size` bytes in the session `name`."""
    return MessageRecord(
        session_id=name,
        turn_id="turn_1",
        role="user",
        content=b"x" * size,
        status="complete",
        created_at=1,
        byte_count=size,
        token_count=1,
    )


def said(turn: str, role: Role, status: MessageStatus = "complete") -> MessageRecord:
    """A message of a turn."""
    return msgspec.structs.replace(message("a"), turn_id=turn, role=role, status=status)


def test_a_turn_goes_upstream_once_it_has_an_answer() -> None:
    """All of its messages, in their order, whatever came between; a broken answer is one."""
    history = History(
        [
            *(said("1", "user"), said("2", "user"), said("3", "user")),
            *(said("1", "assistant"), said("1", "user"), said("3", "assistant", "partial")),
        ]
    )
    assert [[m.role for m in turn] for turn in history.answered()] == [
        ["user", "assistant", "user"],
        ["user", "assistant"],
    ]
    assert [history.has_answer(turn) for turn in "1234"] == [True, False, True, False]


def test_a_refused_turn_has_an_answer_and_stays_here() -> None:
    """The model is not asked again what it would not answer."""
    history = History([said("1", "user"), said("1", "assistant", "refused")])
    assert (history.answered(), history.has_answer("1")) == ([], True)


class Shelf:
    """Sessions above a store, and which of them have been loaded."""

    def __init__(self, keep_bytes: int, **sessions: int) -> None:
        self.store = FakeStore()
        for name, size in sessions.items():
            self.store.sessions[name] = session(name)
            self.store.messages.append(message(name, size))
        self.sessions = Sessions(self.store, keep_bytes=keep_bytes)

    async def loads(self, name: str) -> bool:
        """Use a session; whether it had to be loaded."""
        before = self.store.calls.count("load_session")
        async with self.sessions.open(name):
            return self.store.calls.count("load_session") > before


ROOM_FOR_TWO = 2 * (EMPTY_SESSION + 1_000)


async def test_a_session_is_loaded_once() -> None:
    """Then it is in memory."""
    shelf = Shelf(ROOM_FOR_TWO, a=1_000)
    assert [await shelf.loads("a") for _ in range(2)] == [True, False]


async def test_the_least_recently_used_goes_first() -> None:
    """And is loaded again when it is asked for."""
    shelf = Shelf(ROOM_FOR_TWO, a=1_000, b=1_000, c=1_000)
    assert [await shelf.loads(name) for name in "abac"] == [True, True, False, True]
    assert not await shelf.loads("a")
    assert await shelf.loads("b")


async def test_sessions_without_messages_are_bounded_too() -> None:
    """Else a client could make any number of them."""
    shelf = Shelf(2 * EMPTY_SESSION, a=0, b=0, c=0)
    assert [await shelf.loads(name) for name in "abca"] == [True] * 4


async def test_system_prompts_and_tools_count() -> None:
    """They may be longer than any message."""
    shelf = Shelf(10_000)
    shelf.store.sessions |= {
        "a": session("a", system="x" * 9_000),
        "b": session("b", tools=b"x" * 9_000),
    }
    assert [await shelf.loads(name) for name in "aba"] == [True] * 3


async def test_a_session_in_use_is_not_put_out() -> None:
    """Whoever comes meanwhile waits for the same one; it goes when it is left."""
    shelf = Shelf(0, a=1_000, b=1_000)
    came = trio.Event()

    async def come() -> None:
        async with shelf.sessions.open("a"):
            came.set()

    async with trio.open_nursery() as nursery, shelf.sessions.open("a"):
        assert await shelf.loads("b")
        nursery.start_soon(come)
        await trio.testing.wait_all_tasks_blocked()
        assert not came.is_set()
    assert await shelf.loads("a")


async def test_what_is_appended_counts() -> None:
    """A session that grows pushes the others out."""
    shelf = Shelf(ROOM_FOR_TWO, a=1_000, b=1_000)
    assert [await shelf.loads(name) for name in "ab"] == [True, True]
    async with shelf.sessions.open("b") as held:
        held.history.append(message("b", 100))
    assert await shelf.loads("a")


async def test_an_unknown_session_is_not_found_and_leaves_nothing_behind() -> None:
    """However often it is asked for."""
    shelf = Shelf(ROOM_FOR_TWO)
    for _ in range(2):
        with pytest.raises(GatewayError, match="SESSION_NOT_FOUND"):
            async with shelf.sessions.open("a"):
                raise AssertionError("it was opened")
    assert shelf.store.calls.count("load_session") == 2


async def test_changes_of_one_session_follow_each_other() -> None:
    """Those of another do not wait for them."""
    shelf = Shelf(ROOM_FOR_TWO, a=1, b=1)
    order = []

    async def change() -> None:
        async with shelf.sessions.open("a"):
            order.append("second")

    async with trio.open_nursery() as nursery, shelf.sessions.open("a"):
        nursery.start_soon(change)
        await trio.testing.wait_all_tasks_blocked()
        assert await shelf.loads("b")
        order.append("first")
    assert order == ["first", "second"]


async def test_a_forgotten_session_is_loaded_anew() -> None:
    """Here by one who waited for it meanwhile: it is gone from the store."""
    shelf = Shelf(ROOM_FOR_TWO, a=1_000)
    assert await shelf.loads("a")

    async def look() -> None:
        with pytest.raises(GatewayError, match="SESSION_NOT_FOUND"):
            await shelf.loads("a")

    async with trio.open_nursery() as nursery, shelf.sessions.forget("a"):
        nursery.start_soon(look)
        await trio.testing.wait_all_tasks_blocked()
        await shelf.store.delete_session("a")


async def test_a_new_session_that_could_not_be_stored_is_not_there() -> None:
    """Nothing is in memory that is not in the store."""
    shelf = Shelf(ROOM_FOR_TWO)
    with pytest.raises(ZeroDivisionError):
        async with shelf.sessions.create("a"):
            raise ZeroDivisionError
    with pytest.raises(GatewayError, match="SESSION_NOT_FOUND"):
        await shelf.loads("a")
