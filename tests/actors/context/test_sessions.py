"""Sessions in memory: bounded, locked, and the same as what is stored."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from actors.context.sessions import EMPTY_SESSION, Held, Sessions, rendered
from protocol.errors import GatewayError
from protocol.provider.model_info import Binding
from protocol.records import Change, Entry, EntryStatus, Head, SessionRecord, Withheld
from tests.actors.context.talk import facts
from tests.actors.fakes import FakeStore
from tests.protocol.entries import THOUGHT, added, announcement, entry, text


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


def said(size: int = 1_000, place: int = 0) -> Entry:
    """An entry of `size` bytes."""
    return entry(place, "user", "x" * (size - 2))


# --- how many there are ------------------------------------------------------------------------


class Shelf:
    """Sessions above a store, and which of them have been loaded."""

    def __init__(self, keep_bytes: int, **sizes: int) -> None:
        self.store = FakeStore()
        for name, size in sizes.items():
            self.store.sessions[name] = session(name)
            self.store.entries[name] = [said(size)] if size else []
        self.sessions = Sessions(self.store, keep_bytes=keep_bytes)

    async def loads(self, name: str) -> bool:
        """Use a session; whether it had to be loaded."""
        before = self.store.calls.count("load_session")
        async with self.sessions.open(name):
            return self.store.calls.count("load_session") > before


ROOM_FOR_TWO = 2 * (EMPTY_SESSION + 2 * 1_000)


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


async def test_what_its_head_says_counts() -> None:
    """Decoded, tools take more than their JSON."""
    shelf = Shelf(50_000, a=1_000, b=1_000)
    tools = msgspec.json.encode([{"name": "brew", "description": "x" * 9_000}])
    for name in "ab":
        made = Head(epoch=0, first=0, began=1, system=(("memory", "x" * 9_000),), tools=tools)
        shelf.store.heads[name] = {0: made}
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


async def test_whoever_waits_for_a_session_and_gives_up_does_not_keep_it() -> None:
    """It goes when the last one leaves it."""
    shelf = Shelf(0, a=1_000)
    async with trio.open_nursery() as nursery, shelf.sessions.open("a"):
        nursery.start_soon(shelf.loads, "a")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert await shelf.loads("a")


async def test_what_is_added_counts() -> None:
    """A session that grows pushes the others out."""
    shelf = Shelf(ROOM_FOR_TWO, a=1_000, b=1_000)
    assert [await shelf.loads(name) for name in "ab"] == [True, True]
    async with shelf.sessions.open("b") as held:
        held.adopt(Change(session=session("b"), entries=(said(100, 1),)))
    assert await shelf.loads("a")


async def test_what_is_withheld_does_not_count() -> None:
    """There is room for others again."""
    shelf = Shelf(ROOM_FOR_TWO, a=1_000, b=2_000)
    assert [await shelf.loads(name) for name in "ba"] == [True, True]
    async with shelf.sessions.open("a") as held:
        withheld = Withheld(first=0, status="unanswered")
        held.adopt(Change(session=session("a"), withheld=withheld))
    assert await shelf.loads("b")
    assert not await shelf.loads("a")


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
    shelf = Shelf(ROOM_FOR_TWO, a=1_000, b=1_000)
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


# --- what each is ------------------------------------------------------------------------------


class Kept:
    """A session in memory and its store, which get the same changes."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.store.sessions["s"] = session("s")
        self.held = Held()
        self.turn = 0

    async def load(self) -> Held:
        """The session as it is loaded anew."""
        stored = await self.store.load_session("s")
        assert stored is not None
        held = Held()
        held.load(stored)
        return held

    async def write(self, *, binding: Binding, is_new: bool = False, **fields: Any) -> None:
        """One change; a new epoch comes with the messages before it."""
        assert self.held.session is not None
        change = Change(session=self.held.session, **fields)
        transcript = None
        if is_new:
            assert change.head is not None
            first = change.withheld.first if change.withheld is not None else self.held.next_place
            entries = [one for one in self.held.entries if change.head.first <= one.place < first]
            transcript = await rendered(entries, binding, change.head)
        assert self.store._apply(change)
        self.held.adopt(change, transcript)

    def next_entry(self, role: Any, status: EntryStatus) -> Entry:
        """Something that is said."""
        place = self.held.next_place
        turn = f"t{self.turn}"
        if role == "system":
            return announcement(place, text("Tea."), added(f"brew_{place % 3}"), turn=turn)
        blocks = [THOUGHT, text("So.")] if role == "assistant" else [text("?")]
        return entry(place, role, blocks, turn, status=status)


def head(epoch: int, **fields: Any) -> Head:
    """A head with a memory and a tool."""
    tools = msgspec.json.encode([{"name": "brew_0", "input_schema": {}}])
    return Head(epoch=epoch, system=(("memory", f"Of {epoch}."),), tools=tools, **fields)


@st.composite
def happenings(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """What may happen to a session."""
    role = st.sampled_from(["user", "assistant", "system"])
    status = st.sampled_from(["complete", "partial", "unanswered", "refused"])
    one = st.one_of(
        st.tuples(st.just("say"), st.tuples(role, status)),
        st.tuples(st.just("turn"), st.none()),
        st.tuples(st.just("withhold"), st.tuples(st.integers(0, 4), st.none() | st.integers(0, 2))),
        st.tuples(st.just("reword"), st.none()),
        st.tuples(st.just("anew"), st.tuples(st.integers(0, 4), st.booleans())),
        st.tuples(st.just("look"), st.sampled_from(["checked", "appended", "rebuilt"])),
    )
    return draw(st.lists(one, max_size=25))


async def happen(kept: Kept, kind: str, detail: Any, binding: Binding) -> None:
    """One of them."""
    held = kept.held
    match kind:
        case "say" if detail[0] != "system" or held.head is not None:
            await kept.write(binding=binding, entries=(kept.next_entry(*detail),))
        case "turn":
            kept.turn += 1
        case "withhold":
            back, count = detail
            first = max(0, held.next_place - back)
            last = None if count is None else first + count
            withheld = Withheld(first=first, last=last, status="unanswered")
            await kept.write(binding=binding, withheld=withheld)
        case "reword" if held.head is not None:
            other = msgspec.structs.replace(held.head, system=(("memory", "Other."),))
            await kept.write(binding=binding, head=other)
        case "anew":
            back, bare = detail
            before = 0 if held.head is None else held.head.first
            first = max(before, held.next_place - back)
            began = held.next_place + 1
            fields = {"first": first, "began": began, "bare": began if bare else 0}
            made = head(0 if held.head is None else held.head.epoch + 1, **fields)
            question = kept.next_entry("user", "complete")
            await kept.write(binding=binding, is_new=True, head=made, entries=(question,))


@given(happenings())
def test_a_session_in_memory_is_what_it_would_be_if_it_were_loaded(
    happenings: list[tuple[str, Any]],
) -> None:
    """After any change, and so is what is rendered of it, for each kind of models."""

    async def run() -> None:
        kept = Kept()
        kept.held = await kept.load()
        binding: Binding = "checked"
        for kind, detail in happenings:
            if kind == "look":
                binding = detail
                await kept.held.transcript(binding)
            await happen(kept, kind, detail, binding)
            loaded = await kept.load()
            assert facts(kept.held) == facts(loaded)
            ours = await kept.held.transcript(binding)
            assert vars(ours) == vars(await loaded.transcript(binding))

    trio.run(run)


async def test_the_last_turn_is_the_one_whose_messages_are_last() -> None:
    """Those that go upstream; before the first there is none."""
    kept = Kept()
    kept.held = await kept.load()
    assert (kept.held.last_turn(), kept.held.is_frozen) == ([], False)
    await happen(kept, "say", ("user", "complete"), "checked")
    await happen(kept, "turn", None, "checked")
    await happen(kept, "say", ("user", "complete"), "checked")
    await happen(kept, "say", ("assistant", "refused"), "checked")
    assert [one.place for one in kept.held.last_turn()] == [1]


@pytest.mark.parametrize("role", ["assistant", "system"])
async def test_a_head_is_frozen_by_what_the_model_says_or_is_told_behind_it(role: str) -> None:
    """Not by what was said in an earlier epoch."""
    kept = Kept()
    kept.held = await kept.load()
    frozen = []
    for kind, detail in (
        ("anew", (0, False)),
        ("say", (role, "complete")),
        ("anew", (4, False)),
    ):
        await happen(kept, kind, detail, "checked")
        frozen.append(kept.held.is_frozen)
    assert frozen == [False, True, False]


async def test_what_is_rendered_for_a_look_is_not_kept() -> None:
    """The session's own model comes again; another was only inspected."""
    kept = Kept()
    kept.store.sessions["s"] = msgspec.structs.replace(session("s"), model="claude-sonnet-5-5")
    kept.held = await kept.load()
    own = await kept.held.transcript("checked")
    assert await kept.held.transcript("rebuilt") is not own
    assert await kept.held.transcript("checked") is own


@pytest.mark.parametrize(("count", "size"), [(64, 100), (4, 70_000)])
async def test_a_long_session_is_rendered_while_others_have_their_turn(
    count: int, size: int
) -> None:
    """Whether it has many entries or large ones."""
    entries = [said(size, place) for place in range(count)]
    with trio.testing.assert_checkpoints():
        transcript = await rendered(entries, "checked", None)
    assert transcript.entries == entries


async def test_a_short_session_is_rendered_at_once() -> None:
    """Its next turn waits for nobody."""
    with trio.testing.assert_no_checkpoints():
        await rendered([said(100, place) for place in range(10)], "checked", None)
