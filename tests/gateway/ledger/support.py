"""A ledger on a real file, and what is written into it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import trio

from gateway.ledger.ledger import Ledger
from protocol.context import SectionWeight
from protocol.records import Change, Entry, SessionRecord, StepRecord, StoredSession, TurnRecord
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


@asynccontextmanager
async def open_two(folder: Path) -> AsyncIterator[tuple[Ledger, Ledger]]:
    """Two ledgers on one database, as two processes would have it one day.

    A data folder is locked by its gateway, a file is not: so the second ledger has a folder of its
    own, in which the database is a link to the first one's.
    """
    async with open_ledger(folder) as first:
        other = folder / "other"
        other.mkdir()
        (other / "ledger.db").symlink_to(folder / "ledger.db")
        async with open_ledger(other) as second:
            yield first, second


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another process is writing."""
    other = sqlite3.connect(folder / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("COMMIT")
        other.close()


def turn(number: int, **fields: Any) -> TurnRecord:
    """The open turn `t{number}` of the request `r{number}`."""
    names = {"turn_id": f"t{number}", "request_id": f"r{number}", **fields}
    return msgspec.structs.replace(TURN, **names)


def settled(number: int, **fields: Any) -> TurnRecord:
    """The same turn when it has ended."""
    names = {"turn_id": f"t{number}", "request_id": f"r{number}", **fields}
    return msgspec.structs.replace(SETTLED, **names)


def entry(place: int, content: str = "?", **fields: Any) -> Entry:
    """A user's entry of the turn `t1`."""
    text = msgspec.json.encode(content)
    known: dict[str, Any] = {"turn_id": "t1", "role": "user", "status": "complete", **fields}
    return Entry(
        place=place, content=text, created_at=3, byte_count=len(text), token_count=1, **known
    )


def answer(place: int, content: str = "!", **fields: Any) -> Entry:
    """An entry of the model's."""
    return entry(place, content, **{"role": "assistant", **fields})


def change(version: int, *entries: Entry, **fields: Any) -> Change:
    """What a write does to the session that is of this `version`."""
    session = msgspec.structs.replace(SESSION, version=version)
    return Change(**{"session": session, "entries": entries, **fields})


async def begin(ledger: Ledger, *entries: Entry, session_id: str = "s1", number: int = 1) -> None:
    """Make a session with the first turn's question."""
    session = msgspec.structs.replace(SESSION, session_id=session_id)
    opened = turn(number, session_id=session_id)
    first = change(0, *(entries or (entry(0),)), session=session)
    begun = await ledger.begin_turn(first, opened, is_new=True)
    assert begun.outcome == "begun"


async def loaded(ledger: Ledger, session_id: str = "s1") -> StoredSession:
    """The session, which is there."""
    stored = await ledger.load_session(session_id)
    assert stored is not None
    return stored


def contents(entries: list[Entry]) -> list[str]:
    """What they say."""
    return [msgspec.json.decode(one.content) for one in entries]


async def page(
    ledger: Ledger, session_id: str, limit: int = 100, before: int | None = None
) -> list[Entry]:
    """What people are shown of a session that is there."""
    entries = await ledger.page_entries(session_id, limit, before)
    assert entries is not None
    return entries


async def statements(ledger: Ledger) -> list[str]:
    """The first words of every statement from now on, in either thread."""
    seen: list[str] = []

    def work() -> None:
        connection: Any = ledger._db.get_connection()
        connection.set_trace_callback(lambda sql: seen.append(" ".join(sql.split()[:3])))

    for thread in (ledger._thread, ledger._reader):
        await thread.read(work)
    seen.clear()
    return seen
