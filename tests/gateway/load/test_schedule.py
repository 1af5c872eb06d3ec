"""When turns arrive, and of which kind they are."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from gateway.load.mix import KINDS, BadMix, read_mix
from gateway.load.schedule import Schedule


def test_even_arrivals_are_equally_far_apart() -> None:
    """The first comes at once; none comes at the end of the time."""
    assert list(Schedule(rate=4, seconds=1.0).moments()) == [0.0, 0.25, 0.5, 0.75]


def test_a_count_ends_a_schedule_before_its_time() -> None:
    """And the time one before its count."""
    assert len(list(Schedule(rate=10, seconds=1.0, count=3).moments())) == 3
    assert len(list(Schedule(rate=10, seconds=1.0, count=30).moments())) == 10
    assert len(list(Schedule(rate=10, count=30).moments())) == 30


def test_poisson_arrivals_have_the_rate_and_are_the_same_for_a_seed() -> None:
    """In order, and not evenly."""
    schedule = Schedule(rate=100, seconds=20.0, arrivals="poisson", seed=1)
    moments = list(schedule.moments())
    assert moments == list(schedule.moments()) == sorted(moments)
    assert 1_800 < len(moments) < 2_200
    assert len({round(b - a, 6) for a, b in pairwise(moments)}) > 1_000


def test_a_mix_has_kinds_by_their_weights() -> None:
    """A kind without a weight has 1; one of weight 0 never comes."""
    mix = read_mix("plain=8, cancel,drop=0")
    random = Random(1)
    seen = Counter(mix.choose(random) for _ in range(9_000))
    assert seen.keys() == {"plain", "cancel"}
    assert 7_700 < seen["plain"] < 8_300


@pytest.mark.parametrize(
    "text", ["", "nice", "played", "plain=x", "plain=-1", "plain=0", "plain=nan"]
)
def test_a_mix_that_is_none_is_one_line(text: str) -> None:
    """It says what there is."""
    with pytest.raises(BadMix) as refused:
        read_mix(text)
    assert "\n" not in str(refused.value)
    assert "plain" in str(refused.value) or "0" in str(refused.value)


def test_every_kind_can_be_asked_for() -> None:
    """But for turns of a recording."""
    assert set(read_mix(",".join(KINDS)).weights) == {"plain", "tools", "cancel", "drop", "slow"}
