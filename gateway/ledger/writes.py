"""The ledger's writes, statement by statement; each function is part of one transaction.

The transaction locks out other writers from its first statement on, so what a function has read
is true until the commit. A session's writes are fenced: one `UPDATE` of its row compares the
version and raises it. If it changes no row, nothing else of the change is written.

They are plain SQL, not pony's entities. pony would read each row before it changes it, and it would
remember the row for all the writes of a group, so that one would not see what the other has done.
They go to pony's connection directly, in pony's transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from gateway.ledger.rows import (
    ENTRY,
    HEAD,
    SESSION,
    TURN,
    entry_values,
    head_values,
    session_values,
    turn_values,
)
from gateway.ledger.statements import Statement, Values, assigned, insert, put
from protocol.beginning import Begun, Found, judge
from protocol.records import SENT, Change, Entry, Head, SessionRecord, TurnRecord, Withheld

_IDENTITY = frozenset({"turn_id", "session_id", "request_id", "created_at"})
"""The columns of a turn that stay as they were inserted."""

_TRIAL = "trial" + "." * 32_768

_SENT = ", ".join(f"'{status}'" for status in sorted(SENT))
_WITHHELD = (
    f"session_id = $session_id AND place >= $first AND place <= $last AND status IN ({_SENT})"
)
_TO_THE_END = 2**31 - 1
_REPLACED = "(SELECT count(*) FROM Entry WHERE {withheld} AND role <> 'system')"

_FIND = Statement("""
SELECT (SELECT version FROM Session WHERE session_id = $session_id),
  (SELECT turn_id FROM Turn WHERE session_id = $session_id AND request_id = $request_id),
  (SELECT min(turn_id) FROM Turn WHERE session_id = $session_id AND status = 'open')
""")
_SAVE = """
UPDATE Session SET model = $model, system = $system, tools = $tools, title = $title,
  container = $container, last_active_at = $last_active_at, version = version + 1,
  message_count = message_count + $added - {replaced}
WHERE session_id = $session_id AND version = $version
"""
_REPLACING = _REPLACED.format(withheld=_WITHHELD)
_FREE = """
  AND NOT EXISTS (SELECT 1 FROM Turn WHERE session_id = $session_id AND request_id = $request_id)
  AND NOT EXISTS (SELECT 1 FROM Turn WHERE session_id = $session_id AND status = 'open')
"""
_SAVES = {
    (replaces, begins): Statement(
        _SAVE.format(replaced=_REPLACING if replaces else "0") + (_FREE if begins else "")
    )
    for replaces in (False, True)
    for begins in (False, True)
}
"""By whether entries are replaced, and whether a turn begins: then under `judge`'s conditions."""
_WITHHOLD = Statement(f"UPDATE Entry SET status = $status WHERE {_WITHHELD}")  # noqa: S608 - ours
_INSERT_SESSION = insert("Session", SESSION)
_INSERT_ENTRY = insert("Entry", ("session_id", *ENTRY))
_PUT_HEAD = put("Head", ("session_id", *HEAD), key=("session_id", "epoch"))
_INSERT_TURN = insert("Turn", (*TURN, "mixed"))
_UPDATE = assigned(name for name in (*TURN, "mixed") if name not in _IDENTITY)
_UPDATE_TURN = Statement(f"UPDATE Turn SET {_UPDATE} WHERE turn_id = $turn_id")  # noqa: S608 - ours
_UPDATE_OPEN_TURN = Statement(
    f"UPDATE Turn SET {_UPDATE} WHERE turn_id = $turn_id AND status = 'open'"  # noqa: S608 - ours
)
_UNDO = [
    Statement("""
UPDATE Session SET model = $model, system = $system, tools = $tools, title = $title,
  container = $container, last_active_at = $last_active_at, version = version + 1,
  message_count = message_count - (SELECT count(*) FROM Entry
    WHERE session_id = $session_id AND turn_id = $turn_id AND role <> 'system')
WHERE session_id = $session_id
"""),
    Statement("DELETE FROM Entry WHERE session_id = $session_id AND turn_id = $turn_id"),
    Statement("DELETE FROM Head WHERE session_id = $session_id AND epoch > $epoch"),
    Statement("DELETE FROM Turn WHERE turn_id = $turn_id"),
]
_DELETE_ALL = [
    Statement(f"DELETE FROM {table} WHERE session_id = $session_id")  # noqa: S608 - ours
    for table in ("Entry", "Head", "Session")
]
_INSERT_META = insert("Meta", ("name", "value"))
_DELETE_META = Statement("DELETE FROM Meta WHERE name = $name")


def create_session(db: sqlite3.Connection, session: SessionRecord) -> None:
    """Insert an empty session."""
    _INSERT_SESSION.run(db, session_values(session))


def take_room(db: sqlite3.Connection) -> None:
    """Take as much room as a small turn needs, and give it back."""
    trial = {"name": _TRIAL, "value": 0}
    _INSERT_META.run(db, trial)
    _DELETE_META.run(db, trial)


def begin_turn(db: sqlite3.Connection, change: Change, turn: TurnRecord, *, is_new: bool) -> Begun:
    """Write the change and the turn's open row, if the turn may begin."""
    if is_new:
        begun = _look(db, change, turn, is_new=True)
        if begun.outcome != "begun":
            return begun
        _insert(db, change)
    elif not _apply(db, change, begins=turn.request_id):
        # It looks only now: a turn that may begin, as nearly all may, takes a statement less.
        begun = _look(db, change, turn, is_new=False)
        return Begun(outcome="stale") if begun.outcome == "begun" else begun
    _INSERT_TURN.run(db, turn_values(turn))
    return Begun(outcome="begun")


def _look(db: sqlite3.Connection, change: Change, turn: TurnRecord, *, is_new: bool) -> Begun:
    """What is in the way of a turn."""
    keys = {"session_id": turn.session_id, "request_id": turn.request_id}
    version, same_request, open_turn = _FIND.run(db, keys).fetchone()
    found = Found(version=version, same_request=same_request, open_turn=open_turn)
    return judge(found, is_new=is_new, version=change.session.version)


def extend_turn(db: sqlite3.Connection, change: Change, turn: TurnRecord) -> bool:
    """Write the change and the turn's row; whether the row was open and the fence held."""
    return update_open_turn(db, turn) and _apply(db, change)


def settle_turn(db: sqlite3.Connection, change: Change, turn: TurnRecord) -> bool:
    """Write the turn's row, and the change if the fence holds; whether it did."""
    held = _apply(db, change)
    values = turn_values(turn)
    if not _UPDATE_TURN.meets(db, values):
        _insert_settled(db, values)
    return held


def withdraw_turn(
    db: sqlite3.Connection,
    turn_id: str,
    before: SessionRecord,
    *,
    epoch: int | None,
    is_new: bool,
) -> None:
    """Undo what a turn's beginning has written; its open row has kept all others out since."""
    values = {**session_values(before), "turn_id": turn_id, "epoch": -1 if epoch is None else epoch}
    for statement in _UNDO:
        statement.run(db, values)
    if is_new:
        delete_session(db, before.session_id)


def update_open_turn(db: sqlite3.Connection, turn: TurnRecord) -> bool:
    """Update the turn's row unless it is settled; whether it was open."""
    return _UPDATE_OPEN_TURN.meets(db, turn_values(turn))


def delete_session(db: sqlite3.Connection, session_id: str) -> bool:
    """Delete a session, its entries and heads; whether there was one. Its turns were billed."""
    *_, there_was_one = [one.meets(db, {"session_id": session_id}) for one in _DELETE_ALL]
    return there_was_one


def _insert(db: sqlite3.Connection, change: Change) -> None:
    """The change of a session that is made by it."""
    session = change.session
    values = session_values(session)
    values["version"] += 1
    values["message_count"] = _shown(change.entries)
    _INSERT_SESSION.run(db, values)
    _append(db, session.session_id, change.entries, change.head)


def _apply(db: sqlite3.Connection, change: Change, *, begins: str | None = None) -> bool:
    """The change of a session that is there; whether its version was the expected one.

    Where a turn `begins` with it, for this request, nothing may be in its way either.
    """
    session = change.session
    values = session_values(session)
    values["added"] = _shown(change.entries)
    values["request_id"] = begins
    replaces = change.withheld is not None and change.withheld.status == "replaced"
    if change.withheld is not None:
        values |= _places(change.withheld)
    if not _SAVES[replaces, begins is not None].meets(db, values):
        return False
    if change.withheld is not None:
        _withhold(db, session.session_id, change.withheld)
    _append(db, session.session_id, change.entries, change.head)
    return True


def _withhold(db: sqlite3.Connection, session_id: str, withheld: Withheld) -> None:
    values = {"session_id": session_id, "status": withheld.status, **_places(withheld)}
    _WITHHOLD.run(db, values)


def _places(withheld: Withheld) -> Values:
    last = _TO_THE_END if withheld.last is None else withheld.last
    return {"first": withheld.first, "last": last}


def _append(
    db: sqlite3.Connection, session_id: str, entries: Iterable[Entry], head: Head | None
) -> None:
    for entry in entries:
        _INSERT_ENTRY.run(db, entry_values(session_id, entry))
    if head is not None:
        _PUT_HEAD.run(db, head_values(session_id, head))


def _insert_settled(db: sqlite3.Connection, values: Values) -> None:
    """Insert the row of a turn whose beginning was never written.

    Its request may have had another turn since. No row may be lost, so this one is renamed.
    """
    _, same_request, _ = _FIND.run(db, values).fetchone()
    if same_request is not None:
        values = {**values, "request_id": unique_request(values["request_id"], values["turn_id"])}
    _INSERT_TURN.run(db, values)


def unique_request(request_id: str, turn_id: str) -> str:
    """A request's name for a turn that must not share it; no client can send a `#` in one."""
    return f"{request_id}#{turn_id}"


def _shown(entries: Iterable[Entry]) -> int:
    """How many of them people are shown."""
    return sum(entry.role != "system" for entry in entries)
