"""The rows of sessions, their heads and entries, as they are read.

Another program, a former gateway or a broken disk may have written a row. So each is judged when it
is read: by the type and the range of every column, and by its JSON. A row that cannot be read harms
its own session alone: that one is not gone on with, and lists leave the row out. The statements are
plain SQL, for pony gives up at the first value that it does not expect, and is slow with the
thousands of entries that a session may have.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from time import sleep
from typing import Any, Final, TypeVar

import msgspec

from gateway.ledger.rows import ATTACHED, ENTRY, HEAD, SESSION
from protocol.errors import Failure, GatewayError
from protocol.records import Container, Entry, Head, SessionRecord, StoredSession

log = logging.getLogger(__name__)

T = TypeVar("T")

UNREADABLE: Final = Failure(
    code="INTERNAL_ERROR",
    message=(
        "What the database keeps of this session is damaged and cannot be read. Begin a new "
        "session. `session.delete` removes this one; what it cost stays in the usage report."
    ),
)

_ONE_SESSION = f"""SELECT {", ".join(SESSION)} FROM Session WHERE session_id = $session_id
"""  # noqa: S608 - all our own
_NEWEST_HEAD = f"""SELECT {", ".join(HEAD)} FROM Head
WHERE session_id = $session_id ORDER BY epoch DESC LIMIT 1
"""  # noqa: S608 - all our own
_NEXT_PLACE = "SELECT count(*), max(place) FROM Entry WHERE session_id = $session_id"
_KEPT_BACK = ", ".join(f"'{status}'" for status in ("refused", "replaced", "unanswered"))
# A status that is none of these is damage, and must not make a hole in the conversation.
_SENT = f"""SELECT {", ".join(ENTRY)} FROM Entry
WHERE session_id = $session_id AND place >= $first AND status NOT IN ({_KEPT_BACK})
ORDER BY place LIMIT $limit
"""  # noqa: S608 - all our own
_LISTED = f"""SELECT {", ".join(SESSION)} FROM Session {{where}}
ORDER BY last_active_at DESC, session_id DESC LIMIT $limit OFFSET $offset
"""  # noqa: S608 - all our own
_AFTER = """WHERE (last_active_at, session_id) <
  (SELECT last_active_at, session_id FROM Session WHERE session_id = $before)
"""
_SHOWN = f"""SELECT {", ".join(ENTRY)} FROM Entry
WHERE session_id = $session_id AND role <> 'system' AND status <> 'replaced' {{where}}
ORDER BY place DESC LIMIT $limit OFFSET $offset
"""  # noqa: S608 - all our own

_container = msgspec.json.Decoder(Container)
_content = msgspec.json.Decoder(str | list[dict[str, msgspec.Raw]])
_tools = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


AT_A_TIME: Final = 64
"""Rows that are read before the thread rests: half a millisecond of work."""

REST_SECONDS: Final = 0.0002
"""How long the thread rests: 0.02 s in all for a session of 2,000 turns."""


class _Damaged(Exception):
    """A row holds what no gateway writes."""


def load(db: Any, session_id: str) -> StoredSession | None:
    """The session as it goes upstream. Raises GatewayError if a row of it cannot be read.

    Its version is read first. If another process writes between this and the entries, what is
    built on them is of a former version, and the fence refuses it.
    """
    keys: dict[str, Any] = {"session_id": session_id}
    try:
        session = next(_read(db, _ONE_SESSION, keys, SESSION, _session_of), None)
        if session is None:
            return None
        head = next(_read(db, _NEWEST_HEAD, keys, HEAD, _head_of), None)
        entries = _entries(db, session_id, 0 if head is None else head.first)
        return StoredSession(
            session=session, head=head, entries=entries, next_place=_next_place(db, session_id)
        )
    except _Damaged as error:
        log.warning("the session %.64r cannot be read: %s", session_id, error)
        raise GatewayError.of(UNREADABLE) from error


def listed(db: Any, limit: int, before: str | None) -> list[SessionRecord]:
    """Sessions by last activity, newest first, those after the session `before`."""
    statement = _LISTED.format(where="" if before is None else _AFTER)
    return _sound(db, statement, {"before": before}, limit, SESSION, _session_of)


def page(db: Any, session_id: str, limit: int, before: int | None) -> list[Entry] | None:
    """The newest `limit` entries that people are shown, before the place, oldest first.

    `None`: there is no such session.
    """
    keys = {"session_id": session_id, "before": before}
    if not db.select("SELECT 1 FROM Session WHERE session_id = $session_id", {}, keys):
        return None
    statement = _SHOWN.format(where="" if before is None else "AND place < $before")
    return _sound(db, statement, keys, limit, ENTRY, _entry_of)[::-1]


def _read(
    db: Any,
    statement: str,
    values: dict[str, Any],
    columns: tuple[str, ...],
    made_of: Callable[[dict[str, Any]], T],
) -> Iterator[T]:
    """What the rows say. Raises _Damaged at the first that cannot be read."""
    for row in db.select(statement, {}, values):
        yield _made(made_of, dict(zip(columns, row, strict=True)))


def _entries(db: Any, session_id: str, first: int) -> list[Entry]:
    """The entries that go upstream, from the place `first` on. Raises _Damaged.

    This thread and the loop share one interpreter. The loop lets go of it at every system call, and
    while this thread works it waits each time to have it back. So the thread rests now and then.
    """
    found: list[Entry] = []
    while True:
        keys = {"session_id": session_id, "first": first, "limit": AT_A_TIME}
        page = list(_read(db, _SENT, keys, ENTRY, _entry_of))
        found += page
        if len(page) < AT_A_TIME:
            return found
        first = page[-1].place + 1
        sleep(REST_SECONDS)


def _sound(
    db: Any,
    statement: str,
    values: dict[str, Any],
    limit: int,
    columns: tuple[str, ...],
    made_of: Callable[[dict[str, Any]], T],
) -> list[T]:
    """What the first `limit` rows say that can be read; one line tells of all others."""
    found: list[T] = []
    damaged: list[str] = []
    offset, more = 0, True
    while more and len(found) < limit:
        rows = db.select(statement, {}, {**values, "limit": limit, "offset": offset})
        for row in rows:
            known = dict(zip(columns, row, strict=True))
            name = f"{known.get('session_id', values.get('session_id'))} {known.get('place', '')}"
            try:
                found.append(_made(made_of, known))
            except _Damaged as error:
                damaged.append(f"{name.strip()!r:.64}: {error}")
        offset, more = offset + limit, len(rows) == limit
    if damaged:
        log.warning(
            "%d rows of sessions cannot be read and are left out; one is %s",
            len(damaged),
            damaged[0],
        )
    return found[:limit]


def _made(made_of: Callable[[dict[str, Any]], T], values: dict[str, Any]) -> T:
    try:
        return made_of(values)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        # Its text names the column and quotes no value.
        raise _Damaged(str(error) if isinstance(error, msgspec.DecodeError) else "text") from error


def _next_place(db: Any, session_id: str) -> int:
    ((count, last),) = db.select(_NEXT_PLACE, {}, {"session_id": session_id})
    if not count:
        return 0
    if not isinstance(last, int):
        raise _Damaged("a place that is no number")
    return last + 1


def _session_of(values: dict[str, Any]) -> SessionRecord:
    if values["tools"] is not None:
        values["tools"] = _json(values["tools"], _tools)
    values["container"] = _container_of(values["container"])
    return msgspec.convert(values, SessionRecord, builtin_types=(bytes,))


def _container_of(kept: object) -> dict[str, Any] | None:
    """The container that a row keeps; one that cannot be read is none, and code gets a new one."""
    try:
        return msgspec.structs.asdict(_container.decode(kept)) if isinstance(kept, str) else None
    except (msgspec.DecodeError, UnicodeError):
        return None


def _head_of(values: dict[str, Any]) -> Head:
    values["system"] = msgspec.json.decode(_text(values["system"]))
    values["tools"] = _json(values["tools"], _tools)
    values["inside_turn"] = bool(values["inside_turn"])
    return msgspec.convert(values, Head, builtin_types=(bytes,))


def _entry_of(values: dict[str, Any]) -> Entry:
    values["attached"] = {name: values.pop(name) for name in ATTACHED}
    values["content"] = _json(values["content"], _content)
    sections = values["sections"]
    values["sections"] = () if sections == "[]" else msgspec.json.decode(_text(sections))
    return msgspec.convert(values, Entry, builtin_types=(bytes,))


def _json(kept: object, decoder: msgspec.json.Decoder[Any]) -> bytes:
    """The bytes of a column, which are JSON that `decoder` takes."""
    text = _text(kept).encode()
    decoder.decode(text)
    return text


def _text(kept: object) -> str:
    if not isinstance(kept, str):
        raise msgspec.ValidationError("a column has no text")
    return kept
