"""The passes of one request over its prompt, as long as nobody tells them."""

from __future__ import annotations

from protocol.passes import Passes, Readings
from protocol.provider.brought import FOUND
from protocol.sizes import CHARACTERS_A_TOKEN
from protocol.usage import TokenCounts

PAGE = FOUND * CHARACTERS_A_TOKEN


def test_without_tools_the_prompt_is_read_once() -> None:
    """There is no further pass, and none is coming."""
    passes = Passes()
    assert passes.begun == passes.coming == Readings()
    assert passes.begun.input(TokenCounts(uncached=100), 4) == TokenCounts()


def test_each_pass_reads_all_that_was_said_and_brought() -> None:
    """The example at the head of `protocol.passes`: 3,100 and 5,200 tokens."""
    passes = Passes()
    for said in (400, 800):
        passes.call("web_search", said)
        passes.bring("web_search", 8_000, said)
    further = passes.begun.input(TokenCounts(uncached=1_000), 4)
    assert further == TokenCounts(uncached=3_100 + 5_200)


def test_what_was_written_to_the_cache_is_read_from_it() -> None:
    """By each of two further passes; a started token is a whole one."""
    prompt = TokenCounts(uncached=10, cache_read=20, cache_write5m=30, cache_write1h=40)
    assert Readings(2, 5.0).input(prompt, 4) == TokenCounts(uncached=22, cache_read=180)


def test_a_call_costs_nothing_yet_and_is_coming() -> None:
    """With an average page for a search or a fetch, and with nothing for code."""
    passes = Passes()
    passes.call("web_fetch", 30)
    passes.call("bash_code_execution", 70)
    assert passes.begun == Readings()
    assert passes.coming == Readings(2, PAGE + 100)


def test_a_tool_is_taken_to_bring_what_it_has_brought_at_most() -> None:
    """A small result makes the next one no smaller than an average page."""
    for size in (50, PAGE + 50):
        passes = Passes()
        passes.call("web_search", 0)
        passes.bring("web_search", size, 0)
        assert passes.coming == passes.begun == Readings(1, size)
        passes.call("web_search", 0)
        assert passes.coming == Readings(2, 2 * size + max(size, PAGE))
        passes.call("web_fetch", 0)
        assert passes.coming == Readings(3, 3 * size + max(size, PAGE) + PAGE)


def test_calls_and_citations_are_read_by_later_passes() -> None:
    """Not by those before."""
    passes = Passes()
    passes.bring("web_search", 50, 10)
    passes.add(7)
    assert passes.begun == Readings(1, 60)
    passes.bring("web_search", 50, 10)
    assert passes.begun == Readings(2, 60 + 117)


def test_what_the_answer_before_has_called_is_read_by_the_first_pass() -> None:
    """It comes before anything is said or called; what follows is read once more."""
    passes = Passes()
    passes.bring("web_search", 50, 0)
    passes.bring("web_search", 60, 0)
    assert passes.begun == Readings(0, 110)
    passes.call("web_search", 20)
    passes.bring("web_search", 70, 20)
    assert passes.begun == Readings(1, 110 + 200)
