"""What the provider tells of an answer's bill."""

from __future__ import annotations

from math import ceil
from typing import Any

import pytest

from protocol.billing import Meter
from protocol.provider.brought import FOUND as FOUND_TOKENS
from protocol.provider.brought import size_brought
from protocol.provider.content import Block
from protocol.provider.events import (
    CacheCreation,
    ProviderUsage,
    ServerToolUse,
)
from protocol.sizes import CHARACTERS_A_TOKEN
from protocol.usage import Terms, TokenCounts


def told(*usages: ProviderUsage | None) -> Meter:
    """What is known after these."""
    known = Meter()
    for usage in usages:
        known.add(usage)
    return known


def written(total: int | None, *kinds: int | None) -> ProviderUsage:
    """Tokens written to the cache: all of them, and by kind."""
    by_kind = CacheCreation(*kinds) if kinds else None
    return ProviderUsage(cache_creation_input_tokens=total, cache_creation=by_kind)


@pytest.mark.parametrize(
    ("usages", "for_minutes", "for_an_hour"),
    [
        ([written(None)], 0, 0),
        ([written(9)], 9, 0),
        ([written(None, 5, 4)], 5, 4),
        ([written(None, 5, None)], 5, 0),
        ([written(None, None, 4)], 0, 4),
        ([written(9, 5, 4)], 5, 4),
        ([written(9, 9, 0), written(20)], 20, 0),
        ([written(9, 0, 9), written(20)], 0, 20),
        ([written(9, 5, 4), written(20)], 16, 4),
        ([written(9, 5, 4), written(2)], 5, 4),
        ([written(0, 5, 4)], 5, 4),
        ([written(None, 0, 9), written(0)], 0, 9),
        ([written(3, 0, 9)], 0, 9),
    ],
)
def test_what_was_written_is_of_a_kind(
    usages: list[ProviderUsage], for_minutes: int, for_an_hour: int
) -> None:
    """Told as a sum, by kind, or as both; and the sum alone may grow later."""
    counts = told(*usages).counts(is_final=True)
    assert (counts.cache_write5m, counts.cache_write1h) == (for_minutes, for_an_hour)


def test_nothing_is_told_of_the_input_by_nulls() -> None:
    """Any part of it is something; a zero is, too."""
    assert not told(None, ProviderUsage(output_tokens=3)).tells_input
    assert told(ProviderUsage(input_tokens=0)).tells_input
    assert told(ProviderUsage(cache_read_input_tokens=5)).tells_input
    assert told(written(None, None, 4)).tells_input


def test_the_passes_are_told_one_by_one() -> None:
    """The longest list counts: a later one has the former's passes, too."""
    passes = [{"type": "message"}, {"type": "message"}]
    once = ProviderUsage(input_tokens=5)
    assert told(once).tells_size
    assert told(once, ProviderUsage(iterations=passes[:1])).tells_size
    assert not told(
        once, ProviderUsage(iterations=passes), ProviderUsage(iterations=passes[:1])
    ).tells_size


def seen(*blocks: Block, usage: ProviderUsage | None = None) -> Meter:
    """What is known after these blocks; the prompt was billed 5 tokens before them."""
    meter = told(ProviderUsage(input_tokens=5))
    for block in blocks:
        meter.see(block)
        meter.close(block)
    meter.add(usage)
    return meter


def terms(meter: Meter, **refusal: Any) -> Terms:
    """Its terms where the model that was asked has answered."""
    usual = {"refusal": None, "is_refused": False, "has_text": False}
    return meter.terms("asked", None, **{**usual, **refusal})


SEARCH: Block = {"type": "server_tool_use", "name": "web_search"}
FOUND: Block = {"type": "web_search_tool_result", "content": []}
FAILED: Block = {"type": "web_search_tool_result", "content": {"error_code": "unavailable"}}
CODE: Block = {"type": "server_tool_use", "name": "bash_code_execution"}
TEXT: Block = {"type": "text"}


@pytest.mark.parametrize(
    ("blocks", "broken_off", "final"),
    [
        ([], 0, 0),
        ([SEARCH], 1, 0),
        ([SEARCH, FOUND], 1, 1),
        ([SEARCH, FAILED], 0, 0),
        ([FOUND], 1, 1),
        ([FAILED], 0, 0),
        ([SEARCH, FOUND, SEARCH, FAILED, SEARCH], 2, 1),
        ([TEXT, CODE], 0, 0),
    ],
)
def test_searches_that_were_seen_are_billed(
    blocks: list[Block], broken_off: int, final: int
) -> None:
    """Of an answer that broke off each call, of a whole one each result, and no failure."""
    meter = seen(*blocks)
    assert meter.counts(is_final=False).web_searches == broken_off
    assert meter.counts(is_final=True).web_searches == final
    assert terms(meter).is_uncertain == (final > 0 or CODE in blocks)


def test_a_search_has_run_once_its_call_is_whole() -> None:
    """While the model still writes what to search for, it is only coming."""
    meter = told(ProviderUsage(input_tokens=5))
    meter.see(SEARCH)
    assert meter.counts(is_final=False).web_searches == 0
    assert meter.estimate(5, 4, coming=True).web_searches == 1
    meter.close(SEARCH)
    assert meter.counts(is_final=False).web_searches == 1
    assert meter.estimate(5, 4, coming=True).web_searches == 1


def test_a_search_beyond_their_number_is_known_to_fail() -> None:
    """It brings nothing and costs no more than its pass, from its call on; others may fail, too."""
    meter = Meter(most_searches=1)
    for _ in range(2):
        meter.see(SEARCH)
        assert meter.estimate(0, 4, coming=True).web_searches == 1
        meter.close(SEARCH)
        meter.see(FAILED)
        assert meter.estimate(0, 4, coming=True).web_searches == 0
    for block in (SEARCH, FOUND):
        meter.see(block)
        meter.close(block)
    before = meter.readings(coming=False)
    meter.see(SEARCH, 30)
    meter.close(SEARCH)
    assert meter.estimate(0, 4, coming=True).web_searches == 1
    assert meter.readings(coming=True).passes == before.passes + 1
    brought = 2 * size_brought(FAILED) + size_brought(FOUND) + 4 * size_brought(SEARCH)
    assert meter.readings(coming=True).characters == before.characters + brought + 30
    meter.see(FAILED, 30)
    assert meter.counts(is_final=False).web_searches == 1


def test_each_pass_but_the_first_reads_what_was_brought_and_said() -> None:
    """What is cited is read again, too; and the search that comes next is an average page."""
    found: Block = {"type": "web_fetch_tool_result", "content": "x" * 1_000}
    cited: Block = {"type": "text", "text": "", "citations": [{"cited_text": "y" * 500}]}
    size, cites = size_brought(found), 2 * size_brought(cited["citations"])
    meter = told(ProviderUsage(input_tokens=5))
    meter.see(found, 30)
    assert meter.readings(coming=True) == (1, size + 30)
    meter.see(cited, 30)
    meter.cite([{"cited_text": "y" * 500}])
    meter.see(SEARCH, 70)
    page, call = FOUND_TOKENS * CHARACTERS_A_TOKEN, size_brought(SEARCH)
    assert meter.readings(coming=True) == (2, 2 * size + cites + call + 100 + page)
    assert meter.readings(coming=False) == (1, size + 30)
    meter.see(found, 90)
    assert meter.readings(coming=True) == (2, 3 * size + cites + call + 120)


def test_passes_are_estimated_until_they_are_told() -> None:
    """With the first pass's own figures, or else with the estimate of the prompt."""
    meter, output = Meter(), ProviderUsage(output_tokens=9)
    for usage, prompt in ((output, 100), (ProviderUsage(cache_read_input_tokens=5), 0)):
        meter.add(usage)
        assert meter.estimate(100, 4).uncached == prompt
    found: Block = {"type": "web_fetch_tool_result", "content": ""}
    meter.see(found, 20)
    more = ceil((20 + size_brought(found)) / 4)
    guess = TokenCounts(uncached=more, cache_read=10, output=9)
    assert (meter.tells_passes, meter.estimate(100, 4)) == (False, guess)
    meter.add(output)
    assert (meter.tells_passes, meter.estimate(100, 4)) == (False, guess)
    meter.add(ProviderUsage(cache_read_input_tokens=500))
    assert meter.tells_passes
    assert meter.estimate(100, 4) == TokenCounts(cache_read=500, output=9)


def test_searches_that_were_told_are_as_they_were_told() -> None:
    """There may be more of them than were seen."""
    usage = ProviderUsage(input_tokens=30, server_tool_use=ServerToolUse(2))
    meter = seen(SEARCH, FOUND, usage=usage)
    assert meter.counts(is_final=True).web_searches == 2
    assert not terms(meter).is_uncertain
    assert (meter.readings(coming=False).passes, terms(meter).prompt) == (1, 5)


def test_where_and_how_fast_are_words() -> None:
    """What is none, or says nothing, is not told; and each is bounded."""
    usage = ProviderUsage(inference_geo="u" * 999, speed=7, service_tier=" ")
    assert terms(told(usage)) == Terms(region="u" * 64)
    assert terms(told(ProviderUsage(inference_geo="not_available"))) == Terms()
    assert terms(told(ProviderUsage(service_tier="priority"))).is_uncertain


def test_another_model_is_named_with_the_one_that_was_asked() -> None:
    """The asked one's price is the estimate where the other has none."""
    known = told().terms("asked", "other", refusal=None, is_refused=False, has_text=True)
    assert known == Terms(model="other", asked="asked")


def test_a_refusal_before_any_output_may_be_free() -> None:
    """By its category; one after output never is."""
    assert terms(seen(), is_refused=True) == Terms(is_free=True)
    assert terms(seen(), is_refused=True, refusal="bio") == Terms()
    assert terms(seen(), is_refused=True, refusal="new") == Terms(is_uncertain=True)
    assert terms(seen(), is_refused=True, has_text=True) == Terms()
    assert not terms(seen(SEARCH), is_refused=True).is_free
    assert terms(seen(TEXT), is_refused=True) == Terms(is_free=True)


@pytest.mark.parametrize(
    ("usages", "for_an_hour", "uncertain"),
    [
        ([written(9, 5, 4)], False, False),
        ([written(None, 5, 4)], False, False),
        ([written(9, 5, 4), written(20)], False, True),
        ([written(9, 9, 0), written(20)], False, False),
        ([written(9, 0, 9), written(20)], True, False),
        ([written(9, 9, 0), written(20)], True, True),
        ([written(9, 0, 9), written(20)], False, True),
        ([written(30, 10, 0)], False, True),
        ([written(30, 0, 10)], True, True),
        ([written(30, 0, 0)], False, False),
        ([written(30, 10, 0), written(30, 30, 0)], False, False),
        ([written(0, 9, 0)], False, True),
        ([written(0, 0, 9)], False, True),
        ([written(None, 0, 9), written(0)], True, True),
    ],
)
def test_a_sum_that_is_not_that_of_its_kinds_is_uncertain(
    usages: list[ProviderUsage], for_an_hour: bool, uncertain: bool
) -> None:
    """But one that grew alone, where nothing is told of the kind that was not asked for."""
    meter = Meter(for_an_hour=for_an_hour)
    for usage in usages:
        meter.add(usage)
    assert terms(meter).is_uncertain is uncertain


def test_passes_of_another_kind_are_uncertain() -> None:
    """They are no part of the sums, and may be of another model; so are those that are odd."""
    usage = ProviderUsage(iterations=[{"type": "message"}, {"type": "compaction"}])
    assert terms(told(usage)).is_uncertain
    assert terms(told(ProviderUsage(iterations=[5]))).is_uncertain
    assert not terms(told(ProviderUsage(iterations=5))).is_uncertain


@pytest.mark.parametrize(
    ("usage", "for_minutes", "for_an_hour"),
    [(written(9), 0, 9), (written(9, 9, 0), 9, 0), (written(9, 0, 9), 0, 9)],
)
def test_a_sum_alone_is_of_the_kind_that_was_asked_for(
    usage: ProviderUsage, for_minutes: int, for_an_hour: int
) -> None:
    """What is told by kind stands all the same."""
    meter = Meter(for_an_hour=True)
    meter.add(usage)
    counts = meter.counts(is_final=True)
    assert (counts.cache_write5m, counts.cache_write1h) == (for_minutes, for_an_hour)
