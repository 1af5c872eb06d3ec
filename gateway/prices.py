"""What tokens cost, by genai-prices' table or by a price file that wins over it."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from gateway.late import Late
from gateway.price_file import FlatPrice, read_prices
from protocol.provider.pricing import PLAIN, region_factor
from protocol.usage import PLAIN_TERMS, Cost, Terms, TokenCounts

_VERSION = re.compile(r"-(?:latest|\d{8})\Z")
_USUAL = (None, "standard")


class _Listed(Protocol):
    """`gateway.price_table.Listed`, which is not imported before it is needed."""

    @property
    def knows_speed(self) -> bool: ...

    def at(self, prompt: int) -> FlatPrice: ...


class GenaiPrices:
    """Prices of the Anthropic models.

    Making one reads the price file. Raises ConfigError for a bad one.
    """

    def __init__(self, prices_file: Path | None = None) -> None:
        self._overrides = read_prices(prices_file) if prices_file else {}
        self._listed: Late[Callable[[str, str | None], _Listed | None]] = Late(_load)

    async def ready(self) -> None:
        """Wait until the table is read. A price that is asked for earlier holds the loop."""
        await self._listed.wait()

    def price(self, model: str, tokens: TokenCounts, terms: Terms = PLAIN_TERMS) -> Cost | None:
        """USD at today's prices; `None` when the model has no known price.

        Thinking is billed as output, web searches are a part of `output_cost`. It is exact unless
        the `terms` are not known to change the price in this way.
        """
        found = self._found(model, tokens, terms)
        factor = region_factor(model, terms.region)
        if found is None:
            return None
        price = found.price
        if factor is not None and factor != PLAIN:  # `in` compares a decimal with `None`: slowly
            price = price.times(factor)
        cost = price.cost(tokens)
        if cost is None or (found.is_sure and factor is not None):
            return cost
        return msgspec.structs.replace(cost, estimated=True)

    def _found(self, model: str, tokens: TokenCounts, terms: Terms) -> _Found | None:
        """The price for these terms, but for the region. A price file knows no speeds or tiers."""
        if self._overrides:
            own = self._overrides.get(model) or self._overrides.get(_VERSION.sub("", model))
            if own is not None:
                return _Found(own, terms.speed in _USUAL)
        listed = self._listed.get()(model, None if terms.speed in _USUAL else terms.speed)
        if listed is None:
            return None
        price = listed.at(tokens.input if terms.prompt is None else terms.prompt)
        # Of several passes each is billed by its own length, which is not told.
        is_clear = terms.prompt is None or price == listed.at(tokens.input)
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


def _load() -> Callable[[str, str | None], _Listed | None]:
    from gateway.price_table import listed  # noqa: PLC0415 - 0.2 s

    listed("claude-sonnet-5-5", None)  # reads the table now, not at a first turn
    return listed
