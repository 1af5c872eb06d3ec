"""Token counts and costs: plain sums, exact to the last digit."""

from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from protocol.usage import ZERO, Cost, TokenCounts

counts = st.builds(
    TokenCounts,
    **{name: st.integers(0, 10**9) for name in TokenCounts.__struct_fields__},
)
money = st.decimals(0, 10**6, places=9)
costs = st.builds(Cost, input_cost=money, output_cost=money)


def test_counts_have_their_wire_names() -> None:
    """Camel case, with the cache writes as the protocol spells them."""
    assert msgspec.to_builtins(TokenCounts(cache_write5m=1, cache_write1h=2)) == {
        "uncached": 0,
        "cacheRead": 0,
        "cacheWrite5m": 1,
        "cacheWrite1h": 2,
        "output": 0,
        "thinking": 0,
        "webSearches": 0,
    }


def test_thinking_is_a_part_of_the_output() -> None:
    """It is told, never billed twice."""
    tokens = TokenCounts(output=10, thinking=4)
    assert (tokens.input, tokens.output) == (0, 10)


def test_the_input_is_all_of_it() -> None:
    """Cached or not, the parts exclude one another."""
    tokens = TokenCounts(uncached=1, cache_read=2, cache_write5m=4, cache_write1h=8, output=16)
    assert tokens.input == 15


def test_nothing_billed_is_nothing() -> None:
    """One token or one search is something."""
    assert not TokenCounts().any
    assert TokenCounts(cache_read=1).any
    assert TokenCounts(output=1).any
    assert TokenCounts(web_searches=1).any


def test_a_figure_out_of_any_turns_range_is_not_believed() -> None:
    """Below 0, or beyond what many requests can add up to."""
    assert TokenCounts(uncached=10**12).is_believable
    assert not TokenCounts(output=-1).is_believable
    assert not TokenCounts(web_searches=10**12 + 1).is_believable


@given(counts)
def test_counts_survive_the_codecs(tokens: TokenCounts) -> None:
    """JSON and MessagePack give back what they got."""
    for codec in (msgspec.json, msgspec.msgpack):
        assert codec.decode(codec.encode(tokens), type=TokenCounts) == tokens


@given(counts, counts)
def test_counts_add_up_field_by_field(one: TokenCounts, other: TokenCounts) -> None:
    """In any order, and nothing adds nothing."""
    total = one + other
    assert total == other + one
    assert one + TokenCounts() == one
    assert msgspec.structs.astuple(total) == tuple(
        a + b
        for a, b in zip(msgspec.structs.astuple(one), msgspec.structs.astuple(other), strict=True)
    )
    assert total.input == one.input + other.input


@given(st.lists(costs))
def test_costs_add_up_exactly(some: list[Cost]) -> None:
    """As integers of the smallest digit would, in any order."""
    total = sum(some, Cost(input_cost=ZERO, output_cost=ZERO))
    nano = sum(int(cost.input_cost.scaleb(9)) + int(cost.output_cost.scaleb(9)) for cost in some)
    assert total.total_cost.scaleb(9) == nano
    assert sum(reversed(some), Cost(input_cost=ZERO, output_cost=ZERO)) == total


def test_a_cost_is_no_float() -> None:
    """Ten times a tenth is one."""
    tenth = Cost(input_cost=Decimal("0.1"), output_cost=ZERO)
    assert sum([tenth] * 9, tenth).total_cost == 1
