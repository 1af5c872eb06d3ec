"""Records as the columns of their tables.

Money is kept in whole picodollars, so that sums are exact. What has no column of its own is JSON.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.ledger.schema import to_pico
from protocol.records import Entry, Head, SessionRecord, TurnRecord

Values = dict[str, Any]
"""A row's values by column."""

_encode = msgspec.json.Encoder().encode


def session_values(session: SessionRecord) -> Values:
    """A session's columns."""
    values = msgspec.structs.asdict(session)
    values["tools"] = None if session.tools is None else session.tools.decode()
    container = session.container
    values["container"] = None if container is None else _encode(container).decode()
    return values


def entry_values(session_id: str, entry: Entry) -> Values:
    """The columns of a session's entry."""
    values = msgspec.structs.asdict(entry)
    values.update(msgspec.structs.asdict(values.pop("attached")))
    values["content"] = entry.content.decode()
    values["sections"] = _encode(entry.sections).decode()
    return {"session_id": session_id, **values}


def head_values(session_id: str, head: Head) -> Values:
    """The columns of a session's head."""
    values = msgspec.structs.asdict(head)
    values["system"] = _encode(head.system).decode()
    values["tools"] = head.tools.decode()
    return {"session_id": session_id, **values}


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
