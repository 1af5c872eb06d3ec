"""Records as the columns of their tables.

Money is kept in whole picodollars, so that sums are exact. What has no column of its own is JSON.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.ledger.schema import to_pico
from gateway.ledger.statements import Values
from protocol.records import Attached, Entry, Head, SessionRecord, TurnRecord
from protocol.usage import TokenCounts

SESSION: Final = SessionRecord.__struct_fields__
ATTACHED: Final = Attached.__struct_fields__
ENTRY: Final = (*(name for name in Entry.__struct_fields__ if name != "attached"), *ATTACHED)
"""The columns of an entry but `session_id`."""
HEAD: Final = Head.__struct_fields__
"""The columns of a head but `session_id`."""
FIGURES: Final = TokenCounts.__struct_fields__
TURN: Final = (
    *(name for name in TurnRecord.__struct_fields__ if name not in ("counts", "cost")),
    *FIGURES,
    "input_cost",
    "output_cost",
    "cost_estimated",
)
"""The columns of a turn but `mixed`, which follows from the others."""

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
    values["session_id"] = session_id
    return values


def head_values(session_id: str, head: Head) -> Values:
    """The columns of a session's head."""
    values = msgspec.structs.asdict(head)
    values["system"] = _encode(head.system).decode()
    values["tools"] = head.tools.decode()
    values["session_id"] = session_id
    return values


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
