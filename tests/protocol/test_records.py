"""What the ledger keeps."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.records import (
    CalibrationRecord,
    MessageRecord,
    ModelTotals,
    SessionRecord,
    StepRecord,
    TurnRecord,
)
from protocol.usage import TokenCounts
from tests.protocol.strategies import FEW, values

RECORDS = (
    SessionRecord,
    MessageRecord,
    StepRecord,
    TurnRecord,
    ModelTotals,
    CalibrationRecord,
)


@pytest.mark.parametrize("kind", RECORDS)
@FEW
@given(data=st.data())
def test_every_record_crosses_a_mailbox(kind: Any, data: st.DataObject) -> None:
    """Money exactly, content to the byte."""
    record = data.draw(values(kind))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=kind) == record


@FEW
@given(values(SessionRecord))
def test_a_sessions_key_names_its_agent(session: SessionRecord) -> None:
    """`agent:{agentId}:{sessionId}`."""
    assert session.key == f"agent:{session.agent_id}:{session.session_id}"


def test_a_turn_is_opened_with_nothing_billed() -> None:
    """Its outcome is yet to come."""
    turn = TurnRecord(
        turn_id="t", session_id="s", request_id="r", model="m", status="open", created_at=1
    )
    assert not turn.counts.any
    assert (turn.settled_at, turn.cost, turn.stop_reason) == (None, None, None)
    assert (turn.steps, turn.weights, turn.token_estimate) == ((), (), 0)


@pytest.mark.parametrize(
    ("change", "billed"),
    [
        ({}, 70),
        ({"cleared_tokens": 25}, 95),
        ({"counts": TokenCounts(output=5)}, None),
        ({"estimated": True}, 70),
        ({"estimated": True, "has_tools": True}, None),
    ],
)
def test_a_step_is_learned_from_once_its_input_is_billed(
    change: dict[str, Any], billed: int | None
) -> None:
    """Its text: without what its pictures cost, and with what the provider has cleared of it."""
    step = StepRecord(
        counts=TokenCounts(uncached=60, cache_read=40, output=5),
        stop_reason="end_turn",
        estimated=False,
        counted_tokens=50,
        media_tokens=30,
    )
    sample = msgspec.structs.replace(step, **change).sample("m")
    assert (None if sample is None else sample.billed) == billed
