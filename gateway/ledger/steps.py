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
from actors.ports import MediaWeight
from gateway.ledger.schema import SCHEMA_VERSION
from gateway.ledger.writes import unique_request
from gateway.media.pictures import longest_edge
from protocol.errors import LedgerUnavailable
from protocol.provider.content import Block
from protocol.records import Attached, StepRecord, billed_models
from protocol.tools import NOT_RUN, tool_result

BYTES_A_TOKEN = 4
"""A rough figure for the few messages that a step writes."""

# The table as pony would make it; pony itself makes the one for heads, of which there are none yet.
_ENTRY = """
CREATE TABLE "Entry" (
  "session_id" TEXT NOT NULL, "place" INTEGER NOT NULL, "turn_id" TEXT NOT NULL,
  "role" TEXT NOT NULL, "content" TEXT NOT NULL, "status" TEXT NOT NULL,
  "created_at" BIGINT NOT NULL, "byte_count" BIGINT NOT NULL, "token_count" BIGINT NOT NULL,
  "thinking_tokens" BIGINT NOT NULL, "media_tokens" BIGINT NOT NULL, "pictures" INTEGER NOT NULL,
  "documents" INTEGER NOT NULL, "edge" INTEGER NOT NULL, "model" TEXT NOT NULL,
  "sections" TEXT DEFAULT '[]' NOT NULL,
  PRIMARY KEY ("session_id", "place")
)
"""
_MOVE = """
INSERT INTO Entry SELECT session_id,
  row_number() OVER (PARTITION BY session_id ORDER BY number) - 1, turn_id, role, content, status,
  created_at, byte_count, token_count, 0, media_tokens, pictures, documents, edge, '', '[]'
FROM Message
"""
_UNANSWERED = """
UPDATE Entry SET status = 'unanswered' WHERE (session_id, turn_id) NOT IN
  (SELECT session_id, turn_id FROM Entry WHERE role = 'assistant')
"""
_REFUSED = """
UPDATE Entry SET status = 'refused' WHERE (session_id, turn_id) IN
  (SELECT session_id, turn_id FROM Message WHERE status = 'refused'
  UNION SELECT session_id, turn_id FROM Turn WHERE stop_reason = 'refusal')
"""
_TURN_INDEXES = (
    'DROP INDEX "idx_turn__session_id_request_id"',
    'CREATE UNIQUE INDEX "unq_turn__session_id_request_id" ON "Turn" ("session_id", "request_id")',
    'DROP INDEX "idx_turn__status"',
    'CREATE INDEX "idx_turn__status_session_id" ON "Turn" ("status", "session_id")',
)

_blocks = msgspec.json.Decoder(list[Block] | str)
_steps = msgspec.json.Decoder(tuple[StepRecord, ...])
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
    # Each result belongs right after its call, and a message's number is its place: make gaps.
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
        media = _media(_decode(content))
        each = (attached_by(block, MediaWeight(0, longest_edge(block))) for block in media)
        found = sum(each, Attached())
        database.execute(
            "UPDATE Message SET pictures = ?, documents = ?, edge = ? WHERE number = ?",
            (found.pictures, found.documents, found.edge, number),
        )


def _to_4(database: sqlite3.Connection) -> None:
    """A session is a transcript: entries with a place, which say whether the model gets them.

    Before, each request looked this up in the turn: it left out a turn that the model refused, and
    a turn without an answer. A refusal without text has left no message: only its row tells of it.
    """
    database.execute("ALTER TABLE Session ADD COLUMN version INTEGER NOT NULL DEFAULT 0")
    for statement in (_ENTRY, _MOVE, _UNANSWERED, _REFUSED):
        database.execute(statement)
    database.execute("DROP TABLE Message")
    _count_thinking(database)
    _keep_one_turn_a_request(database)
    for statement in _TURN_INDEXES:
        database.execute(statement)


def _to_5(database: sqlite3.Connection) -> None:
    """A cost may be an estimate; before, it was one where the tokens were."""
    database.execute("ALTER TABLE Turn ADD COLUMN cost_estimated BOOLEAN NOT NULL DEFAULT 0")
    database.execute("UPDATE Turn SET cost_estimated = estimated WHERE input_cost IS NOT NULL")


def _to_6(database: sqlite3.Connection) -> None:
    """A session keeps the container in which its code was executed."""
    database.execute('ALTER TABLE "Session" ADD COLUMN "container" TEXT')


def _to_7(database: sqlite3.Connection) -> None:
    """A turn that several models were billed for says so; its requests have what each was."""
    database.execute("ALTER TABLE Turn ADD COLUMN mixed BOOLEAN NOT NULL DEFAULT 0")
    rows = database.execute(
        "SELECT turn_id, model, steps FROM Turn WHERE instr(steps, '\"model\"')"
    ).fetchall()
    mixed = [(turn_id,) for turn_id, model, steps in rows if _is_mixed(model, steps)]
    database.executemany("UPDATE Turn SET mixed = 1 WHERE turn_id = ?", mixed)


def _is_mixed(model: str, steps: str) -> bool:
    try:
        return len(billed_models(model, _steps.decode(steps))) > 1
    except (msgspec.DecodeError, UnicodeError, TypeError, RecursionError):
        return False  # what cannot be read is of one model


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


def _media(blocks: list[Block]) -> Iterator[Block]:
    """The pictures and documents, those in the results of tools too."""
    for block in blocks:
        match block:
            case {"type": "image" | "document"}:
                yield block
            case {"type": "tool_result", "content": list(parts)}:
                yield from _media(parts)


def _keep_one_turn_a_request(database: sqlite3.Connection) -> None:
    """The first turn of a request keeps its name; no later one is lost, for it may be billed."""
    later = database.execute(
        "SELECT turn_id, request_id FROM (SELECT turn_id, request_id, row_number() OVER "
        "(PARTITION BY session_id, request_id ORDER BY created_at, turn_id) AS number FROM Turn) "
        "WHERE number > 1"
    ).fetchall()
    database.executemany(
        "UPDATE Turn SET request_id = ? WHERE turn_id = ?",
        [(unique_request(request_id, turn_id), turn_id) for turn_id, request_id in later],
    )


def _count_thinking(database: sqlite3.Connection) -> None:
    """About how much of an entry's tokens are the model's thinking."""
    database.create_function("thinking_bytes", 1, _thinking_bytes, deterministic=True)
    database.execute(
        "UPDATE Entry SET thinking_tokens = min(token_count, thinking_bytes(content) / ?) "
        "WHERE role = 'assistant' AND instr(content, '\"thinking\"')",
        (BYTES_A_TOKEN,),
    )


def _thinking_bytes(content: str) -> int:
    return sum(len(str(block.get("thinking", "")).encode()) for block in _decode(content))


def _decode(content: str) -> list[Block]:
    blocks: Any = _blocks.decode(content)
    return [] if isinstance(blocks, str) else blocks


_STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    lambda _: None,
    _to_2,
    _to_3,
    _to_4,
    _to_5,
    _to_6,
    _to_7,
)
"""By the version that they step from; there was none before 1."""
