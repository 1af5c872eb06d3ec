"""The ledger's writes, statement by statement; each function is part of one transaction.

The transaction locks out other writers from its first statement on, so what a function has read
is true until the commit. A session's writes are fenced: one `UPDATE` of its row compares the
version and raises it. If it changes no row, nothing else of the change is written.

They are plain SQL, not pony's entities. pony would read each row before it changes it, and it would
remember the row for all the writes of a group, so that one would not see what the other has done.
Names are not quoted and values are pony's `$name`: PostgreSQL takes the same statements.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.ledger.rows import Values, entry_values, head_values, session_values, turn_values
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

_FIND = """
SELECT (SELECT version FROM Session WHERE session_id = $session_id),
  (SELECT turn_id FROM Turn WHERE session_id = $session_id AND request_id = $request_id),
  (SELECT min(turn_id) FROM Turn WHERE session_id = $session_id AND status = 'open')
"""
_SAVE = """
UPDATE Session SET model = $model, system = $system, tools = $tools, title = $title,
  container = $container, last_active_at = $last_active_at, version = version + 1,
  message_count = message_count + $added - {replaced}
WHERE session_id = $session_id AND version = $version
"""
_SAVE_ONLY = _SAVE.format(replaced="0")
_SAVE_REPLACING = _SAVE.format(replaced=_REPLACED.format(withheld=_WITHHELD))
_WITHHOLD = f"UPDATE Entry SET status = $status WHERE {_WITHHELD}"  # noqa: S608 - all our own
_PUT_HEAD = """
INSERT INTO Head ({names}) VALUES ({values})
ON CONFLICT (session_id, epoch) DO UPDATE SET {assigned}
"""
_UPDATE_TURN = "UPDATE Turn SET {assigned} WHERE turn_id = $turn_id {condition}"


def create_session(db: Any, session: SessionRecord) -> None:
    """Insert an empty session."""
    db.insert(db.Session, **session_values(session))


def take_room(db: Any) -> None:
    """Take as much room as a small turn needs, and give it back."""
    db.insert(db.Meta, name=_TRIAL, value=0)
    _execute(db, "DELETE FROM Meta WHERE name = $name", {"name": _TRIAL})


def begin_turn(db: Any, change: Change, turn: TurnRecord, *, is_new: bool) -> Begun:
    """Write the change and the turn's open row, if the turn may begin."""
    session = change.session
    keys = {"session_id": session.session_id, "request_id": turn.request_id}
    version, same_request, open_turn = _execute(db, _FIND, keys).fetchone()
    found = Found(version=version, same_request=same_request, open_turn=open_turn)
    begun = judge(found, is_new=is_new, version=session.version)
    if begun.outcome != "begun":
        return begun
    if is_new:
        _insert(db, change)
    elif not _apply(db, change):
        return Begun(outcome="stale")  # where what is found may change before the commit
    db.insert(db.Turn, **turn_values(turn))
    return begun


def extend_turn(db: Any, change: Change, turn: TurnRecord) -> bool:
    """Write the change and the turn's row; whether the row was open and the fence held."""
    return update_open_turn(db, turn) and _apply(db, change)


def settle_turn(db: Any, change: Change, turn: TurnRecord) -> bool:
    """Write the turn's row, and the change if the fence holds; whether it did."""
    held = _apply(db, change)
    values = turn_values(turn)
    if not _update_turn(db, values):
        _insert_settled(db, values)
    return held


def update_open_turn(db: Any, turn: TurnRecord) -> bool:
    """Update the turn's row unless it is settled; whether it was open."""
    return _update_turn(db, turn_values(turn), "AND status = 'open'")


def delete_session(db: Any, session_id: str) -> bool:
    """Delete a session, its entries and heads; whether there was one. Its turns were billed."""
    keys = {"session_id": session_id}
    _execute(db, "DELETE FROM Entry WHERE session_id = $session_id", keys)
    _execute(db, "DELETE FROM Head WHERE session_id = $session_id", keys)
    return _met(db, "DELETE FROM Session WHERE session_id = $session_id", keys)


def _insert(db: Any, change: Change) -> None:
    """The change of a session that is made by it."""
    session = change.session
    values = session_values(session)
    values["version"] += 1
    values["message_count"] = _shown(change.entries)
    db.insert(db.Session, **values)
    _append(db, session.session_id, change.entries, change.head)


def _apply(db: Any, change: Change) -> bool:
    """The change of a session that is there; whether its version was the expected one."""
    session = change.session
    values = {**session_values(session), "added": _shown(change.entries)}
    statement = _SAVE_ONLY
    if change.withheld is not None and change.withheld.status == "replaced":
        values |= _places(change.withheld)
        statement = _SAVE_REPLACING
    if not _met(db, statement, values):
        return False
    if change.withheld is not None:
        _withhold(db, session.session_id, change.withheld)
    _append(db, session.session_id, change.entries, change.head)
    return True


def _withhold(db: Any, session_id: str, withheld: Withheld) -> None:
    values = {"session_id": session_id, "status": withheld.status, **_places(withheld)}
    _execute(db, _WITHHOLD, values)


def _places(withheld: Withheld) -> Values:
    last = _TO_THE_END if withheld.last is None else withheld.last
    return {"first": withheld.first, "last": last}


def _append(db: Any, session_id: str, entries: Iterable[Entry], head: Head | None) -> None:
    for entry in entries:
        db.insert(db.Entry, **entry_values(session_id, entry))
    if head is not None:
        _put_head(db, head_values(session_id, head))


def _put_head(db: Any, values: Values) -> None:
    """Insert a head, or replace it: it may change until an answer follows it."""
    names, named = ", ".join(values), ", ".join(f"${name}" for name in values)
    assigned = _assigned(name for name in values if name not in ("session_id", "epoch"))
    _execute(db, _PUT_HEAD.format(names=names, values=named, assigned=assigned), values)


def _update_turn(db: Any, values: Values, condition: str = "") -> bool:
    assigned = _assigned(name for name in values if name not in _IDENTITY)
    return _met(db, _UPDATE_TURN.format(assigned=assigned, condition=condition), values)


def _insert_settled(db: Any, values: Values) -> None:
    """Insert the row of a turn whose beginning was never written.

    Its request may have had another turn since. No row may be lost, so this one is renamed.
    """
    _, same_request, _ = _execute(db, _FIND, values).fetchone()
    if same_request is not None:
        values = {**values, "request_id": unique_request(values["request_id"], values["turn_id"])}
    db.insert(db.Turn, **values)


def unique_request(request_id: str, turn_id: str) -> str:
    """A request's name for a turn that must not share it; no client can send a `#` in one."""
    return f"{request_id}#{turn_id}"


def _shown(entries: Iterable[Entry]) -> int:
    """How many of them people are shown."""
    return sum(entry.role != "system" for entry in entries)


def _execute(db: Any, statement: str, values: Values) -> Any:
    """Run a statement; its cursor. pony looks names up in two scopes, and writes to the outer."""
    return db.execute(statement, {}, values)


def _met(db: Any, statement: str, values: Values) -> bool:
    """Run a statement; whether it has met a row."""
    return bool(_execute(db, statement, values).rowcount > 0)


def _assigned(names: Iterable[str]) -> str:
    return ", ".join(f"{name} = ${name}" for name in names)
