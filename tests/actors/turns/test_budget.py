"""The budget guard: it stops rather early than late, and never without a limit."""

from __future__ import annotations

from decimal import Decimal

import pytest

from actors.turns.budget import BudgetGuard, left_of
from protocol.answer import Answer
from protocol.provider.events import (
    ContentBlockStop,
    MessageDelta,
    MessageEnd,
    MessageStart,
    ProviderMessage,
    ProviderUsage,
)
from protocol.records import StepRecord
from protocol.usage import TokenCounts
from tests.actors.fakes import MODEL, FakePrices, begin, finish, open_block, piece


def answer_of(characters: int, *, model: str = MODEL) -> Answer:
    """An answer that has so much text; its prompt cost 0.0003 USD for 100 tokens."""
    answer = Answer()
    started = MessageStart(ProviderMessage(model, ProviderUsage(input_tokens=100)))
    for event in (started, open_block(), piece("x" * characters)):
        answer.feed(event)
    return answer


def guard(prices: FakePrices, max_cost: float | None, model: str) -> BudgetGuard:
    """A guard for a model that makes four tokens of the tokenizer's three."""
    limit = None if max_cost is None else Decimal(str(max_cost))
    return BudgetGuard(prices, limit, model, prompt_tokens=50, characters_a_token=3)


def test_without_a_limit_nothing_is_spent() -> None:
    """However long the answer."""
    assert not guard(FakePrices(), None, MODEL).is_spent(answer_of(10**6))


def test_before_the_first_event_nothing_is_spent() -> None:
    """What the prompt costs is not known yet."""
    assert not guard(FakePrices(), 0.000001, MODEL).is_spent(Answer())


def test_it_is_spent_when_the_characters_are_worth_it() -> None:
    """0.0003 for the prompt and 0.000015 for each 3 characters: 0.0006 is 60 characters."""
    assert not guard(FakePrices(), 0.0006, MODEL).is_spent(answer_of(59))
    assert guard(FakePrices(), 0.0006, MODEL).is_spent(answer_of(60))


def test_a_prompt_whose_bill_is_not_told_costs_what_it_was_estimated_at() -> None:
    """Some tell it with the last event alone: 0.00015 for 50 tokens leaves 30 characters more."""
    answer = Answer()
    untold = MessageStart(ProviderMessage(MODEL, ProviderUsage()))
    for event in (untold, open_block(), piece("x" * 89)):
        answer.feed(event)
    assert not guard(FakePrices(), 0.0006, MODEL).is_spent(answer)
    answer.feed(piece("x"))
    assert guard(FakePrices(), 0.0006, MODEL).is_spent(answer)


def test_a_prompt_that_costs_more_than_all_of_it_ends_at_once() -> None:
    """Nothing can be bought any more."""
    assert guard(FakePrices(), 0.0001, MODEL).is_spent(answer_of(1))


def test_a_whole_answer_is_not_cut() -> None:
    """It has been paid for."""
    answer = answer_of(10**6)
    for event in finish():
        answer.feed(event)  # type: ignore[arg-type]
    assert not guard(FakePrices(), 0.0001, MODEL).is_spent(answer)


@pytest.mark.parametrize("model", ["claude-of-no-price", MODEL])
def test_an_output_that_costs_nothing_is_never_too_much(model: str) -> None:
    """Nor one of which nobody knows what it costs."""
    prices = FakePrices()
    prices.per_output = Decimal(0)
    assert not guard(prices, 0.0006, model).is_spent(answer_of(10**6, model=model))


# --- several requests of one turn --------------------------------------------------------------

STEP = StepRecord(
    counts=TokenCounts(uncached=100), stop_reason=None, estimated=False, counted_tokens=1
)


def test_what_is_left_is_the_limit_without_what_was_billed() -> None:
    """A request without a known price counts for nothing: it is not admitted with a limit."""
    assert left_of(None, FakePrices(), MODEL, [STEP]) is None
    assert left_of(0.001, FakePrices(), MODEL, [STEP, STEP]) == Decimal("0.0004")
    assert left_of(0.001, FakePrices(), "claude-of-no-price", [STEP]) == Decimal("0.001")


def test_other_scripts_are_worth_more_than_as_many_letters() -> None:
    """A Japanese character is about a token, and four of English are one."""
    answer = Answer()
    for event in (begin(100), open_block(), piece("茶" * 15)):
        answer.feed(event)
    assert guard(FakePrices(), 0.0006, MODEL).is_spent(answer)


def served(results: int, found: str = "", tool: str = "bash_code_execution") -> Answer:
    """An answer for which the provider's tools have run so often; its prompt had 100 tokens."""
    answer = Answer()
    answer.feed(begin(100))
    for index in range(0, 2 * results, 2):
        answer.feed(open_block(index, type="server_tool_use", id=f"srvtoolu_{index}", name=tool))
        answer.feed(ContentBlockStop(index))
        answer.feed(open_block(index + 1, type=f"{tool}_tool_result", content=found))
        answer.feed(ContentBlockStop(index + 1))
    answer.feed(open_block(2 * results))
    answer.feed(piece("x" * 30, 2 * results))
    return answer


def test_each_pass_of_the_providers_tools_costs_the_prompt_again() -> None:
    """0.0003 for each pass, and 0.00015 for the text."""
    assert not guard(FakePrices(), 0.0006, MODEL).is_spent(served(0))
    assert guard(FakePrices(), 0.0006, MODEL).is_spent(served(1))
    assert not guard(FakePrices(), 0.001, MODEL).is_spent(served(1))
    assert guard(FakePrices(), 0.001, MODEL).is_spent(served(2))


def test_each_later_pass_reads_what_was_brought_before() -> None:
    """Three passes: 0.0012 for the prompt and the text, 0.0009 or so for each 900 characters."""
    found = "x" * 900
    assert guard(FakePrices(), 0.0019, MODEL).is_spent(served(2)) is False
    assert guard(FakePrices(), 0.0036, MODEL).is_spent(served(2, found))
    assert not guard(FakePrices(), 0.0045, MODEL).is_spent(served(2, found))


def called(answer: Answer, tool: str, index: int = 1) -> None:
    """The model begins to call one of the provider's tools."""
    answer.feed(open_block(index, type="server_tool_use", id=f"srvtoolu_{index}", name=tool))


def test_a_call_is_paid_for_before_it_has_brought_anything() -> None:
    """The pass that reads what it brings can still be stopped then."""
    answer = answer_of(30)
    assert not guard(FakePrices(), 0.0007, MODEL).is_spent(answer)
    called(answer, "bash_code_execution")
    assert guard(FakePrices(), 0.0007, MODEL).is_spent(answer)
    assert not guard(FakePrices(), 0.0009, MODEL).is_spent(answer)


def test_a_fetch_is_paid_for_as_if_it_brought_an_average_page() -> None:
    """10,000 characters cost 0.01 more, before they are there; a smaller page frees the rest."""
    answer = answer_of(30)
    called(answer, "web_fetch")
    assert guard(FakePrices(), 0.0106, MODEL).is_spent(answer)
    held = guard(FakePrices(), 0.0111, MODEL)
    assert not held.is_spent(answer)
    answer.feed(open_block(2, type="web_fetch_tool_result", content="x" * 900))
    assert not guard(FakePrices(), 0.0021, MODEL).is_spent(answer)
    assert not held.is_spent(answer)


def test_a_search_is_paid_for_from_its_call_on() -> None:
    """It is dearer by its own price than a fetch, before the model has said what to look for."""
    fetching, searching = answer_of(30), answer_of(30)
    called(fetching, "web_fetch")
    called(searching, "web_search")
    prices, limit = FakePrices(), 0.0111
    prices.per_search = Decimal("0.01")
    assert not guard(prices, limit, MODEL).is_spent(fetching)
    assert guard(prices, limit, MODEL).is_spent(searching)
    assert searching.counts.web_searches == 0


def test_what_came_is_paid_for_as_soon_as_it_is_there() -> None:
    """By the same guard, to which the call was no surprise."""
    held, answer = guard(FakePrices(), 0.0111, MODEL), answer_of(30)
    called(answer, "web_fetch")
    assert not held.is_spent(answer)
    answer.feed(open_block(2, type="web_fetch_tool_result", content="x" * 10_900))
    assert held.is_spent(answer)


def test_what_is_told_at_the_end_has_every_pass() -> None:
    """They are not counted twice."""
    answer = served(1)
    told = ProviderUsage(input_tokens=200, output_tokens=10)
    answer.feed(MessageDelta(MessageEnd("end_turn"), told))
    assert not guard(FakePrices(), 0.00081, MODEL).is_spent(answer)
    assert guard(FakePrices(), 0.0007, MODEL).is_spent(answer)
