"""The ledger's schema, stepped forward from what a former gateway has written.

pony has no migrations: it compares its tables with those in the file and gives up. So the steps are
plain SQL, in one transaction with the new version, before pony sees the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from actors.attachments import attached_by
from actors.context.estimate.counting import countable
from actors.ports import MediaWeight
from gateway.ledger.schema import SCHEMA_VERSION
from gateway.media.pictures import longest_edge
from protocol.errors import LedgerUnavailable
from protocol.provider.content import Block
from protocol.records import Attached
from protocol.tools import NOT_RUN, tool_result

BYTES_A_TOKEN = 4
"""A rough figure for the few messages that a step writes."""

_blocks = msgspec.json.Decoder(list[Block] | str)
_encode = msgspec.json.Encoder().encode


def step_forward(path: Path) -> None:
    """Bring the file at `path`, if there is one, to this gateway's schema (blocking).

    Raises LedgerUnavailable for a file of a newer gateway, sqlite3.Error for one that is unusable.
    """
    if not path.exists():
        return
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        version = _version(database)
        if version is None or version == SCHEMA_VERSION:
            return
        if version > SCHEMA_VERSION:
            raise LedgerUnavailable(
                f"its schema version is {version}, and this gateway knows {SCHEMA_VERSION}: a "
                "newer gateway has written it"
            )
        database.execute("BEGIN IMMEDIATE")
        for step in _STEPS[version:]:
            step(database)
        database.execute("UPDATE Meta SET value = ? WHERE name = 'schema'", (SCHEMA_VERSION,))
        database.execute("COMMIT")


def _version(database: sqlite3.Connection) -> int | None:
    """The file's version; `None` when it has no tables yet."""
    tables = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'Meta'").fetchone()
    if tables is None:
        return None
    row = database.execute("SELECT value FROM Meta WHERE name = 'schema'").fetchone()
    return None if row is None else int(row[0])


def _to_2(database: sqlite3.Connection) -> None:
    """A turn may have several requests, and closes its own tool calls."""
    for column in (
        "Message ADD COLUMN media_tokens BIGINT NOT NULL DEFAULT 0",
        "Turn ADD COLUMN steps TEXT NOT NULL DEFAULT '[]'",
        "Turn ADD COLUMN token_estimate BIGINT NOT NULL DEFAULT 0",
        "Turn ADD COLUMN cost_estimate BIGINT",
        "Turn ADD COLUMN weights TEXT NOT NULL DEFAULT '[]'",
    ):
        database.execute(f"ALTER TABLE {column}")
    calls = [*_open_calls(database)]
    if not calls:
        return
    # Each result belongs right behind its call, and a message's number is its place: make gaps.
    database.execute("UPDATE Message SET number = -2 * number")
    database.execute("UPDATE Message SET number = -number")
    for number, ids in calls:
        _answer(database, 2 * number, ids)
    _withdraw_late_results(database)


def _to_3(database: sqlite3.Connection) -> None:
    """A message knows how many pictures and documents it has, and how large they are."""
    for column in ("pictures", "documents", "edge"):
        database.execute(f"ALTER TABLE Message ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
    rows = database.execute(
        "SELECT number FROM Message WHERE media_tokens > 0 OR instr(content, '\"document\"')"
    ).fetchall()
    for (number,) in rows:
        (content,) = database.execute(
            "SELECT content FROM Message WHERE number = ?", (number,)
        ).fetchone()
        _, media = countable(content.encode())
        each = (attached_by(block, MediaWeight(0, longest_edge(block))) for block in media)
        found = sum(each, Attached())
        database.execute(
            "UPDATE Message SET pictures = ?, documents = ?, edge = ? WHERE number = ?",
            (found.pictures, found.documents, found.edge, number),
        )


def _open_calls(database: sqlite3.Connection) -> Iterator[tuple[int, list[str]]]:
    """The answers, each the last message of its turn, that call tools, with the calls' ids."""
    rows = database.execute(
        "SELECT number, content FROM Message WHERE role = 'assistant' AND number IN "
        "(SELECT max(number) FROM Message GROUP BY session_id, turn_id) "
        "AND instr(content, '\"tool_use\"')"
    )
    for number, content in rows:
        ids = [block["id"] for block in _decode(content) if block.get("type") == "tool_use"]
        if ids:
            yield number, ids


def _answer(database: sqlite3.Connection, number: int, ids: list[str]) -> None:
    content = _encode([tool_result(call, NOT_RUN) for call in ids])
    database.execute(
        "INSERT INTO Message (number, session_id, turn_id, role, content, status, created_at, "
        "byte_count, token_count, media_tokens) SELECT number + 1, session_id, turn_id, 'user', "
        "?, 'complete', created_at, ?, ?, 0 FROM Message WHERE number = ?",
        (content.decode(), len(content), len(content) // BYTES_A_TOKEN, number),
    )
    database.execute(
        "UPDATE Session SET message_count = message_count + 1 WHERE session_id = "
        "(SELECT session_id FROM Message WHERE number = ?)",
        (number,),
    )


def _withdraw_late_results(database: sqlite3.Connection) -> None:
    """A call used to be answered by the next question, which now is a question alone."""
    rows = database.execute(
        "SELECT number, content FROM Message WHERE role = 'user' AND number IN "
        "(SELECT min(number) FROM Message GROUP BY session_id, turn_id) "
        "AND instr(content, '\"tool_result\"')"
    ).fetchall()
    for number, text in rows:
        rest = [block for block in _decode(text) if block.get("type") != "tool_result"]
        if rest:
            content = _encode(rest)
            database.execute(
                "UPDATE Message SET content = ?, byte_count = ? WHERE number = ?",
                (content.decode(), len(content), number),
            )


def _decode(content: str) -> list[Block]:
    blocks: Any = _blocks.decode(content)
    return [] if isinstance(blocks, str) else blocks


_STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (lambda _: None, _to_2, _to_3)
"""By the version that they step from; there was none before 1."""
