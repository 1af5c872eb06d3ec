"""Which turns still go upstream: what is left takes three quarters of the room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.context.estimate import fitting
from actors.context.estimate.fitting import cut, is_crowded
from protocol.prompt import Allowance
from protocol.records import Attached, Entry
from protocol.transcript import Transcript
from tests.actors.context.estimate.support import PLAIN, transcript
from tests.protocol.entries import entry

LARGE = 3_000
"""Pixels, more than one picture of many may have."""


def turn(
    number: int, tokens: int = 10, *, pictures: int = 0, documents: int = 0, edge: int = 0
) -> list[Entry]:
    """A turn of two messages."""
    attached = Attached(pictures=pictures, documents=documents, edge=edge)
    question = entry(2 * number, "user", "?", str(number), token_count=0, attached=attached)
    return [question, entry(2 * number + 1, "assistant", [], str(number), token_count=tokens)]


def of(*turns: list[Entry]) -> Transcript:
    """The turns, one after the other."""
    return transcript(*(one for entries in turns for one in entries))


def shortened(made: Transcript, own: int, *, room: int = 100_000, fixed: float = 0) -> int:
    """How many messages go."""
    allowance = Allowance(limit=room, room=room, most_attached=100)
    return cut(made, own, fixed=fixed, scale=PLAIN, allowance=allowance)


def test_the_next_cut_is_a_quarter_of_the_room_away() -> None:
    """51 turns of 2,000 tokens, room for 100,000: 14 go, and 13 more have room again."""
    made = of(*(turn(number, 2_000) for number in range(51)))
    assert shortened(made, 100) == 2 * 14
    assert PLAIN.messages(made, 28) == 74_000
    assert 74_000 + 13 * 2_000 <= 100_000 < 74_000 + 14 * 2_000


@given(
    st.lists(st.integers(0, 9_000), min_size=1, max_size=30),
    st.integers(0, 20_000),
    st.integers(1_000, 60_000),
)
def test_the_oldest_turns_go_and_no_more_than_need_be(
    sizes: list[int], fixed: int, room: int
) -> None:
    """Whole ones; the turn that asks stays, whatever it weighs."""
    made = of(*(turn(number, size) for number, size in enumerate(sizes)))
    own = 2 * len(sizes) - 2
    at = shortened(made, own, room=room, fixed=fixed)
    assert at in made.turns
    left = fixed + PLAIN.messages(made, at)
    assert left <= room * 3 / 4 or at == own
    assert at == 0 or fixed + PLAIN.messages(made, at - 2) > room * 3 / 4


def test_where_no_turn_begins_before_the_own_one_nothing_goes() -> None:
    """There is only the question, or not even that."""
    assert shortened(of(turn(0, 10**6)), 0) == 0
    assert shortened(of(), 0) == 0


@pytest.mark.parametrize(
    ("turns", "own", "crowded", "at"),
    [
        ([{"pictures": 10}] * 9, {"pictures": 10}, False, 3),
        ([{"pictures": 10}] * 10, {"pictures": 10}, True, 4),
        ([{"documents": 60}] * 3, {}, True, 2),
        ([{"pictures": 30}, {}, {}], {"pictures": 90}, True, 3),
        ([{"pictures": 1, "edge": LARGE}] * 19, {"pictures": 1}, False, 5),
        ([{"pictures": 1, "edge": LARGE}] * 20, {"pictures": 1}, True, 6),
        ([{"pictures": 1, "edge": LARGE}, *[{"pictures": 1}] * 50], {}, True, 1),
        ([{"pictures": 1}] * 50, {"pictures": 1, "edge": LARGE}, True, 36),
        ([{"pictures": 1}] * 50, {"pictures": 1}, False, 0),
    ],
)
def test_no_more_is_sent_than_the_provider_takes(
    turns: list[dict[str, int]], own: dict[str, int], crowded: bool, at: int
) -> None:
    """Pictures and documents together, and large pictures among many: three quarters stay."""
    made = of(*(turn(number, **one) for number, one in enumerate([*turns, own])))
    allowance = Allowance(limit=0, room=0, most_attached=100)
    assert is_crowded(made, allowance) == crowded
    assert shortened(made, 2 * len(turns)) == 2 * at


def test_bytes_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request may have so many."""
    made = of(*(turn(number) for number in range(9)))
    whole = made.sums().size
    allowance = Allowance(limit=0, room=0, most_attached=100)
    monkeypatch.setattr(fitting, "MOST_BYTES", whole)
    assert not is_crowded(made, allowance)
    monkeypatch.setattr(fitting, "MOST_BYTES", whole - 1)
    assert is_crowded(made, allowance)
    assert shortened(made, 16) == 2 * 3
