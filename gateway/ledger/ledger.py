"""The ledger: sessions, their entries and turns in a database (pony, SQLite).

Every method hands one plain function to the database's thread; plain records come back, never
entities.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import trio
from pony import orm

from gateway.ledger import turns, writes
from gateway.ledger.database import DatabaseThread, Health
from gateway.ledger.opening import lock, unusable
from gateway.ledger.rows import (
    EntryRow,
    entry_of,
    head_of,
    session_of,
)
from gateway.ledger.schema import SCHEMA_VERSION, define
from gateway.ledger.steps import step_forward
from protocol.beginning import Begun
from protocol.errors import LedgerUnavailable
from protocol.records import (
    SENT,
    CalibrationRecord,
    Change,
    Entry,
    SessionRecord,
    StoredSession,
    TurnRecord,
    UsageTotals,
)

LEARNED_FROM = 200
"""Requests, the latest ones, from which is learned what the provider bills."""

_SENT = tuple(SENT)


class Ledger:
    """Both stores of `actors.ports`, on one SQLite file; `queue_size` bounds the jobs that wait."""

    def __init__(self, path: Path, *, queue_size: int, stop_seconds: float = 2.0) -> None:
        self._path = path
        self._db = orm.Database()
        self._thread = DatabaseThread(self._db, queue_size=queue_size, stop_seconds=stop_seconds)
        self._lock: IO[str] | None = None

    async def open(self) -> None:
        """Lock and open the file, make or step its schema. Raises LedgerUnusable."""
        self._lock = lock(self._path.with_suffix(".lock"))
        try:
            await self._thread.start(self._bind)
        except LedgerUnavailable as error:
            with trio.CancelScope(shield=True):  # bounded: nothing waits in the thread
                await self.close()
            raise unusable(self._path, error.__cause__ or error) from error

    async def close(self) -> None:
        """Finish what waits and let the file go."""
        await self._thread.stop()
        if self._lock is not None:
            self._lock.close()

    @property
    def waiting(self) -> int:
        """How many jobs wait for their commit."""
        return self._thread.waiting

    @property
    def health(self) -> Health:
        """Whether the database can be written."""
        return self._thread.health

    @property
    def is_well(self) -> bool:
        """Whether the last write could be made."""
        return self.health == "ok"

    async def try_to_write(self) -> None:
        """Make a small write, from which `health` learns whether the database can be written."""
        with suppress(LedgerUnavailable):
            await self._thread.write(lambda: writes.take_room(self._db))

    def _bind(self) -> None:
        step_forward(self._path)
        self._db.bind(provider="sqlite", filename=str(self._path), create_db=True)
        with suppress(PermissionError):  # another user's, who lets this one write
            self._path.chmod(0o600)
        define(self._db)
        self._db.generate_mapping(create_tables=True)
        with orm.db_session:
            if self._db.Meta.get(name="schema") is None:
                self._db.Meta(name="schema", value=SCHEMA_VERSION)

    # --- sessions ------------------------------------------------------------------------------

    async def create_session(self, session: SessionRecord) -> None:
        """See `SessionStore`."""
        await self._thread.write(lambda: writes.create_session(self._db, session))

    async def begin_turn(self, change: Change, turn: TurnRecord, *, is_new: bool) -> Begun:
        """See `SessionStore`."""
        return await self._thread.write(
            lambda: writes.begin_turn(self._db, change, turn, is_new=is_new)
        )

    async def extend_turn(self, change: Change, turn: TurnRecord) -> bool:
        """See `SessionStore`."""
        return await self._thread.write(lambda: writes.extend_turn(self._db, change, turn))

    async def settle_turn(self, change: Change, turn: TurnRecord) -> bool:
        """See `SessionStore`."""
        return await self._thread.write_for_good(lambda: writes.settle_turn(self._db, change, turn))

    async def load_session(self, session_id: str) -> StoredSession | None:
        """See `SessionStore`."""

        def work() -> StoredSession | None:
            # The version is read first. If another process writes between this and the entries,
            # what is built on them is of a former version, and the fence refuses it.
            row = self._db.Session.get(session_id=session_id)
            if row is None:
                return None
            heads = self._db.Head.select(lambda h: h.session_id == session_id)
            newest = heads.order_by(lambda h: orm.desc(h.epoch)).first()
            head = None if newest is None else head_of(newest)
            entries = self._db.Entry.select(lambda e: e.session_id == session_id)
            first = 0 if head is None else head.first
            sent = entries.filter(lambda e: e.place >= first and e.status in _SENT)
            last = orm.max(e.place for e in entries)
            return StoredSession(
                session=session_of(row),
                head=head,
                entries=[entry_of(EntryRow(*one)) for one in _columns(sent).order_by(1)],
                next_place=0 if last is None else last + 1,
            )

        return await self._thread.read(work)

    async def list_sessions(self, limit: int, before: str | None) -> list[SessionRecord]:
        """See `SessionStore`."""

        def work() -> list[SessionRecord]:
            rows = self._db.Session.select()
            if before is not None:
                last = self._db.Session.get(session_id=before)
                if last is None:
                    return []
                at, name = last.last_active_at, last.session_id
                rows = rows.filter(
                    lambda s: (
                        s.last_active_at < at or (s.last_active_at == at and s.session_id < name)
                    )
                )
            newest = rows.order_by(lambda s: (orm.desc(s.last_active_at), orm.desc(s.session_id)))
            return [session_of(row) for row in newest.limit(limit)]

        return await self._thread.read(work)

    async def page_entries(
        self, session_id: str, limit: int, before: int | None
    ) -> list[Entry] | None:
        """See `SessionStore`."""

        def work() -> list[Entry] | None:
            if self._db.Session.get(session_id=session_id) is None:
                return None
            rows = self._db.Entry.select(lambda e: e.session_id == session_id)
            if before is not None:
                rows = rows.filter(lambda e: e.place < before)
            shown = rows.filter(lambda e: e.role != "system" and e.status != "replaced")
            newest = _columns(shown).order_by(-1).limit(limit)
            return [entry_of(EntryRow(*row)) for row in reversed(list(newest))]

        return await self._thread.read(work)

    async def delete_session(self, session_id: str) -> bool:
        """See `SessionStore`."""
        return await self._thread.write(lambda: writes.delete_session(self._db, session_id))

    async def load_calibration(self) -> list[CalibrationRecord]:
        """See `SessionStore`."""

        def work() -> list[CalibrationRecord]:
            return turns.samples(self._db, LEARNED_FROM)

        return await self._thread.read(work)

    # --- turns ---------------------------------------------------------------------------------

    async def close_turn(self, turn: TurnRecord) -> None:
        """See `TurnStore`; a row that was settled in the meantime stays as it is."""
        await self._thread.write_for_good(lambda: writes.update_open_turn(self._db, turn))

    async def load_turn(self, session_id: str, turn_id: str) -> TurnRecord | None:
        """See `TurnStore`."""

        return await self._thread.read(lambda: turns.find(self._db, session_id, turn_id))

    async def note_turn(self, turn: TurnRecord) -> None:
        """See `TurnStore`."""
        await self._thread.write(lambda: writes.update_open_turn(self._db, turn))

    async def load_open_turns(self) -> list[TurnRecord]:
        """See `TurnStore`."""

        return await self._thread.read(lambda: turns.open_ones(self._db))

    async def total_usage(
        self, session_id: str | None, since: int | None, until: int | None
    ) -> UsageTotals:
        """See `TurnStore`."""

        return await self._thread.read(lambda: turns.totals(self._db, session_id, since, until))


def _columns(entries: Any) -> Any:
    """The columns of `EntryRow`, the place first.

    A session may have thousands of entries, and an entity takes five times as long to make.
    """
    return orm.select(
        (
            e.place,
            e.turn_id,
            e.role,
            e.content,
            e.status,
            e.created_at,
            e.byte_count,
            e.token_count,
            e.thinking_tokens,
            e.media_tokens,
            e.pictures,
            e.documents,
            e.edge,
            e.model,
            e.sections,
        )
        for e in entries
    ).without_distinct()
