"""The ledger on a real database."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import trio

from gateway.ledger import ledger as ledger_module
from gateway.ledger.ledger import Ledger, LedgerUnusable
from gateway.ledger.schema import from_pico, to_pico
from protocol.context import SectionWeight
from protocol.errors import LedgerUnavailable
from protocol.records import (
    Attached,
    CalibrationRecord,
    MessageRecord,
    SessionRecord,
    StepRecord,
    TurnRecord,
)
from protocol.usage import Cost, TokenCounts

SESSION = SessionRecord(
    session_id="s1",
    agent_id="default",
    model="m",
    system=None,
    tools=b"[]",
    title="T",
    created_at=1,
    last_active_at=2,
)
TURN = TurnRecord(
    turn_id="t1",
    session_id="s1",
    request_id="r1",
    model="m",
    status="open",
    created_at=5,
    counted_tokens=7,
)
STEP = StepRecord(
    counts=TokenCounts(uncached=4, cache_read=5, output=4),
    stop_reason="tool_use",
    estimated=True,
    counted_tokens=7,
    media_tokens=2,
    has_tools=True,
)
SETTLED = msgspec.structs.replace(
    TURN,
    status="completed",
    settled_at=9,
    counts=TokenCounts(uncached=9, cache_read=1, output=4, thinking=2, web_searches=1),
    cost=Cost(input_cost=Decimal("0.000003"), output_cost=Decimal("0.1")),
    stop_reason="end_turn",
    steps=(STEP, msgspec.structs.replace(STEP, stop_reason=None)),
    token_estimate=9,
    cost_estimate=Decimal("0.000002999999"),
    weights=(
        SectionWeight(name="tools", byte_count=7, token_estimate=9, cost_estimate=Decimal(1) / 3),
    ),
)


def step(counted: int) -> StepRecord:
    """A request whose text was billed twice what it was counted."""
    counts = TokenCounts(uncached=counted, cache_read=counted + 2)
    known = {"counts": counts, "counted_tokens": counted, "estimated": False}
    return msgspec.structs.replace(STEP, **known)


def message(content: str, turn_id: str = "t1") -> MessageRecord:
    """A user's message of the session."""
    return MessageRecord(
        session_id="s1",
        turn_id=turn_id,
        role="user",
        content=msgspec.json.encode(content),
        status="complete",
        created_at=3,
        byte_count=len(content),
        token_count=1,
    )


@asynccontextmanager
async def open_ledger(folder: Path, queue_size: int = 100) -> AsyncIterator[Ledger]:
    """A ledger in `folder`."""
    ledger = Ledger(folder / "ledger.db", queue_size=queue_size)
    await ledger.open()
    try:
        yield ledger
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
            await ledger.close()


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    """Sessions, messages and turns come back as they were."""
    async with open_ledger(tmp_path) as ledger:
        await ledger.begin_turn(SESSION, message("one"))
        await ledger.keep_answer("s1", "t1", [message("two"), message("three")], kept=0)
        await ledger.settle_turn(SETTLED)
    async with open_ledger(tmp_path) as ledger:
        assert await ledger.load_session("s1") == msgspec.structs.replace(SESSION, message_count=3)
        contents = [m.content for m in await ledger.load_messages("s1")]
        assert contents == [b'"one"', b'"two"', b'"three"']
        (total,) = await ledger.total_usage(None, None, None)
        assert total.counts == SETTLED.counts
        assert total.cost == Decimal("0.100003")
        assert await ledger.load_turn("s1", "t1") == SETTLED
        assert await ledger.load_turn("s2", "t1") is None
        assert await ledger.load_turn("s1", "t2") is None


async def test_a_message_keeps_what_its_pictures_weigh(tmp_path: Path) -> None:
    """Apart from its text."""
    attached = Attached(pictures=2, documents=1, edge=1_024)
    seen = msgspec.structs.replace(message("look"), media_tokens=1_568, attached=attached)
    async with open_ledger(tmp_path) as ledger:
        await ledger.begin_turn(SESSION, seen)
        (loaded,) = await ledger.load_messages("s1")
        assert loaded == msgspec.structs.replace(seen, message_id=loaded.message_id)


async def test_messages_of_one_turn_are_stored_together_or_not_at_all(tmp_path: Path) -> None:
    """A tool call without its result would spoil the session for good."""
    async with open_ledger(tmp_path) as ledger:
        await ledger.save_session(SESSION)
        bad = msgspec.structs.replace(message("bad"), created_at=2**70)
        with pytest.raises(ValueError, match="created_at"):
            await ledger.keep_answer("s1", "t1", [message("call"), bad], kept=0)
        assert await ledger.load_messages("s1") == []


async def test_an_answer_takes_the_place_of_what_was_kept_of_it(tmp_path: Path) -> None:
    """The question stays, and so do other turns; a deleted session gets nothing."""
    other = msgspec.structs.replace(message("other"), turn_id="t0")
    async with open_ledger(tmp_path) as ledger:
        await ledger.begin_turn(SESSION, other)
        await ledger.begin_turn(SESSION, message("question"))
        kept = [message("one"), message("two"), message("half")]
        await ledger.keep_answer("s1", "t1", kept[:1], kept=0)
        await ledger.keep_answer("s1", "t1", kept, kept=1)
        contents = [m.content for m in await ledger.load_messages("s1")]
        assert contents == [b'"other"', b'"question"', b'"one"', b'"two"', b'"half"']
        await ledger.keep_answer("s1", "t1", kept[:2], kept=None)
        assert len(await ledger.load_messages("s1")) == 4
        answer = [message("three"), message("four")]
        await ledger.store_answer("s1", "t1", answer, was_kept=True)
        contents = [m.content for m in await ledger.load_messages("s1")]
        assert contents == [b'"other"', b'"question"', b'"three"', b'"four"']
        session = await ledger.load_session("s1")
        assert session is not None
        assert session.message_count == 4
        await ledger.delete_session("s1")
        await ledger.store_answer("s1", "t1", answer, was_kept=True)
        assert await ledger.load_messages("s1") == []


async def test_what_is_learned_from_are_the_latest_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of settled turns, oldest first; pictures are no part of them, and there is a limit."""
    monkeypatch.setattr(ledger_module, "LEARNED_FROM", 3)
    async with open_ledger(tmp_path) as ledger:
        for number in range(1, 5):
            steps = (step(number), step(10 * number))
            turn = msgspec.structs.replace(
                SETTLED, turn_id=f"t{number}", created_at=number, steps=steps
            )
            await ledger.settle_turn(turn)
        untold = msgspec.structs.replace(STEP, counts=TokenCounts())
        late = {"created_at": 9, "steps": (untold,)}
        await ledger.settle_turn(msgspec.structs.replace(SETTLED, turn_id="untold", **late))
        late = {"created_at": 9, "steps": (step(9),)}
        await ledger.open_turn(msgspec.structs.replace(TURN, turn_id="open", **late))
        assert await ledger.load_calibration() == [
            CalibrationRecord(model="m", has_tools=True, counted=counted, billed=2 * counted)
            for counted in (30, 4, 40)
        ]


async def test_only_its_owner_may_read_the_database(tmp_path: Path) -> None:
    """The file's mode is 0600."""
    async with open_ledger(tmp_path):
        assert (tmp_path / "ledger.db").stat().st_mode & 0o777 == 0o600


async def test_a_turn_is_one_row_whatever_order_its_writes_take(tmp_path: Path) -> None:
    """Opened and settled, settled twice, or settled without being opened: one row."""
    async with open_ledger(tmp_path) as ledger:
        await ledger.open_turn(TURN)
        assert await ledger.total_usage(None, None, None) == []
        await ledger.settle_turn(SETTLED)
        await ledger.settle_turn(SETTLED)
        await ledger.settle_turn(msgspec.structs.replace(SETTLED, turn_id="t2"))
        (total,) = await ledger.total_usage(None, None, None)
        assert total.requests == 2


async def test_rows_that_a_dead_process_left_open_are_found(tmp_path: Path) -> None:
    """They come back with what was noted of them, until they are settled."""
    noted = msgspec.structs.replace(TURN, counts=TokenCounts(uncached=8))
    async with open_ledger(tmp_path) as ledger:
        await ledger.open_turn(TURN)
        await ledger.note_turn(noted)
    async with open_ledger(tmp_path) as ledger:
        assert await ledger.load_open_turns() == [noted]
        await ledger.settle_turn(SETTLED)
        await ledger.note_turn(noted)
        assert await ledger.load_open_turns() == []
        assert await ledger.find_turn("s1", "r1") == "t1"
        assert await ledger.find_turn("s1", "r2") is None


async def test_usage_is_summed_by_session_and_by_time(tmp_path: Path) -> None:
    """`since` is inclusive, `until` is not; what has no price is counted apart."""
    async with open_ledger(tmp_path) as ledger:
        for number in range(4):
            await ledger.settle_turn(
                msgspec.structs.replace(
                    SETTLED, turn_id=f"t{number}", session_id=f"s{number % 2}", created_at=number
                )
            )
        await ledger.settle_turn(msgspec.structs.replace(SETTLED, turn_id="free", cost=None))

        async def requests(
            session_id: str | None = None, since: int | None = None, until: int | None = None
        ) -> int:
            totals = await ledger.total_usage(session_id, since, until)
            return sum(total.requests for total in totals)

        assert await requests() == 5
        assert await requests("s0") == 2
        assert await requests(since=2) == 3
        assert await requests(since=2, until=3) == 1
        (total,) = await ledger.total_usage(None, None, None)
        assert total.unpriced == 1
        assert total.cost == Decimal("0.100003") * 4


async def test_sessions_are_listed_by_their_last_activity(tmp_path: Path) -> None:
    """Pages follow each other without gap or overlap, also where times are equal."""
    async with open_ledger(tmp_path) as ledger:
        for number in range(5):
            await ledger.save_session(
                msgspec.structs.replace(
                    SESSION, session_id=f"s{number}", last_active_at=number // 2
                )
            )
        first = [s.session_id for s in await ledger.list_sessions(2, None)]
        second = [s.session_id for s in await ledger.list_sessions(10, first[-1])]
        assert first + second == ["s4", "s3", "s2", "s1", "s0"]
        assert await ledger.list_sessions(10, "unknown") == []


async def test_messages_are_paged_backwards(tmp_path: Path) -> None:
    """The newest page first, oldest first within it."""
    async with open_ledger(tmp_path) as ledger:
        await ledger.save_session(SESSION)
        for number in range(5):
            await ledger.keep_answer("s1", "t1", [message("-"), message(str(number))], kept=1)
        newest = await ledger.page_messages("s1", 2, None)
        older = await ledger.page_messages("s1", 2, newest[0].message_id)
        assert [m.content for m in older + newest] == [b'"1"', b'"2"', b'"3"', b'"4"']


async def test_a_deleted_session_takes_its_messages_along(tmp_path: Path) -> None:
    """What is said to it afterwards is not stored."""
    async with open_ledger(tmp_path) as ledger:
        await ledger.begin_turn(SESSION, message("one"))
        assert await ledger.delete_session("s1")
        assert not await ledger.delete_session("s1")
        await ledger.keep_answer("s1", "t1", [message("late")], kept=0)
        assert await ledger.load_messages("s1") == []


async def test_what_waits_goes_into_one_commit(tmp_path: Path) -> None:
    """A hundred writes at once take far fewer commits, and one bad one spoils no other."""
    async with open_ledger(tmp_path) as ledger:
        bad = msgspec.structs.replace(SETTLED, turn_id="bad", created_at=2**70)

        async def refused() -> None:
            with pytest.raises(ValueError, match="created_at"):
                await ledger.settle_turn(bad)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused)
            for number in range(100):
                nursery.start_soon(
                    ledger.settle_turn, msgspec.structs.replace(SETTLED, turn_id=f"t{number}")
                )
        (total,) = await ledger.total_usage(None, None, None)
        assert total.requests == 100
        assert ledger.waiting == 0


@asynccontextmanager
async def locked(folder: Path) -> AsyncIterator[None]:
    """Another process is writing."""
    other = sqlite3.connect(folder / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("COMMIT")
        other.close()


async def health(ledger: Ledger, wanted: str) -> None:
    """Wait until the ledger has noticed."""
    with trio.fail_after(5):
        while ledger.health != wanted:  # noqa: ASYNC110 - it is a thread that notices
            await trio.sleep(0.01)


async def limit_pages(ledger: Ledger, more: int) -> None:
    """Let the file grow by no more than this: beyond it SQLite says that the disk is full."""

    def work() -> None:
        (now,) = ledger._db.execute("PRAGMA page_count").fetchone()
        ledger._db.execute(f"PRAGMA max_page_count = {now + more}")

    await ledger._thread.read(work)


async def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    """While another process writes, our rows wait and reads go on; then the rows are there."""
    async with open_ledger(tmp_path) as ledger, trio.open_nursery() as nursery:
        async with locked(tmp_path):
            nursery.start_soon(ledger.settle_turn, SETTLED)
            await health(ledger, "locked")
            assert await ledger.total_usage(None, None, None) == []
            assert ledger.waiting == 1
        await health(ledger, "ok")
        assert len(await ledger.total_usage(None, None, None)) == 1


async def test_a_write_is_withdrawn_with_its_caller_and_one_for_good_is_not(tmp_path: Path) -> None:
    """What nobody waits for is not written, except how a turn ended."""
    async with open_ledger(tmp_path) as ledger:
        async with locked(tmp_path), trio.open_nursery() as nursery:
            nursery.start_soon(ledger.open_turn, msgspec.structs.replace(TURN, turn_id="left"))
            nursery.start_soon(ledger.settle_turn, SETTLED)
            await health(ledger, "locked")
            nursery.cancel_scope.cancel()
        await health(ledger, "ok")
        assert await ledger.load_open_turns() == []
        (total,) = await ledger.total_usage(None, None, None)
        assert total.requests == 1
        assert ledger.waiting == 0


async def test_a_full_disk_refuses_what_is_new_and_keeps_what_has_ended(tmp_path: Path) -> None:
    """A turn's outcome waits for room; a new turn is told; with room again all is well."""
    async with open_ledger(tmp_path) as ledger, trio.open_nursery() as nursery:
        await ledger.save_session(SESSION)
        await limit_pages(ledger, 0)
        await nursery.start(_settled_for_good, ledger)
        await health(ledger, "full")
        with pytest.raises(LedgerUnavailable):
            await ledger.begin_turn(SESSION, message("x" * 20_000))
        await limit_pages(ledger, 1_000)
        await health(ledger, "ok")
        (total,) = await ledger.total_usage(None, None, None)
        assert total.requests == 50


async def _settled_for_good(
    ledger: Ledger, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    task_status.started()
    async with trio.open_nursery() as nursery:
        for number in range(50):
            turn = msgspec.structs.replace(SETTLED, turn_id=f"t{number}" * 50)
            nursery.start_soon(ledger.settle_turn, turn)


async def test_a_write_that_fails_by_itself_is_refused_and_the_ledger_lives_on(
    tmp_path: Path,
) -> None:
    """The failure is for a person, and the next write succeeds."""
    async with open_ledger(tmp_path) as ledger:
        other = sqlite3.connect(tmp_path / "ledger.db")
        other.execute("ALTER TABLE Turn RENAME TO Gone")
        other.commit()
        with pytest.raises(LedgerUnavailable) as caught:
            await ledger.open_turn(TURN)
        assert caught.value.failure.retryable
        other.execute("ALTER TABLE Gone RENAME TO Turn")
        other.commit()
        other.close()
        await ledger.settle_turn(SETTLED)


async def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    """One line says what to do, and not a byte is changed."""
    garbage = b"not a database " * 1_000
    (tmp_path / "ledger.db").write_bytes(garbage)
    with pytest.raises(LedgerUnusable, match="not a database"):
        await Ledger(tmp_path / "ledger.db", queue_size=1).open()
    assert (tmp_path / "ledger.db").read_bytes() == garbage


async def test_a_database_of_a_newer_gateway_is_not_touched(tmp_path: Path) -> None:
    """The schema's version is told."""
    async with open_ledger(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        other.execute("UPDATE Meta SET value = 99")
    other.close()
    with pytest.raises(LedgerUnusable, match="99"):
        await Ledger(tmp_path / "ledger.db", queue_size=1).open()


async def test_two_gateways_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second is told so; when the first has ended, the folder is free."""
    async with open_ledger(tmp_path):
        with pytest.raises(LedgerUnusable, match="in use"):
            await Ledger(tmp_path / "ledger.db", queue_size=1).open()
    async with open_ledger(tmp_path):
        pass


async def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """It names the setting to change."""
    with pytest.raises(LedgerUnusable, match="--data-dir"):
        await Ledger(tmp_path / "none" / "ledger.db", queue_size=1).open()


@pytest.mark.parametrize("amount", ["0", "0.000003", "12.5", "0.000000000001", "1000000"])
def test_money_is_kept_to_the_picodollar(amount: str) -> None:
    """There and back it is the same."""
    assert from_pico(to_pico(Decimal(amount))) == Decimal(amount)
