"""From counted tokens to estimated ones."""

from __future__ import annotations

import pytest

from actors.context.estimate.calibration import MOST_RATIO, Line
from actors.context.estimate.scale import Scale
from tests.actors.context.estimate.support import scale, transcript
from tests.protocol.entries import entry

LINE = Line(1.5, 100.0)
MESSAGES = transcript(
    entry(2, "user", "1", token_count=100),
    entry(4, "assistant", [], token_count=200),
    entry(5, "user", "2", token_count=400, media_tokens=1_000),
)


def test_without_a_former_request_the_line_counts() -> None:
    """Its overhead is not of the messages; pictures weigh what they weigh."""
    plain = Scale(LINE)
    assert (plain.extra, plain.shared(MESSAGES)) == (0.0, 0)
    assert plain.old(100) == 150
    assert plain.messages(MESSAGES) == 1.5 * 700 + 1_000
    assert plain.messages(MESSAGES, 1, 2) == 300


@pytest.mark.parametrize(("last", "shared"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 3), (9, 3)])
def test_what_the_former_request_had_is_taken_as_it_was_billed(last: int, shared: int) -> None:
    """A token of it was billed as 2; the overhead was another's."""
    billed = scale(LINE, counted=1_000, tokens=2_100, last=last)
    assert billed.extra == 0.5
    assert billed.old(100) == 200
    assert billed.shared(MESSAGES) == shared
    known = sum(one.token_count for one in MESSAGES.entries[:shared])
    assert billed.messages(MESSAGES) == 2 * known + 1.5 * (700 - known) + 1_000


def test_a_part_is_estimated_as_a_part() -> None:
    """From any message to any other they add up."""
    billed = scale(LINE, counted=1_000, tokens=2_100, last=4)
    parts = [billed.messages(MESSAGES, number, number + 1) for number in range(3)]
    assert parts == [200, 400, 1_600]
    assert billed.messages(MESSAGES, 1) == sum(parts[1:])


@pytest.mark.parametrize(("tokens", "known"), [(10**9, MOST_RATIO), (1, 0.25)])
def test_a_bill_that_cannot_be_is_held_to_what_can(tokens: int, known: float) -> None:
    """A request of several passes is billed for each."""
    billed = scale(LINE, counted=1_000, tokens=tokens, last=9)
    assert billed.old(1) == known


def test_a_bill_of_nothing_teaches_nothing() -> None:
    """A request without a text."""
    assert scale(LINE, counted=0, tokens=100, last=9).extra == 0.0
