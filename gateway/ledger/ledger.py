"""The ledger: sessions, their entries and turns in a database (pony, SQLite).

Every method hands one plain function to a thread; plain records come back, never entities. One
thread writes and another reads, so that no turn waits for a long report.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import IO

import trio
from pony import orm

from gateway.ledger import sessions, turns, writes
from gateway.ledger.database import DatabaseThread, Health
from gateway.ledger.opening import lock, unusable
from gateway.ledger.schema import SCHEMA_VERSION, define
from gateway.ledger.steps import step_forward
from protocol.beginning import Begun
from protocol.errors import LedgerUnavailable
from protocol.records import (
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


class Ledger:
    """Both stores of `actors.ports`, on one SQLite file; `queue_size` bounds the jobs that wait."""

    def __init__(self, path: Path, *, queue_size: int, stop_seconds: float = 2.0) -> None:
        self._path = path
        self._db = orm.Database()
        self._thread, self._reader = (
            DatabaseThread(self._db, name, queue_size=queue_size, stop_seconds=stop_seconds)
            for name in ("ledger", "ledger reader")
        )
        self._lock: IO[str] | None = None

    async def open(self) -> None:
        """Lock and open the file, make or step its schema. Raises LedgerUnusable."""
        self._lock = lock(self._path.with_suffix(".lock"))
        try:
            await self._thread.start(self._bind)
            await self._reader.start()
        except LedgerUnavailable as error:
            with trio.CancelScope(shield=True):  # bounded: nothing waits in the thread
                await self.close()
            raise unusable(self._path, error.__cause__ or error) from error

    async def close(self) -> None:
        """Finish what waits and let the file go."""
        await self._thread.stop()  # first: a report may take longer than there is time
        await self._reader.stop()
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
        return self._thread.can_write

    async def try_to_write(self) -> None:
        """Make a small write, from which `is_well` learns whether the database can be written."""
        with suppress(LedgerUnavailable):
            await self._thread.write(writes.take_room)

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
        await self._thread.write(lambda db: writes.create_session(db, session))

    async def begin_turn(self, change: Change, turn: TurnRecord, *, is_new: bool) -> Begun:
        """See `SessionStore`."""
        return await self._thread.write(
            lambda db: writes.begin_turn(db, change, turn, is_new=is_new)
        )

    async def extend_turn(self, change: Change, turn: TurnRecord) -> bool:
        """See `SessionStore`."""
        return await self._thread.write(lambda db: writes.extend_turn(db, change, turn))

    async def settle_turn(self, change: Change, turn: TurnRecord) -> bool:
        """See `SessionStore`."""
        return await self._thread.write_for_good(lambda db: writes.settle_turn(db, change, turn))

    async def withdraw_turn(
        self, turn_id: str, before: SessionRecord, *, epoch: int | None, is_new: bool
    ) -> None:
        """See `SessionStore`."""
        await self._thread.write_for_good(
            lambda db: writes.withdraw_turn(db, turn_id, before, epoch=epoch, is_new=is_new)
        )

    async def load_session(self, session_id: str) -> StoredSession | None:
        """See `SessionStore`."""

        return await self._reader.read(lambda: sessions.load(self._db, session_id))

    async def list_sessions(self, limit: int, before: str | None) -> list[SessionRecord]:
        """See `SessionStore`."""

        return await self._reader.read(lambda: sessions.listed(self._db, limit, before))

    async def page_entries(
        self, session_id: str, limit: int, before: int | None
    ) -> list[Entry] | None:
        """See `SessionStore`."""

        return await self._reader.read(lambda: sessions.page(self._db, session_id, limit, before))

    async def delete_session(self, session_id: str) -> bool:
        """See `SessionStore`."""
        return await self._thread.write(lambda db: writes.delete_session(db, session_id))

    async def load_calibration(self) -> list[CalibrationRecord]:
        """See `SessionStore`."""

        def work() -> list[CalibrationRecord]:
            return turns.samples(self._db, LEARNED_FROM)

        return await self._reader.read(work)

    # --- turns ---------------------------------------------------------------------------------

    async def close_turn(self, turn: TurnRecord) -> None:
        """See `TurnStore`; a row that was settled in the meantime stays as it is."""
        await self._thread.write_for_good(lambda db: writes.update_open_turn(db, turn))

    async def load_turn(self, session_id: str, turn_id: str) -> TurnRecord | None:
        """See `TurnStore`."""

        return await self._reader.read(lambda: turns.find(self._db, session_id, turn_id))

    async def note_turn(self, turn: TurnRecord) -> None:
        """See `TurnStore`."""
        await self._thread.write(lambda db: writes.update_open_turn(db, turn))

    async def load_open_turns(self) -> list[TurnRecord]:
        """See `TurnStore`."""

        return await self._reader.read(lambda: turns.open_ones(self._db))

    async def total_usage(
        self, session_id: str | None, since: int | None, until: int | None
    ) -> UsageTotals:
        """See `TurnStore`."""

        return await self._reader.read(lambda: turns.totals(self._db, session_id, since, until))
