"""A database as the last gateway of schema 3 has left it: `fixtures/schema_3.sql` says what of."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from gateway.ledger.ledger import Ledger
from gateway.ledger.steps import step_forward
from protocol.provider.content import Block
from protocol.records import Attached, Entry, SessionRecord, StoredSession
from tests.gateway.ledger.support import change, entry, open_ledger, page, turn

FIXTURE = Path(__file__).parent / "fixtures" / "schema_3.sql"
TITLES = (
    "Where is Kiel?",
    "Tides?",
    "How many lighthouses are there?",
    "Tell me a story.",
    "Good morning.",
    "May I ask you something?",
    "What is this?",
    "2 + 2?",
    "Ready to sail?",
)

decode = msgspec.json.Decoder(list[Block] | str).decode


class Message(NamedTuple):
    """A message of schema 3."""

    session_id: str
    turn_id: str
    role: str
    content: str
    status: str
    token_count: int


def connect(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file, not stepped forward yet."""
    path = tmp_path / "ledger.db"
    with connect(path) as database:
        database.executescript(FIXTURE.read_text("utf-8"))
    return path


def messages(path: Path) -> list[Message]:
    """All messages of the old file, in their order."""
    with connect(path) as database:
        columns = ", ".join(Message._fields)
        return [Message(*row) for row in database.execute(f"SELECT {columns} FROM Message")]


async def session(ledger: Ledger, title: str) -> SessionRecord:
    """The session of this title."""
    (found,) = [one for one in await ledger.list_sessions(100, None) if one.title == title]
    return found


async def load(ledger: Ledger, title: str) -> StoredSession:
    """The same as it goes upstream."""
    stored = await ledger.load_session((await session(ledger, title)).session_id)
    assert stored is not None
    return stored


async def shown(ledger: Ledger, title: str) -> list[Entry]:
    """The same as people see it."""
    return await page(ledger, (await session(ledger, title)).session_id)


def blocks(entries: list[Entry]) -> Iterator[Block]:
    """The blocks of all entries that have some."""
    for one in entries:
        content = decode(one.content)
        yield from () if isinstance(content, str) else content


async def test_nothing_is_lost_and_no_byte_is_changed(path: Path) -> None:
    """Each session has its messages in their order, from the place 0 without a gap."""
    before = messages(path)
    async with open_ledger(path.parent) as ledger:
        listed = await ledger.list_sessions(100, None)
        assert sorted(one.title or "" for one in listed) == sorted(TITLES)
        for one in listed:
            former = [message for message in before if message.session_id == one.session_id]
            entries = await page(ledger, one.session_id, 100)
            assert [
                (entry.turn_id, entry.role, entry.content.decode(), entry.token_count)
                for entry in entries
            ] == [
                (message.turn_id, message.role, message.content, message.token_count)
                for message in former
            ]
            assert [entry.place for entry in entries] == list(range(len(former)))
            assert all(entry.byte_count == len(entry.content) for entry in entries)
            assert all(entry.sections == () for entry in entries)
            assert (one.message_count, one.version) == (len(former), 0)


async def test_a_session_of_that_time_has_no_head(path: Path) -> None:
    """All that goes upstream is loaded."""
    async with open_ledger(path.parent) as ledger:
        for title in TITLES:
            stored = await load(ledger, title)
            assert stored.head is None
            assert stored.next_place == stored.session.message_count
            sent = [one for one in await shown(ledger, title) if one in stored.entries]
            assert stored.entries == sent
            assert {one.status for one in sent} <= {"complete", "partial"}


async def statuses(path: Path, title: str) -> list[str]:
    async with open_ledger(path.parent) as ledger:
        return [one.status for one in await shown(ledger, title)]


async def test_a_question_that_was_never_answered_is_marked(path: Path) -> None:
    """The model did not get it then, and does not now."""
    assert await statuses(path, "Good morning.") == [
        *("complete", "complete"),
        "unanswered",
        *("complete", "complete"),
    ]


async def test_a_refused_turn_is_marked_as_a_whole(path: Path) -> None:
    """Its question too, and one that was refused without a word."""
    assert await statuses(path, "May I ask you something?") == [
        *("complete", "complete"),
        *("refused", "refused"),
        "refused",
        *("complete", "complete"),
    ]


async def test_what_was_broken_off_stays_so(path: Path) -> None:
    """It goes upstream as before."""
    assert await statuses(path, "Tell me a story.") == ["complete", "partial", *["complete"] * 2]


async def test_thinking_is_weighed(path: Path) -> None:
    """About a token for four bytes; what is redacted has no text, and an answer no more of it."""
    async with open_ledger(path.parent) as ledger:
        for title in TITLES:
            for one in await shown(ledger, title):
                thought = [block.get("thinking", "") for block in blocks([one])]
                size = sum(len(text.encode()) for text in thought)
                assert one.thinking_tokens == min(size // 4, one.token_count)
        kiel = await shown(ledger, "Where is Kiel?")
        assert [one.thinking_tokens > 0 for one in kiel] == [False, True] * 3


async def test_pictures_are_counted_as_before(path: Path) -> None:
    """With their weight and their longest side."""
    async with open_ledger(path.parent) as ledger:
        question, answer = await shown(ledger, "What is this?")
        assert (question.attached, question.media_tokens) == (Attached(pictures=1, edge=320), 96)
        assert (answer.attached, answer.media_tokens) == (Attached(), 0)


async def test_every_kind_of_block_is_there(path: Path) -> None:
    """The file holds what the step must not break."""
    async with open_ledger(path.parent) as ledger:
        entries = [one for title in TITLES for one in await shown(ledger, title)]
        assert {block["type"] for block in blocks(entries)} == {
            *("thinking", "redacted_thinking", "text", "image"),
            *("tool_use", "tool_result", "server_tool_use", "web_search_tool_result"),
        }
        sailing = await session(ledger, "Ready to sail?")
        assert (sailing.system, sailing.agent_id) == ("Talk like a sailor.", "skipper")
        assert (await session(ledger, "2 + 2?")).model == "claude-opus-4-5"


def sums(path: Path) -> list[tuple[Any, ...]]:
    """What was billed, by model."""
    with connect(path) as database:
        return database.execute(
            "SELECT model, count(*), sum(uncached), sum(output), sum(input_cost), sum(output_cost) "
            "FROM Turn GROUP BY model ORDER BY model"
        ).fetchall()


async def test_every_bill_is_kept(path: Path) -> None:
    """That of the session that was deleted, too."""
    before = sums(path)
    async with open_ledger(path.parent) as ledger:
        totals = (await ledger.total_usage(None, None, None)).models
        assert sum(one.requests for one in totals) == sum(row[1] for row in before) == 21
    assert sums(path) == before


async def test_of_one_request_each_turn_is_kept_under_a_name_of_its_own(path: Path) -> None:
    """The first keeps the request's; a request of the same name in another session is another."""
    with connect(path) as database:
        database.execute("UPDATE Turn SET request_id = 'r1'")
        database.commit()
        rows = database.execute(
            "SELECT turn_id, session_id FROM Turn ORDER BY created_at, turn_id"
        ).fetchall()
    expected, seen = {}, set()
    for turn_id, session_id in rows:
        expected[turn_id] = f"r1#{turn_id}" if session_id in seen else "r1"
        seen.add(session_id)
    before = sums(path)
    step_forward(path)
    assert sums(path) == before
    with connect(path) as database:
        assert dict(database.execute("SELECT turn_id, request_id FROM Turn")) == expected


async def test_a_request_of_that_time_is_known(path: Path) -> None:
    """A turn goes on where the session ended, and its request is not taken twice."""
    async with open_ledger(path.parent) as ledger:
        stored = await load(ledger, "Tides?")
        session_id = stored.session.session_id
        asked = change(0, entry(stored.next_place), session=stored.session)
        again = turn(1, session_id=session_id, request_id="r4")
        begun = await ledger.begin_turn(asked, again, is_new=False)
        (first, *_) = stored.entries
        assert (begun.outcome, begun.turn_id) == ("known", first.turn_id)
        new = turn(1, session_id=session_id, request_id="new")
        begun = await ledger.begin_turn(asked, new, is_new=False)
        assert begun.outcome == "begun"


def columns(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The columns of each table, and what each index is of."""
    with connect(path) as database:
        names = database.execute("SELECT name, tbl_name, type FROM sqlite_master").fetchall()
        found = {
            table: [row[1:4] + row[5:] for row in database.execute(f"PRAGMA table_info({table})")]
            for table, _, kind in names
            if kind == "table" and not table.startswith("sqlite")
        }
        for table in list(found):
            listed = database.execute(f"PRAGMA index_list({table})").fetchall()
            found[f"indexes of {table}"] = sorted(
                (unique, *(row[2] for row in database.execute(f"PRAGMA index_info('{name}')")))
                for _, name, unique, *_ in listed
            )
    return found


async def test_the_tables_are_those_of_a_new_file(path: Path, tmp_path: Path) -> None:
    """Column by column, and with the same indexes."""
    (tmp_path / "new").mkdir()
    async with open_ledger(path.parent), open_ledger(tmp_path / "new"):
        pass
    assert columns(path) == columns(tmp_path / "new" / "ledger.db")
