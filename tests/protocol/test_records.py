"""What the ledger keeps."""

import gc
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.context import SectionName
from protocol.records import (
    SENT,
    Announced,
    Attached,
    CalibrationRecord,
    Change,
    Entry,
    EntryStatus,
    Head,
    ModelTotals,
    SessionRecord,
    StepRecord,
    StoredSession,
    TurnRecord,
    UsageTotals,
    Withheld,
)
from protocol.usage import Terms, TokenCounts
from tests.protocol.strategies import FEW, SENDABLE, values

SECTIONS = st.tuples(st.sampled_from(get_args(SectionName)), st.text(SENDABLE, max_size=10))
HEADS = st.builds(
    Head,
    epoch=st.integers(0, 2**31),
    first=st.integers(0, 2**31),
    began=st.integers(0, 2**31),
    system=st.lists(SECTIONS, max_size=3).map(tuple),
    tools=st.binary(max_size=5),
    left_out_turns=st.integers(0, 2**31),
    left_out_messages=st.integers(0, 2**31),
)
CHANGES = st.builds(
    Change,
    session=values(SessionRecord),
    withheld=st.none() | values(Withheld),
    entries=st.lists(values(Entry), max_size=2).map(tuple),
    head=st.none() | HEADS,
)
STORED = st.builds(
    StoredSession,
    session=values(SessionRecord),
    head=st.none() | HEADS,
    entries=st.lists(values(Entry), max_size=2),
    next_place=st.integers(0, 2**31),
)
PLAIN = (
    SessionRecord,
    Announced,
    Entry,
    Withheld,
    StepRecord,
    TurnRecord,
    ModelTotals,
    CalibrationRecord,
)
RECORDS: dict[Any, st.SearchStrategy[Any]] = {
    **{kind: values(kind) for kind in PLAIN},
    Head: HEADS,
    Change: CHANGES,
    StoredSession: STORED,
    UsageTotals: st.builds(
        UsageTotals,
        models=st.lists(values(ModelTotals), max_size=2).map(tuple),
        mixed=st.lists(values(TurnRecord), max_size=2).map(tuple),
    ),
}


@pytest.mark.parametrize("kind", RECORDS)
@FEW
@given(data=st.data())
def test_every_record_crosses_a_mailbox(kind: Any, data: st.DataObject) -> None:
    """Money exactly, content to the byte."""
    record = data.draw(RECORDS[kind])
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=kind) == record


def test_what_was_never_answered_or_is_told_again_is_not_sent() -> None:
    """Every other status is."""
    assert set(get_args(EntryStatus)) - SENT == {"unanswered", "refused", "replaced"}


@FEW
@given(values(Entry))
def test_the_collector_looks_at_no_entry(entry: Entry) -> None:
    """A long session has thousands: each look at them would hold the loop."""
    assert not gc.is_tracked(entry)
    assert not gc.is_tracked(entry.attached)


def test_attachments_add_up() -> None:
    """Of their sides the longest counts."""
    some, more = Attached(pictures=1, edge=300), Attached(pictures=2, documents=1, edge=200)
    assert some + more == more + some == Attached(pictures=3, documents=1, edge=300)


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


def test_what_was_estimated_is_the_first_request() -> None:
    """Until there is one, what the turn was billed."""
    turn = TurnRecord(
        turn_id="t",
        session_id="s",
        request_id="r",
        model="m",
        status="completed",
        created_at=1,
        counts=TokenCounts(output=9),
    )
    assert turn.first_counts == TokenCounts(output=9)
    counts = TokenCounts(output=4)
    step = StepRecord(counts=counts, stop_reason=None, estimated=False, counted_tokens=1)
    assert msgspec.structs.replace(turn, steps=(step,)).first_counts == counts


@pytest.mark.parametrize(
    ("change", "billed"),
    [
        ({}, 70),
        ({"cleared_tokens": 25}, 95),
        ({"counts": TokenCounts(output=5)}, None),
        ({"estimated": True}, 70),
        ({"estimated": True, "has_tools": True}, None),
        ({"tells_size": False}, None),
        ({"counts": TokenCounts(uncached=100, web_searches=3)}, None),
        ({"counts": TokenCounts(uncached=10**9 + 31)}, None),
        ({"counted_tokens": 10**9 + 1}, None),
        ({"counted_tokens": -1}, None),
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


def billed_by(*terms: Terms) -> TurnRecord:
    """A turn of the model `m`, with a request on each of these terms."""
    step = StepRecord(
        counts=TokenCounts(output=4), stop_reason=None, estimated=False, counted_tokens=1
    )
    steps = tuple(msgspec.structs.replace(step, terms=one) for one in terms)
    return TurnRecord(
        turn_id="t",
        session_id="s",
        request_id="r",
        model="m",
        status="open",
        created_at=1,
        steps=steps,
    )


def test_a_turn_is_of_the_model_that_was_billed() -> None:
    """Unless two were billed for it."""
    other = Terms(model="n", asked="m")
    assert billed_by().billed_model == billed_by(Terms()).billed_model == "m"
    assert billed_by(other, other).billed_model == "n"
    mixed = billed_by(other, Terms(), other)
    assert (mixed.billed_model, mixed.is_mixed) == ("m", True)
    unbilled = msgspec.structs.replace(mixed.steps[1], counts=TokenCounts())
    rest = msgspec.structs.replace(mixed, steps=(mixed.steps[0], unbilled))
    assert (rest.billed_model, rest.is_mixed) == ("n", False)
    assert not billed_by().is_mixed
    (step,) = billed_by(other).steps
    learned = msgspec.structs.replace(step, counts=TokenCounts(uncached=9)).sample("m")
    assert learned is not None
    assert learned.model == "n"


def test_a_turn_ran_where_its_latest_request_did() -> None:
    """Of those that told it."""
    assert billed_by(Terms(), Terms()).terms == Terms()
    assert billed_by(Terms(region="us"), Terms(speed="fast"), Terms()).terms == Terms(speed="fast")
