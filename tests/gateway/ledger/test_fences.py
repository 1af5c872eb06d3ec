"""What begins and ends side by side: two ledgers on one database, as two processes would be."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio

from gateway.ledger import writes
from gateway.ledger.ledger import Ledger
from protocol.beginning import Begun
from protocol.records import Head, TurnRecord
from tests.gateway.ledger.support import (
    SESSION,
    answer,
    begin,
    change,
    contents,
    entry,
    loaded,
    open_ledger,
    open_two,
    page,
    settled,
    turn,
)

BEGUN = Begun(outcome="begun")


async def untouched(ledger: Ledger, *absent: TurnRecord) -> None:
    """The session is as its first two writes have made it, and the `absent` turns have no row."""
    stored = await loaded(ledger)
    assert stored.session == msgspec.structs.replace(SESSION, message_count=2, version=2)
    assert contents(stored.entries) == ["?", "!"]
    for one in absent:
        assert await ledger.load_turn(one.session_id, one.turn_id) is None


async def test_a_turn_begins_on_what_the_other_process_wrote_last(tmp_path: Path) -> None:
    """What the one has settled the other reads, and builds on."""
    async with open_two(tmp_path) as (one, other):
        await begin(one)
        assert await other.settle_turn(change(1, answer(1)), settled(1))
        await untouched(one)
        assert await one.begin_turn(change(2, entry(2)), turn(2), is_new=False) == BEGUN
        assert len((await loaded(other)).entries) == 3


async def test_a_turn_is_stale_when_another_wrote_in_between(tmp_path: Path) -> None:
    """Nothing of it is written; loaded anew it may begin."""
    async with open_two(tmp_path) as (one, other):
        await begin(one)
        await one.settle_turn(change(1, answer(1)), settled(1))
        begun = await other.begin_turn(change(1, entry(1, "late")), turn(2), is_new=False)
        assert begun == Begun(outcome="stale")
        await untouched(one, turn(2))
        stored = await loaded(other)
        again = change(stored.session.version, entry(stored.next_place))
        assert await other.begin_turn(again, turn(2), is_new=False) == BEGUN


async def test_a_new_session_is_stale_where_there_is_one(tmp_path: Path) -> None:
    """Its id is another's."""
    async with open_two(tmp_path) as (one, other):
        await begin(one)
        await one.settle_turn(change(1, answer(1)), settled(1))
        begun = await other.begin_turn(change(0, entry(0, "mine")), turn(2), is_new=True)
        assert begun == Begun(outcome="stale")
        await untouched(one, turn(2))


async def test_a_session_is_busy_while_a_turn_is_open_elsewhere(tmp_path: Path) -> None:
    """The turn in the way is told; turns of other sessions are not."""
    async with open_two(tmp_path) as (one, other):
        await begin(one)
        begun = await other.begin_turn(change(1, entry(1)), turn(2), is_new=False)
        assert begun == Begun(outcome="busy", turn_id="t1")
        await begin(other, session_id="s2", number=3)
        await one.settle_turn(change(1, answer(1)), settled(1))
        await untouched(other, turn(2))


@pytest.mark.parametrize("has_ended", [False, True])
async def test_a_request_that_has_had_its_turn_is_known(has_ended: bool, tmp_path: Path) -> None:
    """Also when it comes to another process, and whether or not the turn has ended."""
    async with open_two(tmp_path) as (one, other):
        await begin(one)
        if has_ended:
            await one.settle_turn(change(1, answer(1)), settled(1))
        again = turn(2, request_id="r1")
        version = 2 if has_ended else 1
        begun = await other.begin_turn(change(version, entry(2)), again, is_new=False)
        assert begun == Begun(outcome="known", turn_id="t1")
        assert await one.load_turn("s1", "t2") is None


async def test_a_request_whose_turn_is_withdrawn_may_have_another_one(tmp_path: Path) -> None:
    """What began the first is undone: the question, the new epoch, the wishes, the row."""
    async with open_ledger(tmp_path) as ledger:
        await begin(ledger)
        head = Head(epoch=1, first=0, began=0, system=())
        await ledger.settle_turn(change(1, answer(1), head=head), settled(1))
        before = await loaded(ledger)
        wishes = msgspec.structs.replace(before.session, model="other", last_active_at=9)
        asked = [entry(2, turn_id="t2"), entry(3, turn_id="t2", role="system")]
        epoch = msgspec.structs.replace(head, epoch=2, first=2)
        begins = change(2, *asked, session=wishes, head=epoch)
        assert await ledger.begin_turn(begins, turn(2), is_new=False) == BEGUN
        await ledger.withdraw_turn("t2", before.session, epoch=1, is_new=False)
        after = await loaded(ledger)
        session = msgspec.structs.replace(before.session, version=4)
        assert after == msgspec.structs.replace(before, session=session)
        assert len(await page(ledger, "s1")) == session.message_count == 2
        assert await ledger.load_turn("s1", "t2") is None
        again = turn(3, request_id="r2")
        assert await ledger.begin_turn(change(4, entry(2)), again, is_new=False) == BEGUN


async def test_a_new_session_goes_with_the_turn_that_has_made_it(tmp_path: Path) -> None:
    """It is in no list; another session stays as it is."""
    async with open_ledger(tmp_path) as ledger:
        for number in (1, 2):
            await begin(ledger, session_id=f"s{number}", number=number)
        await ledger.withdraw_turn("t1", SESSION, epoch=None, is_new=True)
        assert await ledger.load_turn("s1", "t1") is None
        assert [one.session_id for one in await ledger.list_sessions(10, None)] == ["s2"]
        assert await ledger.load_turn("s2", "t2") is not None


async def test_a_turn_of_a_session_that_is_gone_does_not_begin(tmp_path: Path) -> None:
    """Whatever else there is of it."""
    async with open_two(tmp_path) as (one, other):
        await begin(one)
        await one.delete_session("s1")
        for request in ("r1", "r2"):
            late = turn(2, request_id=request)
            begun = await other.begin_turn(change(1, entry(1)), late, is_new=False)
            assert begun == Begun(outcome="gone")
        assert await one.load_session("s1") is None


async def test_of_the_same_request_twice_at_once_one_begins(tmp_path: Path) -> None:
    """The other is told of it, whichever is first."""
    async with open_two(tmp_path) as ledgers:
        await ledgers[0].create_session(SESSION)
        for number in range(10):
            begun: list[Begun] = []
            version, place = 2 * number, 2 * number

            async def ask(
                ledger: Ledger,
                one: TurnRecord,
                begun: list[Begun] = begun,
                version: int = version,
                place: int = place,
            ) -> None:
                asked = change(version, entry(place))
                begun.append(await ledger.begin_turn(asked, one, is_new=False))

            async with trio.open_nursery() as nursery:
                for name, ledger in zip("ab", ledgers, strict=True):
                    twin = turn(number, turn_id=f"{name}{number}")
                    nursery.start_soon(ask, ledger, twin)
            assert sorted(one.outcome for one in begun) == ["begun", "known"]
            (winner,) = {one.turn_id for one in begun} - {None}
            assert winner is not None
            ended = settled(number, turn_id=winner)
            assert await ledgers[1].settle_turn(change(version + 1, answer(place + 1)), ended)


async def test_the_same_request_twice_in_one_commit_begins_once(tmp_path: Path) -> None:
    """What a group's earlier write has done its later ones see."""
    async with open_ledger(tmp_path) as ledger:
        await ledger.create_session(SESSION)
        begun: list[Begun] = []

        async def ask(number: int) -> None:
            one = turn(number, request_id="r")
            begun.append(await ledger.begin_turn(change(0, entry(0)), one, is_new=False))

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(ask, number)
        assert sorted(one.outcome for one in begun) == ["begun", *["known"] * 19]
        assert len((await loaded(ledger)).entries) == 1


async def test_a_deleted_session_is_not_made_again_by_what_ends_elsewhere(tmp_path: Path) -> None:
    """Its row is written, for it is billed."""
    async with open_two(tmp_path) as (one, other):
        await begin(one)
        await other.delete_session("s1")
        assert not await one.settle_turn(change(1, answer(1)), settled(1))
        assert await other.load_session("s1") is None
        assert await other.page_entries("s1", 10, None) is None
        assert await other.load_turn("s1", "t1") == settled(1)


async def test_what_is_extended_or_settled_too_late_changes_no_session(tmp_path: Path) -> None:
    """The row is written when the turn ends, and not before."""
    async with open_two(tmp_path) as (one, other):
        await begin(one)
        await other.settle_turn(change(1, answer(1)), settled(1, status="interrupted"))
        assert not await one.extend_turn(change(1, answer(1, "late")), turn(1))
        assert await one.load_turn("s1", "t1") == settled(1, status="interrupted")
        assert not await one.settle_turn(change(1, answer(1, "late")), settled(1))
        await untouched(other)
        assert await other.load_turn("s1", "t1") == settled(1)


async def test_a_settled_row_is_not_opened_again(tmp_path: Path) -> None:
    """A late step, a late note and a late closing leave it as it is."""
    async with open_ledger(tmp_path) as ledger:
        await begin(ledger)
        await ledger.settle_turn(change(9), settled(1))
        assert not await ledger.extend_turn(change(1, answer(1)), turn(1))
        await ledger.note_turn(turn(1))
        await ledger.close_turn(settled(1, status="interrupted"))
        assert await ledger.load_turn("s1", "t1") == settled(1)
        stored = await ledger.load_session("s1")
        assert stored is not None
        assert stored.entries == [entry(0)]


async def test_of_two_writes_on_one_version_one_is_made(tmp_path: Path) -> None:
    """Also where both are in one commit."""
    async with open_ledger(tmp_path) as ledger:
        await begin(ledger)
        await ledger.settle_turn(change(1, answer(1)), settled(1))
        outcomes: list[Begun] = []

        async def attempt(number: int) -> None:
            again = change(2, entry(2))
            outcomes.append(await ledger.begin_turn(again, turn(number), is_new=False))

        async with trio.open_nursery() as nursery:
            for number in (2, 3):
                nursery.start_soon(attempt, number)
        assert sorted(one.outcome for one in outcomes) == ["begun", "busy"]
        assert len(await ledger.load_open_turns()) == 1


async def test_the_fence_holds_where_what_was_found_does_not_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database may let another write between the look and the write."""
    async with open_ledger(tmp_path) as ledger:
        await begin(ledger)
        await ledger.settle_turn(change(1, answer(1)), settled(1))
        monkeypatch.setattr(writes, "judge", lambda *_found, **_built: BEGUN)
        begun = await ledger.begin_turn(change(1, entry(2)), turn(2), is_new=False)
        assert begun == Begun(outcome="stale")
        await untouched(ledger, turn(2))
