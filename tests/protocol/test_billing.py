"""What the provider tells of an answer's bill."""

from __future__ import annotations

import pytest

from protocol.billing import ToldUsage
from protocol.provider.events import CacheCreation, ProviderUsage, UsageIteration


def told(*usages: ProviderUsage | None) -> ToldUsage:
    """What is known after these."""
    known = ToldUsage()
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
        ([written(9, 5, 4), written(2)], 0, 2),
        ([written(0, 5, 4)], 0, 0),
    ],
)
def test_what_was_written_is_of_a_kind(
    usages: list[ProviderUsage], for_minutes: int, for_an_hour: int
) -> None:
    """Told as a sum, by kind, or as both; and the sum alone may grow later."""
    counts = told(*usages).counts
    assert (counts.cache_write5m, counts.cache_write1h) == (for_minutes, for_an_hour)


def test_nothing_is_told_of_the_input_by_nulls() -> None:
    """Any part of it is something; a zero is, too."""
    assert not told(None, ProviderUsage(output_tokens=3)).tells_input
    assert told(ProviderUsage(input_tokens=0)).tells_input
    assert told(ProviderUsage(cache_read_input_tokens=5)).tells_input
    assert told(written(None, None, 4)).tells_input


def test_the_passes_are_told_one_by_one() -> None:
    """The longest list counts: a later one has the former's passes, too."""
    passes = [UsageIteration("message"), UsageIteration("message")]
    assert told(ProviderUsage()).passes == 1
    assert told(ProviderUsage(iterations=passes), ProviderUsage(iterations=passes[:1])).passes == 2
