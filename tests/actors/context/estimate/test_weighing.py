"""What a request weighs, section by section, and what that costs."""

from __future__ import annotations

import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.context.estimate.calibration import Calibrations, Line
from actors.context.estimate.scale import Scale
from actors.context.estimate.sent import Beginning, Billed, SentRequest
from actors.context.estimate.weighing import (
    CLOSE,
    OVERHEAD,
    UNSEEN,
    Opening,
    Rates,
    Weigher,
    scaled,
    weigh,
)
from protocol.context import SectionName
from protocol.prompt import Allowance
from protocol.records import CalibrationRecord
from protocol.usage import PLAIN_TERMS, Cost, Terms, TokenCounts
from tests.actors.context.estimate.support import PLAIN, scale, transcript
from tests.actors.fakes import MODEL, FakePrices
from tests.protocol.entries import added, announcement, call, entry, result, text, transcripts

ROOM = Allowance(limit=100_000, room=100_000, most_attached=100)
CLEARING = Allowance(limit=10**9, room=10**9, most_attached=100, clears_at=0)
INPUT = Decimal("0.000003")


def opening(**counted: int) -> Opening:
    """What a request has before its messages, of so many tokens."""
    return Opening(system=(), tools=b"[]", counted=counted)  # type: ignore[arg-type]


def test_the_example() -> None:
    """Of 10,300 tokens, 10,000 were billed before: 14,890 in all."""
    line = Scale(Line(1.3, 500.0), scale(PLAIN.line, counted=10_000, tokens=14_500, last=1).former)
    made = transcript(
        entry(0, "user", "?", "a", token_count=1_000),
        entry(1, "assistant", [], "a", token_count=5_000),
        entry(2, "user", "?", "b", token_count=300),
    )
    weight = weigh(opening(system_prompt=4_000), made, 2, scale=line, allowance=ROOM)
    assert line.extra == pytest.approx(0.1)
    assert weight.total == 14_890
    assert weight.sections == {
        "system_prompt": 5_600,
        "response_format": 0,
        "memory": 0,
        "skills": 0,
        "tools": 0,
        "history": 8_400,
        "user_message": 390,
        "provider_overhead": 500,
    }
    assert weight.needed == 14_890 - 8_400


def test_an_announcement_weighs_in_its_section() -> None:
    """Not in the history, nor in the question behind which it stands."""
    made = transcript(
        entry(0, "user", "?", "a", token_count=100),
        announcement(1, text("Tea."), added(), turn="a"),
        entry(2, "assistant", [], "a", token_count=10),
        entry(3, "user", "?", "b", token_count=200),
        announcement(4, text("No."), turn="b"),
    )
    billed = scale(PLAIN.line, counted=100, tokens=200, last=2)
    sections = weigh(opening(memory=50), made, 3, scale=billed, allowance=ROOM).sections
    assert sections["memory"] == 2 * (50 + 7) + 7
    assert sections["tools"] == 2 * 7
    assert (sections["history"], sections["user_message"]) == (2 * 110, 200)


def test_what_the_provider_clears_is_taken_from_where_it_stands() -> None:
    """Of older turns first, then of the turn's own tools."""
    results = [result(f"c{number}", "…") for number in range(4)]
    made = transcript(
        entry(0, "user", "?", "a", token_count=100),
        entry(1, "assistant", [call()], "a", token_count=10),
        entry(2, "user", results, "a", token_count=40_000),
        entry(3, "assistant", [], "a", token_count=10),
        entry(4, "user", "?", "b", token_count=200),
        entry(5, "assistant", [call()], "b", token_count=10),
        entry(6, "user", results, "b", token_count=40_000),
    )
    weight = weigh(opening(), made, 4, scale=PLAIN, allowance=CLEARING)
    assert weight.cleared.tool_uses == 5
    assert weight.sections["history"] == 120 + 4 * 32
    assert weight.sections["user_message"] == 210 + 3 * 10_000 + 32
    assert weight.total == 80_330 - round(weight.cleared.tokens)


@given(
    transcripts(),
    st.integers(0, 16),
    st.dictionaries(st.sampled_from(["system_prompt", "memory", "tools"]), st.integers(0, 500)),
    st.data(),
)
def test_the_sections_add_up_to_the_estimate(
    entries: list[object], began: int, counted: dict[str, int], data: st.DataObject
) -> None:
    """But for what rounding does to each."""
    made = transcript(*entries, began=began)  # type: ignore[arg-type]
    own = data.draw(st.integers(0, len(made)))
    billed = scale(Line(1.3, 20.0), counted=100, tokens=150, last=data.draw(st.integers(-1, 16)))
    before = opening(**counted)
    weight = weigh(before, made, own, scale=billed, allowance=ROOM)
    expected = 20 + billed.old(before.total) + billed.messages(made)
    assert abs(weight.total - expected) <= len(weight.sections)
    assert min(weight.sections.values()) >= 0


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


# --- by what was billed before -----------------------------------------------------------------


def billed(model: str, *, with_tools: bool) -> Billed:
    """A former request."""
    beginning = Beginning(model=model, epoch=0, tools=0, system=0, thinking=None, has_media=False)
    sent = SentRequest(
        beginning=beginning,
        has_tools=with_tools,
        last=0,
        counted=100,
        estimate=0,
        cleared=0,
        sent_at=0,
    )
    return Billed(sent=sent, tokens=200)


def weigher() -> Weigher:
    """One that has learned that a token is billed as two."""
    calibrations = Calibrations()
    calibrations.recall(
        CalibrationRecord(model=MODEL, has_tools=False, counted=size, billed=2 * size)
        for size in (10, 100, 1_000, 10_000) * 10
    )
    return Weigher(FakePrices(), calibrations)


def test_a_bill_of_another_model_or_kind_of_request_is_not_taken() -> None:
    """The line alone is, then."""
    made = weigher()
    own = billed(MODEL, with_tools=False)
    assert made.scale(MODEL, own, has_tools=False).former == own
    for former in (None, billed("n", with_tools=False), billed(MODEL, with_tools=True)):
        found = made.scale(MODEL, former, has_tools=False)
        assert found.former is None
        assert found.line.ratio == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize(
    ("tokens", "caches", "cold", "read"),
    [
        (1_000, True, INPUT * Decimal("1.25"), INPUT / 10),
        (1_000, False, INPUT, None),
        (100, True, INPUT, INPUT / 10),
        (0, True, INPUT, INPUT / 10),
    ],
)
def test_what_is_long_enough_to_be_remembered_costs_more_at_first(
    tokens: int, caches: bool, cold: Decimal, read: Decimal | None
) -> None:
    """And a tenth when it comes again."""
    assert weigher().rates(MODEL, tokens, least=512, caches=caches) == Rates(cold, read)


def test_what_has_no_price_costs_what_nobody_knows() -> None:
    """Not nothing."""
    rates = weigher().rates("claude-of-no-price", 1_000, least=512, caches=True)
    assert (rates.cost(10), rates.cost(10, 5), rates.likely_cost(10, 5)) == (None, None, None)
    unread = Rates(INPUT, None)
    assert (unread.cost(10), unread.cost(10, 5)) == (INPUT * 10, None)
    assert unread.likely_cost(10, 5) == INPUT * 10


def test_what_is_remembered_is_at_most_all() -> None:
    """A guess may be larger than what is sent."""
    rates = Rates(INPUT, INPUT / 10)
    assert rates.cost(10, 4) == INPUT * 6 + INPUT / 10 * 4
    assert rates.likely_cost(10, 99) == INPUT


def test_the_answer_may_be_as_long_as_the_money_lasts() -> None:
    """15 USD a million tokens; at least one, and any length where nothing bounds it."""
    made = weigher()
    assert made.affordable_output(MODEL, 100, Decimal("0.5"), 1.25) == 50_000
    assert made.affordable_output(MODEL, 100, None, 0.15) == 10_000
    assert made.affordable_output(MODEL, 100, Decimal(9), 1.0) == 1
    assert made.affordable_output(MODEL, 100, Decimal(9), None) == sys.maxsize
    assert made.affordable_output("claude-of-no-price", 100, None, 1.0) == sys.maxsize
    free = FakePrices()
    free.per_output = Decimal(0)
    assert Weigher(free, Calibrations()).affordable_output(MODEL, 100, None, 1.0) == sys.maxsize


class LongPrices(FakePrices):
    """Beyond 1,000 tokens of input all of a request costs twice as much."""

    def price(self, model: str, tokens: TokenCounts, terms: Terms = PLAIN_TERMS) -> Cost | None:
        """See `Prices`."""
        cost = super().price(model, tokens, terms)
        return cost + cost if cost is not None and tokens.input > 1_000 else cost


def test_a_long_prompt_makes_the_answer_dearer_too() -> None:
    """A tier is of the whole request; one that may be reached counts as if it were."""
    calibrations = Calibrations()
    made = Weigher(LongPrices(), calibrations)
    assert made.margin(MODEL) == UNSEEN
    assert made.affordable_output(MODEL, 625, None, 0.15) == 10_000
    assert made.affordable_output(MODEL, 626, None, 0.15) == 5_000
    calibrations.learn(CalibrationRecord(model=MODEL, has_tools=False, counted=9, billed=9))
    assert made.margin(MODEL) == CLOSE
    assert made.affordable_output(MODEL, 800, None, 0.15) == 10_000
    assert made.affordable_output(MODEL, 801, None, 0.15) == 5_000


@pytest.mark.parametrize(("tokens", "margin", "times"), [(800, 1, 1), (801, 1, 1), (801, CLOSE, 2)])
def test_a_tier_that_may_be_reached_has_its_price(tokens: int, margin: float, times: int) -> None:
    """Where it is held against what a client will pay."""
    made = Weigher(LongPrices(), Calibrations())
    rates = made.rates(MODEL, tokens, least=tokens + 1, caches=True, margin=margin)
    assert rates == Rates(INPUT * times, INPUT / 10 * times)
