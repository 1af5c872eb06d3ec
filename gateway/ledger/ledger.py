"""The ledger: sessions, messages and turns in a database (pony, SQLite).

Every method hands one plain function to the database's thread; plain records come back, never
entities. Money is kept in whole picodollars, so that sums are exact.
"""

from __future__ import annotations

import fcntl
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import msgspec
import trio
from pony import orm

from gateway.ledger.database import DatabaseThread, Health
from gateway.ledger.schema import SCHEMA_VERSION, define, from_pico, to_pico
from gateway.ledger.steps import step_forward
from protocol.context import SectionWeight
from protocol.errors import LedgerUnavailable
from protocol.records import (
    Attached,
    CalibrationRecord,
    MessageRecord,
    ModelTotals,
    SessionRecord,
    StepRecord,
    TurnRecord,
)
from protocol.usage import Cost, TokenCounts

LEARNED_FROM = 200
"""Requests, the latest ones, from which is learned what the provider bills."""

_encode = msgspec.json.Encoder().encode
_steps = msgspec.json.Decoder(tuple[StepRecord, ...])
_weights = msgspec.json.Decoder(tuple[SectionWeight, ...])


class LedgerUnusable(Exception):
    """The database cannot be used at all; the text is one line, for a person."""


class Ledger:
    """Both stores of `actors.ports`, on one SQLite file; `queue_size` bounds the jobs that wait."""

    def __init__(self, path: Path, *, queue_size: int, stop_seconds: float = 2.0) -> None:
        self._path = path
        self._db = orm.Database()
        self._thread = DatabaseThread(self._db, queue_size=queue_size, stop_seconds=stop_seconds)
        self._lock: IO[str] | None = None

    async def open(self) -> None:
        """Lock and open the file, make or step its schema. Raises LedgerUnusable."""
        self._lock = _lock(self._path.with_suffix(".lock"))
        try:
            await self._thread.start(self._bind)
        except LedgerUnavailable as error:
            with trio.CancelScope(shield=True):  # bounded: nothing waits in the thread
                await self.close()
            raise LedgerUnusable(
                f"the database {self._path} cannot be used: {error.__cause__ or error}. "
                "Move it away to begin a new one, or restore it from a backup."
            ) from error

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

    def _bind(self) -> None:
        step_forward(self._path)
        self._db.bind(provider="sqlite", filename=str(self._path), create_db=True)
        self._path.chmod(0o600)
        define(self._db)
        self._db.generate_mapping(create_tables=True)
        with orm.db_session:
            if self._db.Meta.get(name="schema") is None:
                self._db.Meta(name="schema", value=SCHEMA_VERSION)

    # --- sessions ------------------------------------------------------------------------------

    async def save_session(self, session: SessionRecord) -> None:
        """See `SessionStore`."""
        await self._thread.write(lambda: self._save(session))

    async def begin_turn(self, session: SessionRecord, message: MessageRecord) -> None:
        """See `SessionStore`."""

        def work() -> None:
            self._save(session)
            self._append(message)

        await self._thread.write(work)

    async def keep_answer(
        self, session_id: str, turn_id: str, answer: Sequence[MessageRecord], *, kept: int | None
    ) -> None:
        """See `SessionStore`."""

        def work() -> None:
            if kept is None:
                self._withdraw_answer(session_id, turn_id)
            for message in answer[kept or 0 :]:
                self._append(message)

        await self._thread.write(work)

    async def store_answer(
        self,
        session_id: str,
        turn_id: str,
        messages: Sequence[MessageRecord],
        *,
        was_kept: bool,
    ) -> None:
        """See `SessionStore`."""

        def work() -> None:
            if was_kept:  # else there is nothing to look for, in a history that may be long
                self._withdraw_answer(session_id, turn_id)
            for message in messages:
                self._append(message)

        await self._thread.write_for_good(work)

    async def load_session(self, session_id: str) -> SessionRecord | None:
        """See `SessionStore`."""

        def work() -> SessionRecord | None:
            row = self._db.Session.get(session_id=session_id)
            return None if row is None else _session(row)

        return await self._thread.read(work)

    async def load_messages(self, session_id: str) -> list[MessageRecord]:
        """See `SessionStore`."""

        def work() -> list[MessageRecord]:
            rows = self._db.Message.select(lambda m: m.session_id == session_id)
            return [_message(row) for row in rows.order_by(self._db.Message.number)]

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
            return [_session(row) for row in newest.limit(limit)]

        return await self._thread.read(work)

    async def page_messages(
        self, session_id: str, limit: int, before: int | None
    ) -> list[MessageRecord]:
        """See `SessionStore`."""

        def work() -> list[MessageRecord]:
            rows = self._db.Message.select(lambda m: m.session_id == session_id)
            if before is not None:
                rows = rows.filter(lambda m: m.number < before)
            newest = rows.order_by(lambda m: orm.desc(m.number)).limit(limit)
            return [_message(row) for row in reversed(list(newest))]

        return await self._thread.read(work)

    async def delete_session(self, session_id: str) -> bool:
        """See `SessionStore`."""

        def work() -> bool:
            row = self._db.Session.get(session_id=session_id)
            if row is None:
                return False
            self._db.Message.select(lambda m: m.session_id == session_id).delete(bulk=True)
            row.delete()
            return True

        return await self._thread.write(work)

    async def load_calibration(self) -> list[CalibrationRecord]:
        """See `SessionStore`."""

        def work() -> list[CalibrationRecord]:
            turns = self._db.Turn.select(lambda t: t.status != "open" and t.steps != "[]")
            newest = turns.order_by(lambda t: orm.desc(t.created_at)).limit(LEARNED_FROM)
            samples = [sample for row in reversed(list(newest)) for sample in _samples(row)]
            return samples[-LEARNED_FROM:]

        return await self._thread.read(work)

    # --- turns ---------------------------------------------------------------------------------

    async def open_turn(self, turn: TurnRecord) -> None:
        """See `TurnStore`."""
        await self._thread.write(lambda: self._write_turn(turn))

    async def settle_turn(self, turn: TurnRecord) -> None:
        """See `TurnStore`."""
        await self._thread.write_for_good(lambda: self._write_turn(turn))

    async def find_turn(self, session_id: str, request_id: str) -> str | None:
        """See `TurnStore`."""

        def work() -> str | None:
            turns = self._db.Turn.select(
                lambda t: t.session_id == session_id and t.request_id == request_id
            )
            row = turns.first()
            return None if row is None else str(row.turn_id)

        return await self._thread.read(work)

    async def load_turn(self, session_id: str, turn_id: str) -> TurnRecord | None:
        """See `TurnStore`."""

        def work() -> TurnRecord | None:
            row = self._db.Turn.get(turn_id=turn_id)
            return None if row is None or row.session_id != session_id else _turn(row)

        return await self._thread.read(work)

    async def note_turn(self, turn: TurnRecord) -> None:
        """See `TurnStore`."""

        def work() -> None:
            row = self._db.Turn.get(turn_id=turn.turn_id)
            if row is not None and row.status == "open":
                self._write_turn(turn)

        await self._thread.write(work)

    async def load_open_turns(self) -> list[TurnRecord]:
        """See `TurnStore`."""

        def work() -> list[TurnRecord]:
            return [_turn(row) for row in self._db.Turn.select(lambda t: t.status == "open")]

        return await self._thread.read(work)

    async def total_usage(
        self, session_id: str | None, since: int | None, until: int | None
    ) -> list[ModelTotals]:
        """See `TurnStore`."""

        def work() -> list[ModelTotals]:
            turns = self._db.Turn.select(lambda t: t.status != "open")
            if session_id is not None:
                turns = turns.filter(lambda t: t.session_id == session_id)
            if since is not None:
                turns = turns.filter(lambda t: t.created_at >= since)
            if until is not None:
                turns = turns.filter(lambda t: t.created_at < until)
            unpriced = dict(
                orm.select((t.model, orm.count(t)) for t in turns if t.input_cost is None)
            )
            rows = orm.select(
                (
                    t.model,
                    orm.count(t),
                    orm.sum(t.uncached),
                    orm.sum(t.cache_read),
                    orm.sum(t.cache_write5m),
                    orm.sum(t.cache_write1h),
                    orm.sum(t.output),
                    orm.sum(t.thinking),
                    orm.sum(t.web_searches),
                    orm.sum(t.input_cost),
                    orm.sum(t.output_cost),
                )
                for t in turns
            )
            return [_totals(row, unpriced.get(row[0], 0)) for row in rows]

        return await self._thread.read(work)

    # --- in the thread, inside a session -------------------------------------------------------

    def _save(self, session: SessionRecord) -> None:
        values = {
            "agent_id": session.agent_id,
            "model": session.model,
            "system": session.system,
            "tools": None if session.tools is None else session.tools.decode(),
            "title": session.title,
            "created_at": session.created_at,
            "last_active_at": session.last_active_at,
        }
        row = self._db.Session.get(session_id=session.session_id)
        if row is None:
            self._db.Session(session_id=session.session_id, message_count=0, **values)
        else:
            row.set(**values)

    def _withdraw_answer(self, session_id: str, turn_id: str) -> None:
        """Delete what the turn has behind its question."""
        rows = self._db.Message.select(
            lambda m: m.session_id == session_id and m.turn_id == turn_id
        )
        kept = rows.order_by(self._db.Message.number)[1:]
        for row in kept:
            row.delete()
        if kept:
            self._db.Session[session_id].message_count -= len(kept)

    def _append(self, message: MessageRecord) -> None:
        session = self._db.Session.get(session_id=message.session_id)
        if session is None:
            return
        session.message_count += 1
        values = msgspec.structs.asdict(message)
        del values["message_id"]
        values.update(msgspec.structs.asdict(values.pop("attached")))
        self._db.Message(**{**values, "content": message.content.decode()})

    def _write_turn(self, turn: TurnRecord) -> None:
        values = msgspec.structs.asdict(turn)
        counts, cost = values.pop("counts"), values.pop("cost")
        values.update(msgspec.structs.asdict(counts))
        values["input_cost"] = None if cost is None else to_pico(cost.input_cost)
        values["output_cost"] = None if cost is None else to_pico(cost.output_cost)
        estimate = turn.cost_estimate
        values["cost_estimate"] = None if estimate is None else to_pico(estimate)
        values["steps"] = _encode(turn.steps).decode()
        values["weights"] = _encode(turn.weights).decode()
        row = self._db.Turn.get(turn_id=turn.turn_id)
        if row is None:
            self._db.Turn(**values)
        else:
            del values["turn_id"]
            row.set(**values)


def _session(row: Any) -> SessionRecord:
    return SessionRecord(
        session_id=row.session_id,
        agent_id=row.agent_id,
        model=row.model,
        system=row.system,
        tools=None if row.tools is None else row.tools.encode(),
        title=row.title,
        created_at=row.created_at,
        last_active_at=row.last_active_at,
        message_count=row.message_count,
    )


def _message(row: Any) -> MessageRecord:
    return MessageRecord(
        session_id=row.session_id,
        turn_id=row.turn_id,
        role=row.role,
        content=row.content.encode(),
        status=row.status,
        created_at=row.created_at,
        byte_count=row.byte_count,
        token_count=row.token_count,
        media_tokens=row.media_tokens,
        attached=Attached(pictures=row.pictures, documents=row.documents, edge=row.edge),
        message_id=row.number,
    )


def _turn(row: Any) -> TurnRecord:
    cost = None
    if row.input_cost is not None:
        cost = Cost(input_cost=from_pico(row.input_cost), output_cost=from_pico(row.output_cost))
    estimate = row.cost_estimate
    return TurnRecord(
        turn_id=row.turn_id,
        session_id=row.session_id,
        request_id=row.request_id,
        model=row.model,
        status=row.status,
        created_at=row.created_at,
        settled_at=row.settled_at,
        stop_reason=row.stop_reason,
        error_code=row.error_code,
        counted_tokens=row.counted_tokens,
        counts=TokenCounts(**{name: getattr(row, name) for name in TokenCounts.__struct_fields__}),
        estimated=row.estimated,
        cost=cost,
        steps=_steps.decode(row.steps),
        token_estimate=row.token_estimate,
        cost_estimate=None if estimate is None else from_pico(estimate),
        weights=_weights.decode(row.weights),
    )


def _samples(row: Any) -> list[CalibrationRecord]:
    """What there is to learn from a turn's requests."""
    steps = [step for step in _steps.decode(row.steps) if step.counted_tokens > 0]
    return [sample for step in steps if (sample := step.sample(row.model)) is not None]


def _totals(row: Sequence[Any], unpriced: int) -> ModelTotals:
    model, requests, uncached, read, write5m, write1h, output, thinking, searches, cin, cout = row
    return ModelTotals(
        model=model,
        counts=TokenCounts(
            uncached=uncached,
            cache_read=read,
            cache_write5m=write5m,
            cache_write1h=write1h,
            output=output,
            thinking=thinking,
            web_searches=searches,
        ),
        cost=Cost(input_cost=from_pico(cin), output_cost=from_pico(cout)).total_cost,
        requests=requests,
        unpriced=unpriced,
    )


def _lock(path: Path) -> IO[str]:
    """Take the data folder for this process; the lock goes with it, however it ends."""
    try:
        file = path.open("w")
    except OSError as error:
        raise LedgerUnusable(
            f"the data folder {path.parent} cannot be written: {error.strerror}. "
            "Choose another with --data-dir or AGENTSPACE_DATA_DIR."
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise LedgerUnusable(
            f"the data folder {path.parent} is in use by another gateway. Stop that one, or "
            "choose another folder with --data-dir or AGENTSPACE_DATA_DIR."
        ) from None
    return file
