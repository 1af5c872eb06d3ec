"""The ledger's tables, and how money is kept in them."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial
from typing import Any

from pony import orm

from protocol.usage import PLACES

SCHEMA_VERSION = 7

MOST_PICO = 2**63 - 1
"""What a column holds: nine million dollars. A turn that costs more is taken down as this."""


def to_pico(amount: Decimal) -> int:
    """Whole picodollars: at $0.01 a million tokens, a token costs 10,000 of them."""
    return min(int(amount.scaleb(PLACES).to_integral_value(ROUND_HALF_EVEN)), MOST_PICO)


def from_pico(pico: int) -> Decimal:
    """USD."""
    return Decimal(pico).scaleb(-PLACES).normalize() + Decimal(0)


_text = partial(str, encoding="utf-8", errors="replace")
"""How a column's text is read: by itself, SQLite fails a whole query for one broken character."""


def define(db: orm.Database) -> None:
    """Declare the tables on `db`. Times are milliseconds since the epoch, UTC."""

    class Meta(db.Entity):  # type: ignore[misc]
        name = orm.PrimaryKey(str)
        value = orm.Required(int)

    class Session(db.Entity):  # type: ignore[misc]
        session_id = orm.PrimaryKey(str)
        agent_id = orm.Required(str)
        model = orm.Required(str)
        system = orm.Optional(orm.LongStr, lazy=False, nullable=True, autostrip=False)
        tools = orm.Optional(orm.LongStr, lazy=False, nullable=True, autostrip=False)
        title = orm.Optional(str, nullable=True, autostrip=False)
        created_at = orm.Required(int, size=64)
        last_active_at = orm.Required(int, size=64, index=True)
        message_count = orm.Required(int)
        version = orm.Required(int)
        container = orm.Optional(orm.LongStr, lazy=False, nullable=True, autostrip=False)

    class Entry(db.Entity):  # type: ignore[misc]
        session_id = orm.Required(str)
        place = orm.Required(int)
        turn_id = orm.Required(str)
        role = orm.Required(str)
        content = orm.Required(orm.LongStr, lazy=False, autostrip=False)
        status = orm.Required(str)
        created_at = orm.Required(int, size=64)
        byte_count = orm.Required(int, size=64)
        token_count = orm.Required(int, size=64)
        thinking_tokens = orm.Required(int, size=64)
        media_tokens = orm.Required(int, size=64)
        pictures = orm.Required(int)
        documents = orm.Required(int)
        edge = orm.Required(int)
        model = orm.Optional(str, autostrip=False)
        sections = orm.Required(orm.LongStr, lazy=False, autostrip=False, sql_default="'[]'")
        orm.PrimaryKey(session_id, place)

    class Head(db.Entity):  # type: ignore[misc]
        session_id = orm.Required(str)
        epoch = orm.Required(int)
        first = orm.Required(int)
        began = orm.Required(int)
        system = orm.Required(orm.LongStr, lazy=False, autostrip=False)
        tools = orm.Required(orm.LongStr, lazy=False, autostrip=False)
        bare = orm.Required(int)
        inside_turn = orm.Required(bool)
        left_out_turns = orm.Required(int)
        left_out_messages = orm.Required(int)
        orm.PrimaryKey(session_id, epoch)

    class Turn(db.Entity):  # type: ignore[misc]
        turn_id = orm.PrimaryKey(str)
        session_id = orm.Required(str)
        request_id = orm.Required(str)
        orm.composite_key(session_id, request_id)
        model = orm.Required(str)
        status = orm.Required(str)
        orm.composite_index(status, session_id)  # few rows are open: those of a session are found
        created_at = orm.Required(int, size=64, index=True)
        settled_at = orm.Optional(int, size=64, nullable=True)
        stop_reason = orm.Optional(str, nullable=True)
        error_code = orm.Optional(str, nullable=True)
        counted_tokens = orm.Required(int, size=64)
        uncached = orm.Required(int, size=64)
        cache_read = orm.Required(int, size=64)
        cache_write5m = orm.Required(int, size=64)
        cache_write1h = orm.Required(int, size=64)
        output = orm.Required(int, size=64)
        thinking = orm.Required(int, size=64)
        web_searches = orm.Required(int, size=64)
        estimated = orm.Required(bool)
        input_cost = orm.Optional(int, size=64, nullable=True)
        output_cost = orm.Optional(int, size=64, nullable=True)
        steps = orm.Required(orm.LongStr, lazy=False)
        token_estimate = orm.Required(int, size=64)
        cost_estimate = orm.Optional(int, size=64, nullable=True)
        weights = orm.Required(orm.LongStr, lazy=False)
        cost_estimated = orm.Required(bool)
        mixed = orm.Required(bool)

    @db.on_connect(provider="sqlite")  # type: ignore[untyped-decorator]
    def _prepare(_db: orm.Database, connection: Any) -> None:
        connection.text_factory = _text
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA busy_timeout = 100")

    # pony collects the classes by itself; naming them here says that they are meant.
    assert {Meta, Session, Entry, Head, Turn} <= set(db.entities.values())
