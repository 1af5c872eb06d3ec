"""Prices: exact, by the model asked for and no other, and the operator's own when given."""

import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import genai_prices
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import ConfigError
from gateway.prices import GenaiPrices
from protocol.usage import ZERO, Cost, Terms, TokenCounts

PRICES = GenaiPrices()
MILLION = TokenCounts(uncached=1_000_000, output=1_000_000)

OWN_TOML = """
[claude-sonnet-5-5]
input = 1
output = 10.10
cache_read = 0.1
cache_write_5m = 1.25
cache_write_1h = 2.0
web_search = 5

["house-model"]
input = 0
output = 0.000001
"""

token = st.integers(0, 10**7)
counts = st.builds(
    TokenCounts,
    uncached=token,
    cache_read=token,
    cache_write5m=token,
    cache_write1h=token,
    output=token,
    web_searches=st.integers(0, 1_000),
)


def own_prices(tmp_path: Path, content: str = OWN_TOML, name: str = "prices.toml") -> GenaiPrices:
    file = tmp_path / name
    file.write_text(content)
    return GenaiPrices(file)


@pytest.mark.parametrize(
    "model",
    [
        "claude-sonnet-4-5",
        "claude-sonnet-4-5-20250929",
        "claude-sonnet-4",
        "claude-sonnet-4-20250514",
        "claude-opus-4-20250514",
        "claude-opus-4-1-20250805",
        "claude-3-7-sonnet-20250219",
        "claude-3-7-sonnet-latest",
        "claude-3-haiku-20240307",
        "claude-haiku-4-5",
        "claude-sonnet-5-5",
        "claude-opus-5-5",
        "claude-fable-5-1",
    ],
)
def test_models_have_a_price_by_name_or_by_dated_name(model: str) -> None:
    """A date or `-latest` at the end is the same model."""
    assert PRICES.price(model, MILLION) is not None


@pytest.mark.parametrize(
    "model",
    [
        "claude-unknown-9",
        "claude-sonnet-4-5-mini",
        "claude-sonnet-4-5-20250929-fast",
        "claude-3-haiku-preview",
        "claude-opus-5-6",
        "Claude-Sonnet-5-5",
        "claude",
        "gpt-4o",
        "gpt-4o-mini",
        "anthropic/claude-sonnet-5-5",
        "claude-sonnet-5-5\n",
        "",
    ],
)
def test_no_price_is_guessed(model: str) -> None:
    """What only begins like a known model has no price, and neither has another provider's."""
    assert PRICES.price(model, MILLION) is None
    assert PRICES.estimate(model, 1) is None


def test_the_library_would_guess() -> None:
    """The reason for the check on top of it: when this fails, the check may go."""
    usage = genai_prices.Usage(input_tokens=1)
    found = genai_prices.calc_price(usage, "claude-sonnet-4-5-mini", provider_id="anthropic")
    assert found.model.id == "claude-sonnet-4-5"


def test_every_kind_of_token_has_its_own_price() -> None:
    """Uncached, read, written for 5 minutes, written for an hour, output, searches."""
    model = "claude-haiku-4-5"  # $1 in, $5 out, a million tokens

    def cost(**tokens: int) -> Cost | None:
        return PRICES.price(model, TokenCounts(**tokens))

    million = 1_000_000
    assert cost(uncached=million) == Cost(input_cost=Decimal(1), output_cost=ZERO)
    assert cost(cache_read=million) == Cost(input_cost=Decimal("0.1"), output_cost=ZERO)
    assert cost(cache_write5m=million) == Cost(input_cost=Decimal("1.25"), output_cost=ZERO)
    assert cost(cache_write1h=million) == Cost(input_cost=Decimal(2), output_cost=ZERO)
    assert cost(output=million) == Cost(input_cost=ZERO, output_cost=Decimal(5))
    assert cost(web_searches=1_000) == Cost(input_cost=ZERO, output_cost=Decimal(10))
    assert cost() == Cost(input_cost=ZERO, output_cost=ZERO)


def test_thinking_costs_nothing_extra() -> None:
    """It is a part of the output already."""
    plain = PRICES.price("claude-sonnet-5-5", TokenCounts(output=100))
    assert PRICES.price("claude-sonnet-5-5", TokenCounts(output=100, thinking=90)) == plain


def test_a_long_context_costs_more_for_all_of_it() -> None:
    """Above 200,000 input tokens, cached ones included, both directions are dearer."""
    below = PRICES.price("claude-sonnet-4-5", TokenCounts(uncached=200_000, output=1_000_000))
    above = PRICES.price(
        "claude-sonnet-4-5", TokenCounts(uncached=1, cache_read=200_000, output=1_000_000)
    )
    assert below == Cost(input_cost=Decimal("0.6"), output_cost=Decimal(15))
    assert above == Cost(input_cost=Decimal("0.120006"), output_cost=Decimal("22.5"))


def test_a_price_is_looked_up_once_in_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library takes half a millisecond, and what it says may change with the time of day."""
    minute = 60.0 * 1_000_000
    looked_up: list[str] = []
    look_up = genai_prices.calc_price

    def counted(usage: genai_prices.Usage, model: str, **more: Any) -> Any:
        looked_up.append(model)
        return look_up(usage, model, **more)

    monkeypatch.setattr(genai_prices, "calc_price", counted)
    for now in (minute, minute + 59.9, minute + 60, minute + 119):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        assert PRICES.price("claude-haiku-4-5", MILLION) is not None
    assert looked_up == ["claude-haiku-4-5"] * 2


def test_a_search_without_a_price_leaves_the_whole_without_one() -> None:
    """The model's tokens have a price, its searches have none."""
    assert PRICES.price("claude-3-haiku", TokenCounts(uncached=1)) is not None
    assert PRICES.price("claude-3-haiku", TokenCounts(uncached=1, web_searches=1)) is None


@given(counts, counts)
def test_costs_of_a_flat_model_add_up_exactly(one: TokenCounts, other: TokenCounts) -> None:
    """The cost of two requests is the cost of their sum, to the last digit."""
    cost, further = (PRICES.price("claude-opus-5-5", tokens) for tokens in (one, other))
    assert cost is not None
    assert further is not None
    assert PRICES.price("claude-opus-5-5", one + other) == cost + further


def test_an_estimate_is_of_the_input_alone() -> None:
    """Cached tokens at the price of a read, and never more of them than there are."""
    assert PRICES.estimate("claude-haiku-4-5", 1_000_000) == 1
    assert PRICES.estimate("claude-haiku-4-5", 1_000_000, 500_000) == Decimal("0.55")
    assert PRICES.estimate("claude-haiku-4-5", 1_000_000, 9_000_000) == Decimal("0.1")


def test_a_price_file_wins(tmp_path: Path) -> None:
    """For the models in it, by name or by dated name; the others keep their prices."""
    prices = own_prices(tmp_path)
    tokens = TokenCounts(
        uncached=1_000_000,
        cache_read=1_000_000,
        cache_write5m=1_000_000,
        cache_write1h=1_000_000,
        output=1_000_000,
        web_searches=1_000,
    )
    own = Cost(input_cost=Decimal("4.35"), output_cost=Decimal("15.1"))
    assert prices.price("claude-sonnet-5-5", tokens) == own
    assert prices.price("claude-sonnet-5-5-20261001", tokens) == own
    assert prices.price("claude-opus-5-5", tokens) == PRICES.price("claude-opus-5-5", tokens)


def test_a_price_file_knows_models_that_nobody_else_does(tmp_path: Path) -> None:
    """What it leaves out has no price."""
    prices = own_prices(tmp_path)
    tiny = Cost(input_cost=ZERO, output_cost=Decimal("1e-12"))
    assert prices.price("house-model", TokenCounts(uncached=5, output=1)) == tiny
    assert prices.price("house-model", TokenCounts(cache_read=1)) is None
    assert prices.price("house-model", TokenCounts(web_searches=1)) is None


def test_a_price_file_may_be_json(tmp_path: Path) -> None:
    """Its numbers are read as decimals, never through a float."""
    content = json.dumps({"house-model": {"input": 0.1, "output": 3}})
    prices = own_prices(tmp_path, content, "prices.json")
    assert prices.estimate("house-model", 3) == Decimal("3e-7")


@pytest.mark.parametrize("name", ["prices.toml", "prices.json"])
def test_a_price_file_may_begin_with_a_byte_order_mark(tmp_path: Path, name: str) -> None:
    """Some editors write one."""
    text = '{"mine": {"input": 1, "output": 2}}'
    if name.endswith(".toml"):
        text = "[mine]\ninput = 1\noutput = 2\n"
    (tmp_path / name).write_text(text, "utf-8-sig")
    assert GenaiPrices(tmp_path / name).price("mine", TokenCounts()) is not None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("prices.toml", "[m]\ninput = "),
        ("prices.toml", "[m]\ninput = 1"),
        ("prices.toml", "[m]\ninput = 1\noutput = -1"),
        ("prices.toml", "[m]\ninput = 1\noutput = nan"),
        ("prices.toml", "[m]\ninput = 1\noutput = inf"),
        ("prices.toml", "[m]\ninput = 1\noutput = true"),
        ("prices.toml", "[m]\ninput = 1\noutput = 1\nouput = 1"),
        ("prices.toml", "m = 1"),
        ("prices.json", "{"),
        ("prices.json", "[]"),
        ("prices.json", '{"m": {"input": 1, "output": Infinity}}'),
        ("prices.json", "[" * 100_000),
    ],
)
def test_a_bad_price_file_is_refused(tmp_path: Path, name: str, content: str) -> None:
    """In one line that names the setting, the file, the problem and what to do."""
    with pytest.raises(ConfigError, match=r"^prices_file: .* Give a table for each") as caught:
        own_prices(tmp_path, content, name)
    assert str(tmp_path / name) in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_missing_price_file_is_refused(tmp_path: Path) -> None:
    """It was asked for by name."""
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        GenaiPrices(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("model", "rate"),
    [
        ("anthropic.claude-sonnet-5-5", "2.2"),
        ("us.anthropic.claude-sonnet-5-5-v1:0", "2.2"),
        ("global.anthropic.claude-sonnet-5-5", "2"),
        ("anthropic/claude-sonnet-5.5", "2"),
        ("claude-sonnet-5-5@20260928", "2"),
        ("our-own/claude-sonnet-5-5", None),
        ("anthropic/claude-sonnet-5.5:thinking", None),
    ],
)
def test_a_clouds_name_has_the_price_of_its_seller(model: str, rate: str | None) -> None:
    """A region of Amazon's costs more; a spelling that nobody knows has no price."""
    cost = GenaiPrices().price(model, TokenCounts(uncached=1_000_000))
    assert (None if cost is None else cost.input_cost) == (None if rate is None else Decimal(rate))


def test_the_length_of_a_prompt_that_was_read_several_times_is_its_own() -> None:
    """Two passes of 60,000 tokens are none of 120,000; that is an estimate where it matters."""
    counts = TokenCounts(uncached=120_000, output=1_000)
    whole = PRICES.price("claude-haiku-5-5", counts)
    passes = PRICES.price("claude-haiku-5-5", counts, Terms(prompt=60_000))
    long = PRICES.price("claude-haiku-5-5", counts, Terms(prompt=110_000))
    assert whole is not None
    assert passes is not None
    assert 5 * passes.total_cost == whole.total_cost
    assert passes.estimated
    assert long == whole
    assert PRICES.price("claude-opus-5-5", counts, Terms(prompt=60_000)) == PRICES.price(
        "claude-opus-5-5", counts
    )


def test_a_price_file_has_plain_prices(tmp_path: Path) -> None:
    """A region multiplies them; of a speed it says nothing."""
    path = tmp_path / "prices.toml"
    path.write_text("[house-model]\ninput = 1\noutput = 2\n")
    prices, tokens = GenaiPrices(path), TokenCounts(uncached=1_000_000)
    plain = Cost(input_cost=Decimal(1), output_cost=Decimal(0))
    local = Cost(input_cost=Decimal("1.1"), output_cost=Decimal(0))
    assert prices.price("house-model", tokens, Terms(speed="standard")) == plain
    assert prices.price("house-model", tokens, Terms(region="us")) == local
    fast = prices.price("house-model", tokens, Terms(speed="fast"))
    assert fast == msgspec.structs.replace(plain, estimated=True)
