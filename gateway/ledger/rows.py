"""Records as the columns of their tables, and rows as records.

Money is kept in whole picodollars, so that sums are exact. What has no column of its own is JSON.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from gateway.ledger.schema import to_pico
from protocol.context import SectionName
from protocol.records import (
    Announced,
    Attached,
    Container,
    Entry,
    EntryRole,
    EntryStatus,
    Head,
    SessionRecord,
    TurnRecord,
)

Values = dict[str, Any]
"""A row's values by column."""

_encode = msgspec.json.Encoder().encode
_container = msgspec.json.Decoder(Container)
_sections = msgspec.json.Decoder(tuple[Announced, ...])
_system = msgspec.json.Decoder(tuple[tuple[SectionName, str], ...])


def session_values(session: SessionRecord) -> Values:
    """A session's columns."""
    values = msgspec.structs.asdict(session)
    values["tools"] = None if session.tools is None else session.tools.decode()
    container = session.container
    values["container"] = None if container is None else _encode(container).decode()
    return values


def session_of(row: Any) -> SessionRecord:
    """The session of a row."""
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
        version=row.version,
        container=_container_of(row.container),
    )


def _container_of(kept: str | None) -> Container | None:
    """The container that a row keeps; one that cannot be read is none, and code gets a new one."""
    if kept is None:
        return None
    try:
        return _container.decode(kept)
    except (msgspec.DecodeError, UnicodeError):
        return None


def entry_values(session_id: str, entry: Entry) -> Values:
    """The columns of a session's entry."""
    values = msgspec.structs.asdict(entry)
    values.update(msgspec.structs.asdict(values.pop("attached")))
    values["content"] = entry.content.decode()
    values["sections"] = _encode(entry.sections).decode()
    return {"session_id": session_id, **values}


class EntryRow(NamedTuple):
    """An entry's columns, in the order in which they are asked for."""

    place: int
    turn_id: str
    role: EntryRole
    content: str
    status: EntryStatus
    created_at: int
    byte_count: int
    token_count: int
    thinking_tokens: int
    media_tokens: int
    pictures: int
    documents: int
    edge: int
    model: str
    sections: str


def entry_of(row: EntryRow) -> Entry:
    """The entry of a row."""
    return Entry(
        place=row.place,
        turn_id=row.turn_id,
        role=row.role,
        content=row.content.encode(),
        status=row.status,
        created_at=row.created_at,
        byte_count=row.byte_count,
        token_count=row.token_count,
        thinking_tokens=row.thinking_tokens,
        media_tokens=row.media_tokens,
        attached=Attached(pictures=row.pictures, documents=row.documents, edge=row.edge),
        model=row.model,
        sections=_sections.decode(row.sections),
    )


def head_values(session_id: str, head: Head) -> Values:
    """The columns of a session's head."""
    values = msgspec.structs.asdict(head)
    values["system"] = _encode(head.system).decode()
    values["tools"] = head.tools.decode()
    return {"session_id": session_id, **values}


def head_of(row: Any) -> Head:
    """The head of a row."""
    return Head(
        epoch=row.epoch,
        first=row.first,
        began=row.began,
        system=_system.decode(row.system),
        tools=row.tools.encode(),
        bare=row.bare,
        inside_turn=row.inside_turn,
        left_out_turns=row.left_out_turns,
        left_out_messages=row.left_out_messages,
    )


def turn_values(turn: TurnRecord) -> Values:
    """A turn's columns."""
    values = msgspec.structs.asdict(turn)
    values.update(msgspec.structs.asdict(values.pop("counts")))
    cost, estimate = values.pop("cost"), turn.cost_estimate
    values["input_cost"] = None if cost is None else to_pico(cost.input_cost)
    values["output_cost"] = None if cost is None else to_pico(cost.output_cost)
    values["cost_estimated"] = cost is not None and cost.estimated
    values["cost_estimate"] = None if estimate is None else to_pico(estimate)
    values["steps"] = _encode(turn.steps).decode()
    values["mixed"] = turn.is_mixed
    values["weights"] = _encode(turn.weights).decode()
    return values
