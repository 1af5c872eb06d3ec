"""What the provider will clear by itself is foreseen."""

from __future__ import annotations

import pytest

from actors.context.estimate.calibration import Line
from actors.context.estimate.clearing import (
    CLEARED_AT_LEAST,
    PLACEHOLDER,
    Cleared,
    alike,
    cleared_tokens,
    clearing,
    clears_at,
    foreseen,
    remaining,
)
from protocol.records import Entry
from protocol.transcript import Transcript
from tests.actors.context.estimate.support import PLAIN, scale, transcript
from tests.protocol.entries import call, entry, result, text

GONE = 3_000 - PLACEHOLDER


def answered(number: int, count: int, tokens: int = 3_000, media: int = 0) -> list[Entry]:
    """A turn with so many parallel calls; each answer has so many tokens."""
    results = [result(f"c{place}", "…") for place in range(count)]
    turn, place = str(number), 4 * number
    return [
        entry(place, "user", "Go on.", turn, token_count=5),
        entry(place + 1, "assistant", [call("c0")], turn, token_count=10),
        entry(
            place + 2,
            "user",
            results,
            turn,
            token_count=tokens * count,
            media_tokens=media * count,
        ),
        entry(place + 3, "assistant", [text("Done.")], turn, token_count=5),
    ]


def of(*counts: int) -> Transcript:
    """Turns with so many calls each."""
    turns = [answered(number, count) for number, count in enumerate(counts)]
    return transcript(*(one for turn in turns for one in turn))


def test_old_answers_are_to_be_cleared_before_the_window_is_full() -> None:
    """At three quarters of the room; the latest three stay."""
    assert clearing(clears_at(100_000)) == {
        "edits": [
            {
                "type": "clear_tool_uses_20250919",
                "trigger": {"type": "input_tokens", "value": 75_000},
                "keep": {"type": "tool_uses", "value": 3},
                "clear_at_least": {"type": "input_tokens", "value": 5_000},
            }
        ]
    }


def test_all_but_the_latest_three_answers_go() -> None:
    """A placeholder stays of each; of one message the first ones go."""
    for made, uses in ((of(2, 1, 2), 2), (of(2, 1, 2, 1), 3)):
        cleared = foreseen(made, 20_000, 10_000, PLAIN)
        assert cleared.tool_uses == uses
        assert cleared.tokens == pytest.approx(uses * GONE)


@pytest.mark.parametrize(
    ("estimate", "trigger", "answers"),
    [(10_000, 10_000, 9), (20_000, None, 9), (20_000, 10_000, 4), (20_000, 10_000, 3)],
)
def test_nothing_goes(estimate: float, trigger: int | None, answers: int) -> None:
    """Below the trigger, unasked, when it is too little, when there is nothing old."""
    assert foreseen(of(answers), estimate, trigger, PLAIN) == Cleared()


def test_what_goes_is_weighed_as_it_was_billed() -> None:
    """And the pictures of an answer go with it."""
    made = transcript(*answered(0, 4, media=100))
    billed = scale(Line(1.0, 0.0), counted=1_000, tokens=2_000, last=9)
    assert cleared_tokens(made, 0, billed) == 0.0
    assert cleared_tokens(made, 2, billed) == pytest.approx(2 * (6_000 + 100 - PLACEHOLDER))
    tiny = transcript(*answered(0, 4, tokens=1))
    assert cleared_tokens(tiny, 4, billed) == 0.0


@pytest.mark.parametrize("answers", [4, 5])
def test_what_is_too_little_is_left(answers: int) -> None:
    """Else the provider would forget the prompt for next to nothing."""
    each = CLEARED_AT_LEAST + PLACEHOLDER
    made = transcript(*answered(0, answers, tokens=each - 1))
    cleared = foreseen(made, 50_000, 10_000, PLAIN)
    assert cleared.tool_uses == (0 if answers == 4 else 2)


@pytest.mark.parametrize(
    ("before", "now", "messages", "tokens"),
    [
        (0, 0, 8, 9_040),
        (1, 1, 8, 9_040 - GONE),
        (0, 1, 2, 15),
        (1, 2, 2, 15),
        (2, 3, 6, 6_035 - 2 * GONE),
    ],
)
def test_requests_are_alike_up_to_what_only_one_of_them_has(
    before: int, now: int, messages: int, tokens: int
) -> None:
    """A cleared answer is another text; messages are the smallest parts that are compared."""
    made = of(2, 1)
    for one, other in ((before, now), (now, before)):
        end = alike(made, len(made), one, other)
        assert end == messages
        assert remaining(made, end, other, PLAIN) == pytest.approx(tokens)


def test_what_is_alike_ends_where_the_requests_part() -> None:
    """What was cleared behind that does not count."""
    made = of(2, 1)
    assert [alike(made, end, 2, 2) for end in (2, 3)] == [2, 3]
    assert alike(made, 2, 2, 3) == 2
    assert remaining(made, 2, 2, PLAIN) == 15
    assert remaining(made, 3, 2, PLAIN) == pytest.approx(6_015 - 2 * GONE)
