"""The table of prices that genai-prices carries: the one place that knows the library.

It matches ids by prefix, so `claude-sonnet-4-5-mini` would be priced as `claude-sonnet-4-5`. A
match counts here only when both ids name the same model (`protocol.provider.model_ids`), in
whatever spelling: no price is better than a guessed one. Whose spelling it is says whose price
holds: a cloud's may be higher, above all in one region.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from decimal import Decimal
from functools import lru_cache

import genai_prices
from genai_prices.types import ModelPrice, TieredPrices

from gateway.price_file import FlatPrice
from protocol.provider.model_ids import ReadName, Seller, read_id
from protocol.usage import ZERO

_SELLERS: dict[Seller, str] = {
    "provider": "anthropic",
    "aws_global": "aws",
    "aws_regional": "aws",
    "google": "google",
    "router": "openrouter",
}

KEPT = 256
"""Models and speeds whose price is kept: to look one up takes half a millisecond."""


class Listed:
    """A model's price in the table, tier by tier; whether it has one for the speed."""

    def __init__(self, price: ModelPrice, *, knows_speed: bool) -> None:
        self.knows_speed = knows_speed
        self._starts = sorted(_starts(price))
        """Beyond each of these the next tier begins, in tokens of the prompt."""
        self._tiers = [_flat(price, prompt) for prompt in (0, *(one + 1 for one in self._starts))]

    def at(self, prompt: int) -> FlatPrice:
        """What a request with a `prompt` of so many tokens costs: all of it is of one tier."""
        return self._tiers[bisect_left(self._starts, prompt)]


def listed(model: str, speed: str | None) -> Listed | None:
    """The price of a model at a speed other than the usual one; `None` when it has no known one."""
    return _listed_in(int(time.time()) // 60, model, speed)


@lru_cache(maxsize=KEPT)
def _listed_in(_minute: int, model: str, speed: str | None) -> Listed | None:
    """The same in this minute: a price may depend on the day, and on the time of day."""
    name = read_id(model)
    if name.seller is None:
        return None
    context = None if speed is None else {"speed": speed}
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
    return Listed(found.model_price, knows_speed=knows)


def _starts(price: ModelPrice) -> set[int]:
    prices = vars(price).values()
    return {tier.start for one in prices if isinstance(one, TieredPrices) for tier in one.tiers}


def _flat(price: ModelPrice, prompt: int) -> FlatPrice:
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
