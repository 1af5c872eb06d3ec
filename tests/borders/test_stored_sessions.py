"""What stands in the rows of one session harms no other, and no list of them.

Public report of the fault: ReviewStage/luke 851.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support import Talk, open_world, text_of

GARBAGE: list[Any] = [
    "\ud7ff[{",
    "",
    "9" * 30,
    b"\xff\xfe",
    -1,
    2**63 - 1,
    0.5,
    "CAST(x'22ff22' AS TEXT)",
    '[{"type": "text"}, 7]',
    "[" * 100_000,
]
"""Of every type that SQLite stores: an expression in the one case that no parameter can be."""

KEYS = {"session_id", "turn_id"}
UNREADABLE = "damaged and cannot be read"


def columns(database: sqlite3.Connection, table: str) -> list[str]:
    """Those that a table has."""
    return [row[1] for row in database.execute(f"PRAGMA table_info({table})")]


def copy(database: sqlite3.Connection, template: str, name: str) -> None:
    """A session with the rows of another."""
    for table in ("Session", "Head", "Entry"):
        rest = ", ".join(one for one in columns(database, table) if one != "session_id")
        database.execute(
            f"INSERT INTO {table} (session_id, {rest}) SELECT ?, {rest} FROM {table} "
            "WHERE session_id = ?",
            (name, template),
        )


def spoiled(folder: Path, template: str) -> Iterator[str]:
    """Copies of a session, each with something strange in one column of its newest row."""
    with closing(sqlite3.connect(folder / "ledger.db")) as database, database:
        for table, newest in (("Session", ""), ("Head", "epoch"), ("Entry", "place")):
            for column in set(columns(database, table)) - KEYS:
                for number, value in enumerate(GARBAGE):
                    name = f"{table}.{column}.{number}"
                    copy(database, template, name)
                    is_raw = str(value).startswith("CAST")
                    where = (
                        f"AND {newest} = (SELECT max({newest}) FROM {table} WHERE session_id = ?)"
                    )
                    database.execute(
                        f"UPDATE {table} SET {column} = {value if is_raw else '?'} "
                        f"WHERE session_id = ? {where if newest else ''}",
                        (*(() if is_raw else (value,)), name, *((name,) if newest else ())),
                    )
                    yield name


async def listed(talk: Talk) -> set[str]:
    """Every session, page by page."""
    found: set[str] = set()
    before: dict[str, str] = {}
    while True:
        page = await talk.ask("session.list", limit=50, **before)
        assert page["type"] == "session.list", page
        found |= {session["sessionId"] for session in page["sessions"]}
        if "next" not in page:
            return found
        before = {"before": page["next"]}


async def test_a_session_with_a_strange_row_harms_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is answered or told to be damaged; lists go on, and it can be deleted."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        first = await talk.turn("Is the row sound?")
        template = first[0]["sessionId"]
        await talk.turn("Still?", sessionId=template)
    names = list(spoiled(tmp_path, template))
    caplog.set_level(logging.WARNING)
    async with open_world(tmp_path) as world, world.talk() as talk:
        sane = await listed(talk)
        assert template in sane
        assert len(sane) > len(names) / 2
        for name in names:
            page = await talk.ask("session.history", sessionId=name)
            inspection = await talk.ask("context.inspect", sessionId=name, content="And now?")
            for answer in (page, inspection):
                assert "mistake" not in answer.get("message", ""), (name, answer)
            if inspection["type"] == "error":
                assert UNREADABLE in inspection["message"], (name, inspection)
                deleted = await talk.ask("session.delete", sessionId=name)
                assert deleted["type"] == "session.deleted"
            else:
                end = (await talk.turn("And now?", sessionId=name))[-1]
                assert "mistake" not in end.get("message", ""), (name, end)
        frames = await talk.turn("And you?", sessionId=template)
        assert text_of(frames)
        assert frames[-1]["type"] == "chat.stream.end"
    assert not [one for one in caplog.records if one.exc_info]
