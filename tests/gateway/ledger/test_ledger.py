"""The ledger on a real database."""

from __future__ import annotations

import sqlite3
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from msgspec.structs import replace

from gateway.ledger import ledger as ledger_module
from gateway.ledger.ledger import Ledger
from gateway.ledger.schema import from_pico, to_pico
from gateway.ledger.unusable import LedgerUnusable
from protocol.errors import LedgerUnavailable
from protocol.records import CalibrationRecord, Change, StepRecord, UsageTotals
from protocol.usage import Cost, Terms, TokenCounts
from tests.gateway.ledger.support import (
    SESSION,
    STEP,
    TURN,
    begin,
    change,
    entry,
    locked,
    open_ledger,
    settled,
    statements,
    turn,
)

NOWHERE = Change(session=msgspec.structs.replace(SESSION, session_id="deleted"))
"""The change of a session that is not there: of its turn the row alone is written."""


def step(counted: int) -> StepRecord:
    """A request whose text was billed twice what it was counted."""
    counts = TokenCounts(uncached=counted, cache_read=counted + 2)
    known = {"counts": counts, "counted_tokens": counted, "estimated": False}
    return msgspec.structs.replace(STEP, **known)


async def settle(ledger: Ledger, number: int, **fields: Any) -> None:
    """Write the row of the turn `t{number}`, which was never opened."""
    assert not await ledger.settle_turn(NOWHERE, settled(number, **fields))


async def test_what_is_learned_from_are_the_latest_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of settled turns, oldest first; pictures are no part of them, and there is a limit."""
    monkeypatch.setattr(ledger_module, "LEARNED_FROM", 3)
    async with open_ledger(tmp_path) as ledger:
        for number in range(1, 5):
            steps = (step(number), step(10 * number))
            await settle(ledger, number, created_at=number, steps=steps)
        untold = msgspec.structs.replace(STEP, counts=TokenCounts())
        await settle(ledger, 8, created_at=9, steps=(untold,))
        opened = turn(9, created_at=9, steps=(step(9),))
        await ledger.begin_turn(change(0, entry(0)), opened, is_new=True)
        assert await ledger.load_calibration() == [
            CalibrationRecord(model="m", has_tools=True, counted=counted, billed=2 * counted)
            for counted in (30, 4, 40)
        ]


async def test_only_its_owner_may_read_the_database(tmp_path: Path) -> None:
    """The file's mode is 0600."""
    async with open_ledger(tmp_path):
        assert (tmp_path / "ledger.db").stat().st_mode & 0o777 == 0o600


async def test_a_turn_is_one_row_whatever_order_its_writes_take(tmp_path: Path) -> None:
    """Begun and settled, settled twice, or settled without having begun: one row."""
    async with open_ledger(tmp_path) as ledger:
        await begin(ledger)
        assert await ledger.total_usage(None, None, None) == UsageTotals()
        assert await ledger.settle_turn(change(1), settled(1))
        assert not await ledger.settle_turn(change(1), settled(1))
        await settle(ledger, 2)
        (total,) = (await ledger.total_usage(None, None, None)).models
        assert total.requests == 2
        assert total.cost == 2 * Decimal("0.100003")


async def test_a_turn_that_was_never_begun_may_share_its_request(tmp_path: Path) -> None:
    """The row of each is kept; the request is that of the turn that has begun."""
    async with open_ledger(tmp_path) as ledger:
        await begin(ledger)
        for _ in range(2):
            late = settled(2, request_id="r1")
            await ledger.settle_turn(change(9), late)
            named = msgspec.structs.replace(late, request_id="r1#t2")
            assert await ledger.load_turn("s1", "t2") == named
        assert await ledger.load_turn("s1", "t1") == turn(1)


async def test_rows_that_a_dead_process_left_open_are_found(tmp_path: Path) -> None:
    """They come back with what was noted of them, until they are closed."""
    noted = turn(1, counts=TokenCounts(uncached=8))
    async with open_ledger(tmp_path) as ledger:
        await begin(ledger)
        await ledger.note_turn(noted)
    async with open_ledger(tmp_path) as ledger:
        assert await ledger.load_open_turns() == [noted]
        closed = settled(1, status="interrupted")
        await ledger.close_turn(closed)
        await ledger.note_turn(noted)
        assert await ledger.load_open_turns() == []
        assert await ledger.load_turn("s1", "t1") == closed
        assert await ledger.load_turn("s2", "t1") is None
        assert await ledger.load_turn("s1", "t2") is None


async def test_usage_is_summed_by_session_and_by_time(tmp_path: Path) -> None:
    """`since` is inclusive, `until` is not; what has no price is counted apart."""
    async with open_ledger(tmp_path) as ledger:
        for number in range(4):
            await settle(ledger, number, session_id=f"s{number % 2}", created_at=number)
        await settle(ledger, 9, cost=None)

        async def requests(
            session_id: str | None = None, since: int | None = None, until: int | None = None
        ) -> int:
            totals = (await ledger.total_usage(session_id, since, until)).models
            return sum(total.requests for total in totals)

        assert await requests() == 5
        assert await requests("s0") == 2
        assert await requests(since=2) == 3
        assert await requests(since=2, until=3) == 1
        (total,) = (await ledger.total_usage(None, None, None)).models
        assert total.unpriced == 1
        assert total.cost == Decimal("0.100003") * 4


async def test_what_waits_goes_into_one_commit(tmp_path: Path) -> None:
    """A hundred writes at once take far fewer commits, and one bad one spoils no other."""
    async with open_ledger(tmp_path) as ledger:

        async def refused() -> None:
            with pytest.raises(OverflowError):
                await settle(ledger, 100, created_at=2**70)

        seen = await statements(ledger)
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(settle, ledger, number)
        assert seen.count("COMMIT") < 10
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused)
            nursery.start_soon(settle, ledger, 101)
        (total,) = (await ledger.total_usage(None, None, None)).models
        assert total.requests == 101
        assert ledger.waiting == 0


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
        with locked(tmp_path):
            nursery.start_soon(settle, ledger, 1)
            await health(ledger, "locked")
            assert await ledger.total_usage(None, None, None) == UsageTotals()
            assert ledger.waiting == 1
        await health(ledger, "ok")
        assert len((await ledger.total_usage(None, None, None)).models) == 1


async def test_a_write_is_withdrawn_with_its_caller_and_one_for_good_is_not(tmp_path: Path) -> None:
    """What nobody waits for is not written, except how a turn ended."""
    async with open_ledger(tmp_path) as ledger:
        with locked(tmp_path):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ledger.create_session, SESSION)
                nursery.start_soon(settle, ledger, 1)
                await health(ledger, "locked")
                nursery.cancel_scope.cancel()
        await health(ledger, "ok")
        assert await ledger.load_session("s1") is None
        (total,) = (await ledger.total_usage(None, None, None)).models
        assert total.requests == 1
        assert ledger.waiting == 0


async def test_a_full_disk_refuses_what_is_new_and_keeps_what_has_ended(tmp_path: Path) -> None:
    """A turn's outcome waits for room; a new turn is told; with room again all is well."""
    async with open_ledger(tmp_path) as ledger, trio.open_nursery() as nursery:
        await ledger.create_session(SESSION)
        await limit_pages(ledger, 0)
        await nursery.start(_settled_for_good, ledger)
        await health(ledger, "full")
        with pytest.raises(LedgerUnavailable):
            await ledger.begin_turn(change(0, entry(0, "x" * 20_000)), TURN, is_new=False)
        await limit_pages(ledger, 1_000)
        await health(ledger, "ok")
        (total,) = (await ledger.total_usage(None, None, None)).models
        assert total.requests == 50


async def _settled_for_good(
    ledger: Ledger, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    task_status.started()
    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(_settle_long, ledger, number)


async def _settle_long(ledger: Ledger, number: int) -> None:
    await settle(ledger, number, turn_id=f"t{number}" * 50)


async def test_a_write_that_fails_by_itself_is_refused_and_the_ledger_lives_on(
    tmp_path: Path,
) -> None:
    """The failure is for a person, and the next write succeeds."""
    async with open_ledger(tmp_path) as ledger:
        other = sqlite3.connect(tmp_path / "ledger.db")
        other.execute("ALTER TABLE Turn RENAME TO Gone")
        other.commit()
        with pytest.raises(LedgerUnavailable) as caught:
            await begin(ledger)
        assert caught.value.failure.retryable
        other.execute("ALTER TABLE Gone RENAME TO Turn")
        other.commit()
        other.close()
        await begin(ledger)


async def test_no_turn_waits_for_a_long_report(tmp_path: Path) -> None:
    """A turn begins and ends while the sums of all others are still being made."""
    async with open_ledger(tmp_path) as ledger, trio.open_nursery() as nursery:
        begun, go_on = trio.Event(), threading.Event()
        token = trio.lowlevel.current_trio_token()

        def sums(*_: object) -> UsageTotals:
            token.run_sync_soon(begun.set)
            assert go_on.wait(5)
            return UsageTotals()

        with pytest.MonkeyPatch.context() as slow:
            slow.setattr("gateway.ledger.turns.totals", sums)
            nursery.start_soon(ledger.total_usage, None, None, None)
            await begun.wait()
            await begin(ledger)
            assert await ledger.settle_turn(change(1), settled(1))
            go_on.set()


async def test_a_connection_that_is_lost_is_made_anew(tmp_path: Path) -> None:
    """The read that finds it broken fails, and the next write finds another."""
    async with open_ledger(tmp_path) as ledger:
        await begin(ledger)
        with pytest.raises(LedgerUnavailable):
            await ledger._thread.read(lambda: ledger._db.get_connection().close())
        assert await ledger.settle_turn(change(1), settled(1))
        assert await ledger.load_turn("s1", "t1") == settled(1)


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


async def test_a_turn_of_two_models_is_told_apart_from_the_sums(tmp_path: Path) -> None:
    """It comes as it is, with what each request cost, and only where it was asked for."""
    cost = Cost(input_cost=Decimal("0.000003"), output_cost=Decimal("0.05"), estimated=True)
    other = Terms(model="n", asked="m")
    steps = (replace(STEP, cost=cost), replace(STEP, cost=cost, terms=other))
    async with open_ledger(tmp_path) as ledger:
        await begin(ledger)
        await ledger.note_turn(turn(1, steps=steps))
        assert await ledger.total_usage(None, None, None) == UsageTotals()
        mixed = settled(1, steps=steps)
        await ledger.settle_turn(change(1), mixed)
        await ledger.settle_turn(NOWHERE, settled(2, created_at=6))
        found = await ledger.total_usage("s1", 5, 6)
        assert found == UsageTotals(mixed=(mixed,))
        found = await ledger.total_usage(None, None, None)
        assert (len(found.mixed), [one.requests for one in found.models]) == (1, [1])
        assert (await ledger.total_usage(None, 6, None)).mixed == ()
        assert (await ledger.total_usage("s2", None, None)) == UsageTotals()
