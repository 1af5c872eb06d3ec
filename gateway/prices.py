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
from typing import Any

import genai_prices
import msgspec

from gateway.config import ConfigError
from protocol.provider.model_ids import ReadName, Seller, read_id
from protocol.usage import ZERO, Cost, TokenCounts

_SELLERS: dict[Seller, str] = {
    "provider": "anthropic",
    "aws_global": "aws",
    "aws_regional": "aws",
    "google": "google",
    "router": "openrouter",
}
_VERSION = re.compile(r"-(?:latest|\d{8})\Z")
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


class GenaiPrices:
    """Prices of the Anthropic models.

    Making one reads the tables (blocking, about 0.1 s). Raises ConfigError for a bad price file.
    """

    def __init__(self, prices_file: Path | None = None) -> None:
        self._overrides = _load_overrides(prices_file) if prices_file else {}
        self.price("claude-sonnet-5-5", TokenCounts())  # reads the table now, not at a first turn

    def price(self, model: str, tokens: TokenCounts) -> Cost | None:
        """USD, exact, at today's prices; `None` when the model has no known price.

        Thinking is billed as output, web searches are a part of `output_cost`.
        """
        override = self._overrides.get(model) or self._overrides.get(_VERSION.sub("", model))
        return override.cost(tokens) if override else _listed_cost(model, tokens)

    def estimate(self, model: str, input_tokens: int, cached_tokens: int = 0) -> Decimal | None:
        """USD for `input_tokens`, of which `cached_tokens` come from the cache."""
        cached = min(cached_tokens, input_tokens)
        cost = self.price(model, TokenCounts(uncached=input_tokens - cached, cache_read=cached))
        return None if cost is None else cost.input_cost


def _listed_cost(model: str, tokens: TokenCounts) -> Cost | None:
    name = read_id(model)
    if name.seller is None:
        return None
    usage = genai_prices.Usage(
        # The library's input is all of it, its cache writes are both kinds.
        input_tokens=tokens.input,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write5m + tokens.cache_write1h,
        cache_write_1h_tokens=tokens.cache_write1h,
        output_tokens=tokens.output,
        web_searches=tokens.web_searches,
    )
    try:
        found = genai_prices.calc_price(usage, model, provider_id=_SELLERS[name.seller])
    except LookupError:
        return None
    if not _same_model(name, read_id(found.model.id)):
        return None
    if tokens.web_searches and found.model_price.web_searches_kcount is None:
        return None
    # The searches are neither input nor output to the library, only a part of the total.
    return Cost(input_cost=found.input_price, output_cost=found.total_price - found.input_price)


def _same_model(asked: ReadName, listed: ReadName) -> bool:
    in_the_world = {asked.seller, listed.seller} & {"aws_global", "aws_regional"}
    return asked[:2] == listed[:2] and len(in_the_world) < 2 and listed.seller is not None


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
    text = path.read_bytes().decode()
    if path.suffix == ".json":
        return json.loads(text, parse_float=Decimal, parse_constant=Decimal)
    return tomllib.loads(text, parse_float=Decimal)


def _is_payable(price: FlatPrice) -> bool:
    given = (value for value in msgspec.structs.astuple(price) if value is not None)
    return all(value.is_finite() and value >= 0 for value in given)
