"""Sessions on a real database: what a turn writes into its session, and what is loaded of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from gateway.ledger import sessions
from gateway.ledger.ledger import Ledger
from protocol.errors import LedgerUnavailable
from protocol.records import Announced, Attached, EntryStatus, Head, Withheld
from tests.gateway.ledger.support import (
    SESSION,
    answer,
    begin,
    change,
    contents,
    entry,
    loaded,
    open_ledger,
    page,
    settled,
    statements,
    turn,
)

HEAD = Head(
    epoch=1,
    first=0,
    began=0,
    system=(("system_prompt", "Be kind."), ("memory", "Tea, not coffee. ☕\0")),
    tools=b'[{"name":"brew"}]',
)


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    """A session, its head and its entries come back as they were, to the byte."""
    question = entry(
        0, "look", media_tokens=1_568, attached=Attached(pictures=2, documents=1, edge=1_024)
    )
    told = entry(
        1, "news", role="system", sections=(Announced("memory", 9, 3), Announced("tools", 8, 2))
    )
    said = answer(2, " \n☕ ", status="partial", thinking_tokens=1)
    async with open_ledger(tmp_path) as ledger:
        first = change(0, question, told, head=HEAD)
        await ledger.begin_turn(first, turn(1), is_new=True)
        assert await ledger.settle_turn(change(1, said), settled(1))
    async with open_ledger(tmp_path) as ledger:
        stored = await loaded(ledger)
        assert stored.session == msgspec.structs.replace(SESSION, message_count=2, version=2)
        assert stored.head == HEAD
        assert stored.entries == [question, told, said]
        assert stored.next_place == 3
        assert await ledger.load_turn("s1", "t1") == settled(1)


async def test_a_session_may_be_empty(tmp_path: Path) -> None:
    """Its first turn is built on it like any other."""
    async with open_ledger(tmp_path) as ledger:
        assert await ledger.load_session("s1") is None
        await ledger.create_session(SESSION)
        stored = await loaded(ledger)
        assert (stored.session, stored.head) == (SESSION, None)
        assert (stored.entries, stored.next_place) == ([], 0)
        begun = await ledger.begin_turn(change(0, entry(0)), turn(1), is_new=False)
        assert begun.outcome == "begun"


@pytest.mark.parametrize(("count", "rests"), [(1, 0), (4, 2), (5, 2)])
async def test_a_long_session_is_read_with_rests(
    count: int, rests: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that reads would else keep the loop from its work, and nobody waits to write."""
    rested: list[float] = []

    def rest(seconds: float) -> None:
        rested.append(seconds)
        with closing(sqlite3.connect(tmp_path / "ledger.db", timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")

    monkeypatch.setattr(sessions, "sleep", rest)
    monkeypatch.setattr(sessions, "AT_A_TIME", 2)
    async with open_ledger(tmp_path) as ledger:
        await begin(ledger)
        await ledger.settle_turn(change(1, *map(answer, range(1, count))), settled(1))
        assert [one.place for one in (await loaded(ledger)).entries] == [*range(count)]
        assert rested == [sessions.REST_SECONDS] * rests


async def test_each_write_is_built_on_the_one_before_it(tmp_path: Path) -> None:
    """A turn that runs is written down as it goes, and settled once."""
    noted = turn(1, counted_tokens=99)
    async with open_ledger(tmp_path) as ledger:
        await begin(ledger)
        assert await ledger.extend_turn(change(1, answer(1), entry(2)), noted)
        assert await ledger.load_turn("s1", "t1") == noted
        renamed = msgspec.structs.replace(SESSION, title="U", model="n", version=2)
        assert await ledger.settle_turn(change(2, answer(3), session=renamed), settled(1))
        stored = await loaded(ledger)
        assert [one.place for one in stored.entries] == [0, 1, 2, 3]
        assert stored.session == msgspec.structs.replace(renamed, message_count=4, version=3)


async def test_entries_of_one_write_are_stored_together_or_not_at_all(tmp_path: Path) -> None:
    """A tool call without its result would spoil the session for good."""
    async with open_ledger(tmp_path) as ledger:
        await begin(ledger)
        with pytest.raises(LedgerUnavailable):
            await ledger.extend_turn(change(1, answer(1), entry(1, "twice")), turn(1))
        stored = await loaded(ledger)
        assert (stored.session.version, len(stored.entries)) == (1, 1)


async def with_two_turns(ledger: Ledger) -> None:
    """Two turns; before the second one's answer the model was told something."""
    await begin(ledger)
    await ledger.settle_turn(change(1, answer(1)), settled(1))
    told = entry(3, "news", role="system", turn_id="t2")
    await ledger.begin_turn(change(2, entry(2, turn_id="t2"), told), turn(2), is_new=False)


@pytest.mark.parametrize("status", ["refused", "unanswered"])
async def test_what_is_withheld_is_kept_for_people(status: EntryStatus, tmp_path: Path) -> None:
    """It does not go upstream; its place stays taken."""
    async with open_ledger(tmp_path) as ledger:
        await with_two_turns(ledger)
        withheld = Withheld(first=2, status=status)
        assert await ledger.settle_turn(change(3, withheld=withheld), settled(2))
        stored = await loaded(ledger)
        assert [one.place for one in stored.entries] == [0, 1]
        assert (stored.session.message_count, stored.next_place) == (3, 4)
        shown = await page(ledger, "s1", 10)
        assert [(one.place, one.status) for one in shown] == [
            (0, "complete"),
            (1, "complete"),
            (2, status),
        ]


async def test_what_is_replaced_is_shown_to_nobody(tmp_path: Path) -> None:
    """It stands again in the same write, and is counted once; what was withheld before stays so."""
    async with open_ledger(tmp_path) as ledger:
        await with_two_turns(ledger)
        refused = Withheld(first=2, status="refused")
        await ledger.settle_turn(change(3, withheld=refused), settled(2))
        mended = change(
            4,
            answer(4, "mended"),
            entry(5, turn_id="t3"),
            withheld=Withheld(first=1, status="replaced"),
        )
        await ledger.begin_turn(mended, turn(3), is_new=False)
        stored = await loaded(ledger)
        assert contents(stored.entries) == ["?", "mended", "?"]
        shown = await page(ledger, "s1", 10)
        assert [(one.place, one.status) for one in shown] == [
            (0, "complete"),
            (2, "refused"),
            (4, "complete"),
            (5, "complete"),
        ]
        assert stored.session.message_count == len(shown)


async def test_the_newest_head_counts(tmp_path: Path) -> None:
    """What is before its first entry is not loaded; until it is frozen, it may be made anew."""
    async with open_ledger(tmp_path) as ledger:
        await begin(ledger)
        await ledger.settle_turn(change(1, answer(1), head=HEAD), settled(1))
        later = msgspec.structs.replace(HEAD, epoch=2, first=1, began=1, left_out_messages=1)
        await ledger.begin_turn(change(2, entry(2), head=later), turn(2), is_new=False)
        stored = await loaded(ledger)
        assert stored.head == later
        assert [one.place for one in stored.entries] == [1, 2]
        anew = msgspec.structs.replace(later, first=2, tools=b"[]", left_out_turns=1)
        await ledger.settle_turn(change(3, head=anew), settled(2))
        stored = await loaded(ledger)
        assert stored.head == anew
        assert [one.place for one in stored.entries] == [2]
        assert stored.next_place == 3


async def test_entries_are_paged_backwards(tmp_path: Path) -> None:
    """The newest page first, oldest first within it; system entries are not shown."""
    told = entry(2, "news", role="system")
    entries = [told if place == 2 else entry(place, str(place)) for place in range(6)]
    async with open_ledger(tmp_path) as ledger:
        await begin(ledger, *entries)
        newest = await page(ledger, "s1", 2)
        older = await page(ledger, "s1", 2, newest[0].place)
        oldest = await page(ledger, "s1", 2, older[0].place)
        assert contents(oldest + older + newest) == ["0", "1", "3", "4", "5"]


async def test_a_deleted_session_takes_all_along_but_its_bills(tmp_path: Path) -> None:
    """Another session is not touched."""
    async with open_ledger(tmp_path) as ledger:
        await begin(ledger, session_id="s2", number=2)
        await ledger.begin_turn(change(0, entry(0), head=HEAD), turn(1), is_new=True)
        assert await ledger.delete_session("s1")
        assert not await ledger.delete_session("s1")
        assert await ledger.load_session("s1") is None
        assert await ledger.page_entries("s1", 10, None) is None
        assert await ledger.load_turn("s1", "t1") == turn(1)
        assert len((await loaded(ledger, "s2")).entries) == 1
        await ledger.create_session(SESSION)
        assert (await loaded(ledger)).head is None


async def test_what_ends_after_its_session_was_deleted_is_billed_and_not_kept(
    tmp_path: Path,
) -> None:
    """The session is not made again; what is known of the bill is noted all the same."""
    async with open_ledger(tmp_path) as ledger:
        await begin(ledger)
        await ledger.delete_session("s1")
        noted = turn(1, counted_tokens=99)
        assert not await ledger.extend_turn(change(1, answer(1)), noted)
        assert await ledger.load_turn("s1", "t1") == noted
        assert not await ledger.settle_turn(change(1, answer(1)), settled(1))
        assert await ledger.load_session("s1") is None
        assert await ledger.page_entries("s1", 10, None) is None
        assert await ledger.load_turn("s1", "t1") == settled(1)
        begun = await ledger.begin_turn(change(2, entry(2)), turn(2), is_new=False)
        assert begun.outcome == "gone"


async def test_sessions_are_listed_by_their_last_activity(tmp_path: Path) -> None:
    """Pages follow each other without gap or overlap, also where times are equal."""
    async with open_ledger(tmp_path) as ledger:
        for number in range(5):
            await ledger.create_session(
                msgspec.structs.replace(
                    SESSION, session_id=f"s{number}", last_active_at=number // 2
                )
            )
        first = [s.session_id for s in await ledger.list_sessions(2, None)]
        second = [s.session_id for s in await ledger.list_sessions(10, first[-1])]
        assert first + second == ["s4", "s3", "s2", "s1", "s0"]
        assert await ledger.list_sessions(10, "unknown") == []


async def test_a_plain_turn_takes_two_commits_and_few_statements(tmp_path: Path) -> None:
    """A round trip each, where the database is not in the process."""
    async with open_ledger(tmp_path) as ledger:
        await begin(ledger)
        await ledger.settle_turn(change(1, answer(1)), settled(1))
        seen = await statements(ledger)
        await ledger.begin_turn(change(2, entry(2)), turn(2), is_new=False)
        assert seen == [
            "BEGIN IMMEDIATE TRANSACTION",
            "UPDATE Session SET",
            "INSERT INTO Entry",
            "INSERT INTO Turn",
            "COMMIT",
        ]
        seen.clear()
        await ledger.settle_turn(change(3, answer(3)), settled(2))
        assert seen == [
            "BEGIN IMMEDIATE TRANSACTION",
            "UPDATE Session SET",
            "INSERT INTO Entry",
            "UPDATE Turn SET",
            "COMMIT",
        ]
