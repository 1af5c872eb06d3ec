"""Which turns are sent: as many of the latest as there is room for."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.context.estimate.calibration import PRIOR
from actors.context.estimate.clearing import Cleared
from actors.context.estimate.fitting import MOST_BYTES, fit, fitted, fitting
from actors.context.estimate.scale import Scale
from protocol.prompt import Allowance
from protocol.records import Attached, MessageRecord

TURNS = st.lists(st.integers(0, 100), max_size=40)


@given(TURNS, st.floats(-10, 4_000), st.integers(0, 5_000))
def test_what_is_not_left_out_fits(turns: list[int], room: float, before: int) -> None:
    """And nothing is left out of what fits as it is."""
    skipped = fit(turns, turns, room, left_out_before=before)
    assert 0 <= skipped <= len(turns)
    assert sum(turns[skipped:]) <= room or skipped == len(turns)
    assert skipped == 0 or sum(turns) > room


@given(TURNS, st.floats(100, 4_000))
def test_little_more_is_left_out_than_need_be(turns: list[int], room: float) -> None:
    """An eighth of the room, and the turn in which that eighth ends."""
    skipped = fit(turns, turns, room)
    if skipped:
        assert 0 <= sum(turns[:skipped]) - (sum(turns) - room) <= room / 8 + 2 * 100


@given(st.lists(st.integers(1, 100), min_size=1, max_size=200), st.integers(1_000, 4_000))
def test_a_full_window_seldom_begins_elsewhere(turns: list[int], room: int) -> None:
    """The history grows turn by turn: what goes goes in blocks of a sixteenth of the room."""
    grown = [turns[:length] for length in range(1, len(turns) + 1)]
    beginnings = [fit(history, history, room) for history in grown]
    assert beginnings == sorted(beginnings)
    assert len(set(beginnings)) <= 1 + sum(turns) // (room / 16)


@given(st.lists(st.integers(1, 100), min_size=10, max_size=60), st.integers(1_000, 2_000))
def test_a_turn_in_progress_leaves_out_what_the_next_one_would(turns: list[int], room: int) -> None:
    """Its own steps look at what is left of the history, the next turn at all of it."""
    first = fit(turns, turns, room)
    rest = turns[first:]
    more = fit(rest, rest, room - 300, left_out_before=sum(turns[:first]))
    assert first + more == fit(turns, turns, room - 300)


def turn(
    pictures: int = 0, documents: int = 0, edge: int = 0, size: int = 10
) -> list[MessageRecord]:
    """A turn of one message."""
    return [
        MessageRecord(
            session_id="s",
            turn_id="t",
            role="user",
            content=b"[]",
            status="complete",
            created_at=0,
            byte_count=size,
            token_count=10,
            attached=Attached(pictures=pictures, documents=documents, edge=edge),
        )
    ]


def left_out(turns: list[list[MessageRecord]], own: list[MessageRecord] | None = None) -> int:
    """How many turns are left out where there are tokens for all, and 100 attachments."""
    return fitting(turns, [10.0] * len(turns), 100_000, own or turn(), 100)


@pytest.mark.parametrize(
    ("turns", "own", "least", "most"),
    [
        ([turn(pictures=10)] * 9, turn(pictures=10), 0, 0),
        ([turn(pictures=10)] * 10, turn(pictures=10), 1, 2),
        ([turn(documents=60)] * 3, turn(), 2, 2),
        ([turn(pictures=30), *[turn()] * 5], turn(pictures=90), 1, 1),
        ([turn(size=MOST_BYTES // 4)] * 6, turn(), 3, 3),
        ([turn(pictures=1, edge=3_000)] * 19, turn(pictures=1), 0, 0),
        ([turn(pictures=1, edge=3_000)] * 20, turn(pictures=1), 1, 3),
        ([turn(pictures=1, edge=3_000), *[turn(pictures=1)] * 50], turn(), 1, 1),
        ([turn(pictures=1)] * 50, turn(pictures=1, edge=3_000), 31, 33),
        ([turn(pictures=1)] * 50, turn(pictures=1), 0, 0),
    ],
)
def test_no_more_is_sent_than_the_provider_takes(
    turns: list[list[MessageRecord]], own: list[MessageRecord], least: int, most: int
) -> None:
    """Pictures and documents, bytes, and large pictures among many: the oldest turns go."""
    assert least <= left_out(turns, own) <= most


def test_tokens_count_among_what_is_left() -> None:
    """The turns that go for their pictures make room for others."""
    turns = [turn(documents=90), *[turn()] * 3, turn(documents=20)]
    assert fitting(turns, [50, 10, 10, 10, 10], 40, turn(), 100) == 1
    assert fitting(turns, [50, 10, 10, 10, 10], 25, turn(), 100) == 3


ANSWERS = b'[{"type":"tool_result","tool_use_id":"c","content":"x"}]'


ALLOWANCE = Allowance(limit=50_000, room=40_000, most_attached=100, clears_at=30_000)


def record(turn_id: str, content: bytes, tokens: int) -> MessageRecord:
    """A message of a turn."""
    (one,) = turn()
    return msgspec.structs.replace(one, turn_id=turn_id, content=content, token_count=tokens)


def asked_and_looked_up(sizes: list[tuple[int, int]]) -> list[list[MessageRecord]]:
    """Turns of a question and a tool's answer, each of so many tokens."""
    return [
        [record(str(number), b'"?"', question), record(str(number), ANSWERS, answer)]
        for number, (question, answer) in enumerate(sizes)
    ]


@given(
    st.lists(st.tuples(st.integers(0, 9_000), st.integers(0, 9_000)), max_size=30),
    st.integers(1_000, 30_000),
)
def test_what_is_sent_has_room(sizes: list[tuple[int, int]], own: int) -> None:
    """Whatever the provider clears of it."""
    turns, mine = asked_and_looked_up(sizes), [record("own", b'"?"', own)]
    found = fitted(turns, mine, fixed=500, scale=Scale(PRIOR), allowance=ALLOWANCE)
    assert 500 + found.own + found.history <= 40_000


def test_what_is_not_worth_clearing_any_more_takes_its_room_again() -> None:
    """Without the first turn too little is left to clear: the second one has to go as well."""
    turns = asked_and_looked_up([(5_000, 4_000), (500, 4_000), *[(0, 12_600)] * 3])
    mine = [record("own", b'"?"', 1)]
    found = fitted(turns, mine, fixed=0, scale=Scale(PRIOR), allowance=ALLOWANCE)
    assert (found.skipped, found.history, found.cleared) == (2, 37_800, Cleared())
