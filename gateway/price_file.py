"""A price file: what models cost, by the gateway's owner. It wins over the library's table."""

from __future__ import annotations

import json
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from gateway.config import ConfigError
from protocol.usage import ZERO, Cost, TokenCounts

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


def _times(price: Decimal | None, factor: Decimal) -> Decimal | None:
    return None if price is None else price * factor


def _sum(*parts: tuple[int, Decimal | None, int]) -> Decimal | None:
    total = ZERO
    for count, price, per in parts:
        if not count:
            continue
        if price is None:
            return None
        total += count * price / per
    return total


def read_prices(path: Path) -> dict[str, FlatPrice]:
    """The prices by model. Raises ConfigError for a file that cannot be used."""
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
