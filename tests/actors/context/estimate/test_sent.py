"""What was sent before, and what of it comes again."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.context.estimate import sent
from actors.context.estimate.sent import Beginning, Billed, Flight, SentRequest, Underway
from actors.context.estimate.weighed import OVERHEAD, scaled
from protocol.context import SectionName
from protocol.prompt import Allowance, Prompt
from protocol.records import MessageRecord

BEGINNING = Beginning(model="m", tools=1, system=2, thinking=3, has_media=False)


def turn(name: str, messages: int = 2) -> list[MessageRecord]:
    """A turn's messages."""
    return [
        MessageRecord(
            session_id="s",
            turn_id=name,
            role="user",
            content=b'""',
            status="complete",
            created_at=number,
            byte_count=2,
            token_count=1,
        )
        for number in range(messages)
    ]


def request(*turns: str, own: int = 1, turn_id: str = "now", now: int = 0) -> SentRequest:
    """A request of the turn `now`, with a history."""
    prompt = Prompt(
        model="m",
        head=b"{}",
        turns=[turn(name) for name in turns],
        current=turn(turn_id, own),
        fixed_tokens=700,
        has_tools=True,
        allowance=Allowance(limit=1_000, room=1_000, most_attached=0),
        caches=True,
    )
    return SentRequest.of(prompt, BEGINNING, turn_id, estimate=710, cleared=0, now=now)


@pytest.mark.parametrize(
    ("before", "now", "shared"),
    [
        (request("a", "b"), [("a", 2), ("b", 2), ("now", 2)], [2, 2, 1]),
        (request("b"), [("a", 2), ("b", 2), ("now", 2)], [0, 2, 1]),
        (request("a", "b"), [("b", 2), ("now", 4), ("later", 2)], [2, 1, 0]),
        (request("a", own=3), [("a", 2), ("now", 4)], [2, 3]),
        (request("a", "b"), [("a", 2), ("b", 2)], [2, 2]),
        (request("a", "b"), [("a", 2), ("b", 2), ("later", 2)], [2, 2, 0]),
        (request(), [("now", 2)], [1]),
        (request(), [("later", 2)], [0]),
        (request("a"), [("later", 2)], [0]),
        (request("a"), [], []),
    ],
)
def test_messages_that_were_sent_before_are_found(
    before: SentRequest, now: list[tuple[str, int]], shared: list[int]
) -> None:
    """From its first turn to the last message of its own, also when older turns are gone."""
    turns = [turn(name, messages) for name, messages in now]
    assert [len(part) for part in before.shared(turns)] == shared


@pytest.mark.parametrize(
    ("changes", "reach"),
    [
        ({}, "messages"),
        ({"thinking": None}, "messages"),
        ({"thinking": 4}, "system"),
        ({"has_media": True}, "system"),
        ({"system": 4}, "tools"),
        ({"tools": 4}, "nothing"),
        ({"model": "n"}, "nothing"),
    ],
)
def test_a_change_costs_what_comes_behind_it(changes: dict[str, Any], reach: str) -> None:
    """Tools come first, then the system prompt; another model remembers nothing."""
    beginning = msgspec.structs.replace(BEGINNING, **changes)
    billed = Billed(sent=request(), tokens=700)
    assert billed.reaches(beginning, now=1, least=512) == reach


@pytest.mark.parametrize(("now", "least"), [(300_000, 512), (1, 701)])
def test_what_is_old_or_short_is_not_remembered(now: int, least: int) -> None:
    """Five minutes after its last use, or below the least length of the model."""
    billed = Billed(sent=request(), tokens=700)
    assert billed.reaches(BEGINNING, now=now, least=least) == "nothing"
    assert billed.reaches(BEGINNING, now=299_999, least=700) == "messages"


def test_turns_that_never_end_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest first: a turn may also be refused before it begins."""
    monkeypatch.setattr(sent, "UNDERWAY", 2)
    underway = Underway()
    for name in "abc":
        flight = Flight(None, ())
        flight.add(request(turn_id=name))
        underway.begin(flight)
    assert [underway.find(name) is not None for name in "abc"] == [False, True, True]
    assert underway.end("b") is not None
    assert underway.end("b") is None


NAMES: list[SectionName] = ["system_prompt", "tools", "history", "user_message", OVERHEAD]


@given(st.lists(st.integers(0, 10_000), min_size=5, max_size=5), st.integers(0, 50_000))
def test_figures_are_scaled_to_the_token(figures: list[int], total: int) -> None:
    """They add up, each within a token of its part; with nothing to go by it is overhead."""
    found = scaled(dict(zip(NAMES, figures, strict=True)), total)
    assert sum(found.values()) == total
    whole = sum(figures)
    for name, figure in zip(NAMES, figures, strict=True):
        expected = figure * total / whole if whole else total * (name == OVERHEAD)
        assert abs(found[name] - expected) <= 1
