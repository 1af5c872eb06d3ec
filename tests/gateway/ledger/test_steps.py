"""A database that a former gateway has written is stepped forward, and loses nothing."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest

from gateway.ledger import steps as ledger_steps
from gateway.ledger.ledger import Ledger
from gateway.ledger.schema import SCHEMA_VERSION
from gateway.ledger.steps import step_forward
from gateway.ledger.unusable import LedgerUnusable
from protocol.records import Attached, Change, Container, Entry
from tests.gateway.ledger.support import open_ledger, page, turn
from tests.gateway.media.test_pictures import document, image, pdf, png

# Version 1, as pony made it.
VERSION_1 = """
CREATE TABLE "Message" (
  "number" INTEGER PRIMARY KEY AUTOINCREMENT,
  "session_id" TEXT NOT NULL, "turn_id" TEXT NOT NULL, "role" TEXT NOT NULL,
  "content" TEXT NOT NULL, "status" TEXT NOT NULL, "created_at" BIGINT NOT NULL,
  "byte_count" BIGINT NOT NULL, "token_count" BIGINT NOT NULL
);
CREATE INDEX "idx_message__session_id_number" ON "Message" ("session_id", "number");
CREATE TABLE "Meta" ("name" TEXT NOT NULL PRIMARY KEY, "value" INTEGER NOT NULL);
CREATE TABLE "Session" (
  "session_id" TEXT NOT NULL PRIMARY KEY, "agent_id" TEXT NOT NULL, "model" TEXT NOT NULL,
  "system" TEXT, "tools" TEXT, "title" TEXT, "created_at" BIGINT NOT NULL,
  "last_active_at" BIGINT NOT NULL, "message_count" INTEGER NOT NULL
);
CREATE INDEX "idx_session__last_active_at" ON "Session" ("last_active_at");
CREATE TABLE "Turn" (
  "turn_id" TEXT NOT NULL PRIMARY KEY, "session_id" TEXT NOT NULL, "request_id" TEXT NOT NULL,
  "model" TEXT NOT NULL, "status" TEXT NOT NULL, "created_at" BIGINT NOT NULL,
  "settled_at" BIGINT, "stop_reason" TEXT, "error_code" TEXT, "counted_tokens" BIGINT NOT NULL,
  "uncached" BIGINT NOT NULL, "cache_read" BIGINT NOT NULL, "cache_write5m" BIGINT NOT NULL,
  "cache_write1h" BIGINT NOT NULL, "output" BIGINT NOT NULL, "thinking" BIGINT NOT NULL,
  "web_searches" BIGINT NOT NULL, "estimated" BOOLEAN NOT NULL, "input_cost" BIGINT,
  "output_cost" BIGINT
);
CREATE INDEX "idx_turn__created_at" ON "Turn" ("created_at");
CREATE INDEX "idx_turn__session_id_request_id" ON "Turn" ("session_id", "request_id");
CREATE INDEX "idx_turn__status" ON "Turn" ("status");
INSERT INTO Meta VALUES ('schema', 1);
INSERT INTO Session VALUES ('s1', 'default', 'm', NULL, NULL, 'T', 1, 2, 0);
INSERT INTO Turn VALUES ('t1', 's1', 'r1', 'm', 'completed', 5, 9, 'end_turn', NULL, 7, 8, 1, 0, 0,
  4, 2, 1, 0, 3000000, 100000000000);
"""
CALL = {"type": "tool_use", "id": "c1", "name": "brew", "input": {}}
RESULT = {
    "type": "tool_result",
    "tool_use_id": "c1",
    "content": "This tool was not run.",
    "is_error": True,
}
SEARCH = {"type": "server_tool_use", "id": "c2", "name": "find", "input": {"tool_use": 1}}
TEXT = {"type": "text", "text": "Tea?"}


def old_file(folder: Path, *messages: tuple[str, str, Any]) -> Path:
    """A database of version 1 with messages: turn, role, content."""
    path = folder / "ledger.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(VERSION_1)
        for turn_id, role, content in messages:
            text = json.dumps(content, separators=(",", ":"))
            database.execute(
                "INSERT INTO Message (session_id, turn_id, role, content, status, created_at, "
                "byte_count, token_count) VALUES ('s1', ?, ?, ?, 'complete', 3, ?, 1)",
                (turn_id, role, text, len(text)),
            )
        database.execute("UPDATE Session SET message_count = ?", (len(messages),))
        database.commit()
    return path


def step_forward_to(version: int, path: Path) -> None:
    """As the gateway did that knew this version."""
    steps = ledger_steps._STEPS[:version]
    with mock.patch.multiple("gateway.ledger.steps", SCHEMA_VERSION=version, _STEPS=steps):
        step_forward(path)


async def stepped(path: Path) -> list[Entry]:
    """The entries after the step."""
    async with open_ledger(path.parent) as ledger:
        session = await ledger.load_session("s1")
        entries = await page(ledger, "s1", 100)
        assert session is not None
        assert session.session.message_count == session.next_place == len(entries)
        row = await ledger.load_turn("s1", "t1")
        assert row is not None
        assert (row.counts.input, row.steps, row.weights) == (9, (), ())
        assert row.cost is not None
        assert str(row.cost.total_cost) == "0.100003"
    return entries


def told(entries: list[Entry]) -> list[tuple[str, str, Any]]:
    """Turn, role and content of each."""
    return [(one.turn_id, one.role, json.loads(one.content)) for one in entries]


async def test_sessions_messages_and_turns_are_kept(tmp_path: Path) -> None:
    """As they were; the file is of the new version, and opens again."""
    said = [("t1", "user", "Hi"), ("t1", "assistant", [TEXT]), ("t2", "user", '"tool_use"')]
    path = old_file(tmp_path, *said)
    for _ in range(2):
        entries = await stepped(path)
        assert told(entries) == said
        assert [one.place for one in entries] == [0, 1, 2]
        assert {one.media_tokens for one in entries} == {0}
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT value FROM Meta").fetchall() == [(SCHEMA_VERSION,)]


async def test_a_cost_is_an_estimate_where_its_tokens_were(tmp_path: Path) -> None:
    """A row of version 4 did not say it of the cost; one without a cost has none to say it of."""
    path = old_file(tmp_path)
    with closing(sqlite3.connect(path)) as database, database:
        for number, (estimated, cost) in enumerate([(1, 5), (0, 5), (1, None)], 2):
            database.execute(
                "INSERT INTO Turn SELECT ?, session_id, ?, model, status, created_at, settled_at, "
                "stop_reason, error_code, counted_tokens, uncached, cache_read, cache_write5m, "
                "cache_write1h, output, thinking, web_searches, ?, ?, ? FROM Turn "
                "WHERE turn_id = 't1'",
                (f"t{number}", f"r{number}", estimated, cost, cost),
            )
    async with open_ledger(tmp_path) as ledger:
        costs = [await ledger.load_turn("s1", f"t{number}") for number in range(1, 5)]
        (total,) = (await ledger.total_usage(None, None, None)).models
    told = [row.cost and row.cost.estimated for row in costs if row is not None]
    assert told == [False, True, False, None]
    assert (total.requests, total.unpriced, total.estimated) == (4, 1, 1)


async def test_pictures_of_old_messages_are_counted(tmp_path: Path) -> None:
    """Those in tools' answers too; what weighs nothing is not looked at."""
    picture = image(png(300, 200))
    page = document(pdf(1))
    result = {"type": "tool_result", "tool_use_id": "c1", "content": [picture, TEXT]}
    said = [("t1", "user", [picture, page, TEXT]), ("t1", "assistant", [TEXT])]
    path = old_file(tmp_path, *said, ("t2", "user", [result]), ("t3", "user", "Hi"))
    step_forward_to(2, path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE Message SET media_tokens = 99 WHERE number IN (1, 3)")
        database.commit()
    attached = [one.attached for one in await stepped(path)]
    assert attached == [
        Attached(pictures=1, documents=1, edge=300),
        Attached(),
        Attached(pictures=1, edge=300),
        Attached(),
    ]


async def test_a_call_that_nobody_answered_gets_its_result_in_its_own_turn(
    tmp_path: Path,
) -> None:
    """Right after it; the questions that used to answer it are questions alone."""
    path = old_file(
        tmp_path,
        ("t1", "user", "Hi"),
        ("t1", "assistant", [TEXT, CALL]),
        ("t2", "user", [RESULT, TEXT]),
        ("t3", "user", [RESULT, TEXT]),
        ("t3", "assistant", [TEXT]),
        ("t4", "user", "tool_result"),
        ("t4", "assistant", [SEARCH]),
    )
    for _ in range(2):
        entries = await stepped(path)
        assert told(entries) == [
            ("t1", "user", "Hi"),
            ("t1", "assistant", [TEXT, CALL]),
            ("t1", "user", [RESULT]),
            ("t2", "user", [TEXT]),
            ("t3", "user", [TEXT]),
            ("t3", "assistant", [TEXT]),
            ("t4", "user", "tool_result"),
            ("t4", "assistant", [SEARCH]),
        ]
        assert [one.place for one in entries] == list(range(8))
        assert all(one.byte_count == len(one.content) for one in entries)
        assert all(one.token_count for one in entries)


async def test_a_step_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is of the old version still, every row of it."""
    path = old_file(tmp_path, ("t1", "user", "Hi"), ("t1", "assistant", [CALL]))

    def dump() -> list[str]:
        with closing(sqlite3.connect(path)) as database:
            return list(database.iterdump())

    before = dump()

    def breaks(_database: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("gateway.ledger.steps._count_thinking", breaks)
    with pytest.raises(LedgerUnusable, match="disk I/O"):
        await Ledger(path, queue_size=10).open()
    assert dump() == before


def test_a_file_without_tables_is_left_to_be_made(tmp_path: Path) -> None:
    """As one is that is not there, or one that ended before it had a version."""
    path = tmp_path / "ledger.db"
    step_forward(path)
    assert not path.exists()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE Meta (name TEXT, value INTEGER)")
    step_forward(path)
    path.write_bytes(b"")
    step_forward(path)


async def test_an_old_turn_of_two_models_is_found_as_one(tmp_path: Path) -> None:
    """Its requests tell of both; one whose requests cannot be read stays in the sum of one."""
    path = old_file(tmp_path)
    step_forward_to(6, path)
    counts, asked = {"uncached": 4, "cacheRead": 1}, {"model": "n", "asked": "m"}
    step = {"counts": counts, "stop_reason": None, "estimated": False, "counted_tokens": 1}
    both = json.dumps([step, {**step, "terms": asked}])
    with closing(sqlite3.connect(path)) as database, database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(Turn)")]
        kept = ", ".join(one for one in columns if one not in ("turn_id", "request_id", "steps"))
        for number, steps in enumerate((both, json.dumps([{**step, "terms": asked}]), '{"model"')):
            database.execute(
                f"INSERT INTO Turn (turn_id, request_id, steps, {kept}) "
                f"SELECT ?, ?, ?, {kept} FROM Turn WHERE turn_id = 't1'",
                (f"t{number + 2}", f"r{number + 2}", steps),
            )
    async with open_ledger(tmp_path) as ledger:
        totals = await ledger.total_usage(None, None, None)
    assert [row.turn_id for row in totals.mixed] == ["t2"]
    assert [one.requests for one in totals.models] == [3]


async def test_a_session_from_before_containers_has_none_and_can_have_one(tmp_path: Path) -> None:
    """The column is new; what is written into it is read again."""
    path = old_file(tmp_path, ("t1", "user", "Hi"), ("t1", "assistant", [TEXT]))
    step_forward_to(5, path)
    async with open_ledger(tmp_path) as ledger:
        stored = await ledger.load_session("s1")
        assert stored is not None
        assert stored.session.container is None
        kept = msgspec.structs.replace(
            stored.session, container=Container(id="container_1", since=1, idle_until=2)
        )
        await ledger.begin_turn(Change(session=kept), turn(9, session_id="s1"), is_new=False)
    async with open_ledger(tmp_path) as ledger:
        stored = await ledger.load_session("s1")
        assert stored is not None
        assert stored.session.container == kept.container
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE Session SET container = '{'")
    async with open_ledger(tmp_path) as ledger:  # one broken row breaks no list
        (listed,) = await ledger.list_sessions(10, None)
        assert listed.container is None
