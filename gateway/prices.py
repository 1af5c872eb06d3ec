"""What tokens cost, by genai-prices' table or by a price file that wins over it.

genai-prices matches ids by prefix, so `claude-sonnet-4-5-mini` would be priced as
`claude-sonnet-4-5`. A match counts here only when both ids name the same model
(`protocol.provider.model_ids`), in whatever spelling: no price is better than a guessed one. Whose
spelling it is says whose price holds: a cloud's may be higher, above all in one region.
"""

from __future__ import annotations

import json
import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import genai_prices
import msgspec
from genai_prices.types import ModelPrice, TieredPrices

from gateway.config import ConfigError
from protocol.provider.model_ids import ReadName, Seller, read_id
from protocol.provider.pricing import PLAIN, region_factor
from protocol.usage import PLAIN_TERMS, ZERO, Cost, Terms, TokenCounts

_SELLERS: dict[Seller, str] = {
    "provider": "anthropic",
    "aws_global": "aws",
    "aws_regional": "aws",
    "google": "google",
    "router": "openrouter",
}
_VERSION = re.compile(r"-(?:latest|\d{8})\Z")
_USUAL = (None, "standard")
_MILLION = 1_000_000
_THOUSAND = 1_000


class FlatPrice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model in a price file: USD per million tokens, and per thousand web searches.

    What is left out has no price, and neither has a request that was billed for it.
    """

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write_5m: Decimal | None = None
    cache_write_1h: Decimal | None = None
    web_search: Decimal | None = None

    def cost(self, tokens: TokenCounts) -> Cost | None:
        """The exact cost, or `None` when something billed has no price."""
        inputs = _sum(
            (tokens.uncached, self.input, _MILLION),
            (tokens.cache_read, self.cache_read, _MILLION),
            (tokens.cache_write5m, self.cache_write_5m, _MILLION),
            (tokens.cache_write1h, self.cache_write_1h, _MILLION),
        )
        outputs = _sum(
            (tokens.output, self.output, _MILLION),
            (tokens.web_searches, self.web_search, _THOUSAND),
        )
        if inputs is None or outputs is None:
            return None
        return Cost(input_cost=inputs, output_cost=outputs)

    def times(self, factor: Decimal) -> FlatPrice:
        """The price of a token that costs `factor` times as much; searches cost the same."""
        names = [name for name in self.__struct_fields__ if name != "web_search"]
        dearer = {name: _times(getattr(self, name), factor) for name in names}
        return msgspec.structs.replace(self, **dearer)


class GenaiPrices:
    """Prices of the Anthropic models.

    Making one reads the tables (blocking, about 0.1 s). Raises ConfigError for a bad price file.
    """

    def __init__(self, prices_file: Path | None = None) -> None:
        self._overrides = _load_overrides(prices_file) if prices_file else {}
        self.price("claude-sonnet-5-5", TokenCounts())  # reads the table now, not at a first turn

    def price(self, model: str, tokens: TokenCounts, terms: Terms = PLAIN_TERMS) -> Cost | None:
        """USD at today's prices; `None` when the model has no known price.

        Thinking is billed as output, web searches are a part of `output_cost`. It is exact unless
        the `terms` are not known to change the price in this way.
        """
        found = self._found(model, tokens, terms)
        factor = region_factor(model, terms.region)
        if found is None:
            return None
        cost = found.price.times(factor or PLAIN).cost(tokens)
        if cost is None or (found.is_sure and factor is not None):
            return cost
        return msgspec.structs.replace(cost, estimated=True)

    def _found(self, model: str, tokens: TokenCounts, terms: Terms) -> _Found | None:
        """The price for these terms, but for the region. A price file knows no speeds or tiers."""
        own = self._overrides.get(model) or self._overrides.get(_VERSION.sub("", model))
        if own is not None:
            return _Found(own, terms.speed in _USUAL)
        listed = _listed(model, terms.speed)
        if listed is None:
            return None
        price = _flat(listed.price, tokens.input if terms.prompt is None else terms.prompt)
        # Of several passes each is billed by its own length, which is not told.
        is_clear = terms.prompt is None or price == _flat(listed.price, tokens.input)
        return _Found(price, listed.knows_speed and is_clear)

    def estimate(self, model: str, input_tokens: int, cached_tokens: int = 0) -> Decimal | None:
        """USD for `input_tokens`, of which `cached_tokens` come from the cache."""
        cached = min(cached_tokens, input_tokens)
        cost = self.price(model, TokenCounts(uncached=input_tokens - cached, cache_read=cached))
        return None if cost is None else cost.input_cost


class _Found(NamedTuple):
    """A price, and whether it is sure to be the one that is billed."""

    price: FlatPrice
    is_sure: bool


class _Listed(NamedTuple):
    """A model's price in the library's table, with its tiers; whether it has one for the speed."""

    price: ModelPrice
    knows_speed: bool


def _listed(model: str, speed: str | None) -> _Listed | None:
    name = read_id(model)
    if name.seller is None:
        return None
    context = None if speed in _USUAL else {"speed": str(speed)}
    try:
        found = genai_prices.calc_price(
            genai_prices.Usage(), model, provider_id=_SELLERS[name.seller], price_context=context
        )
    except LookupError:
        return None
    if not _same_model(name, read_id(found.model.id)):
        return None
    variants = found.model.price_variants or ()
    knows = context is None or any(one.when == context for one in variants)
    return _Listed(found.model_price, knows)


def _flat(price: ModelPrice, prompt: int) -> FlatPrice:
    """What a request with a `prompt` of so many tokens costs: all of it is of one tier."""
    return FlatPrice(
        input=_of_tier(price.input_mtok, prompt) or ZERO,
        output=_of_tier(price.output_mtok, prompt) or ZERO,
        cache_read=_of_tier(price.cache_read_mtok, prompt),
        cache_write_5m=_of_tier(price.cache_write_mtok, prompt),
        cache_write_1h=_of_tier(price.cache_write_1h_mtok, prompt),
        web_search=_of_tier(price.web_searches_kcount, prompt),
    )


def _of_tier(price: Decimal | TieredPrices | None, prompt: int) -> Decimal | None:
    if not isinstance(price, TieredPrices):
        return price
    reached = [tier for tier in price.tiers if prompt > tier.start]
    return max(reached, key=lambda tier: tier.start).price if reached else price.base


def _same_model(asked: ReadName, listed: ReadName) -> bool:
    in_the_world = {asked.seller, listed.seller} & {"aws_global", "aws_regional"}
    return asked[:2] == listed[:2] and len(in_the_world) < 2 and listed.seller is not None


def _times(price: Decimal | None, factor: Decimal) -> Decimal | None:
    return None if price is None else price * factor


def _sum(*parts: tuple[int, Decimal | None, int]) -> Decimal | None:
    total = ZERO
    for count, price, per in parts:
        if count and price is None:
            return None
        total += count * (price or ZERO) / per
    return total


def _load_overrides(path: Path) -> dict[str, FlatPrice]:
    try:
        prices = msgspec.convert(_read(path), dict[str, FlatPrice])
    except OSError as error:
        problem = f"{path} cannot be read: {error.strerror}"
    except (ValueError, RecursionError) as error:  # of the parsers, msgspec and UTF-8
        problem = f"{path} is no price file: {' '.join(str(error).split())}"
    else:
        strange = [name for name, price in prices.items() if not _is_payable(price)]
        if not strange:
            return prices
        problem = f"{path} has a price below 0 or without end, of {strange[0]!r}"
    raise ConfigError(
        f"prices_file: {problem}. Give a table for each model with input and output, in USD per "
        "million tokens."
    )


def _read(path: Path) -> Any:
    text = path.read_bytes().decode("utf-8-sig")  # some editors write a BOM
    if path.suffix == ".json":
        return json.loads(text, parse_float=Decimal, parse_constant=Decimal)
    return tomllib.loads(text, parse_float=Decimal)


def _is_payable(price: FlatPrice) -> bool:
    given = (value for value in msgspec.structs.astuple(price) if value is not None)
    return all(value.is_finite() and value >= 0 for value in given)
