"""Tokens and money, as every layer counts them."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated

import msgspec

ZERO = Decimal(0)

PLACES = 12
"""Decimal places of a dollar that are kept: nobody is billed in smaller parts."""

MOST_FIGURE = 10**9
"""The largest figure of one request that is believed: a thousand times the largest window."""

MOST_SUM = 10**12
"""The largest figure of a turn that is believed: it has many requests."""

Figure = Annotated[int, msgspec.Meta(ge=0, le=MOST_FIGURE)]
"""A number that somebody else tells: of tokens, of searches."""


class TokenCounts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was billed, in tokens; the input's parts exclude one another.

    `thinking` is a part of `output`, not extra; `web_searches` is a number of searches.
    """

    uncached: int = 0
    cache_read: int = 0
    cache_write5m: int = msgspec.field(default=0, name="cacheWrite5m")
    cache_write1h: int = msgspec.field(default=0, name="cacheWrite1h")
    output: int = 0
    thinking: int = 0
    web_searches: int = 0

    @property
    def input(self) -> int:
        """All input tokens, cached or not."""
        return self.uncached + self.cache_read + self.cache_write5m + self.cache_write1h

    @property
    def any(self) -> bool:
        """Whether anything at all was billed."""
        return bool(self.input or self.output or self.web_searches)

    @property
    def is_believable(self) -> bool:
        """Whether no figure is out of any turn's range."""
        return all(0 <= figure <= MOST_SUM for figure in msgspec.structs.astuple(self))

    def __add__(self, other: TokenCounts) -> TokenCounts:
        return TokenCounts(
            uncached=self.uncached + other.uncached,
            cache_read=self.cache_read + other.cache_read,
            cache_write5m=self.cache_write5m + other.cache_write5m,
            cache_write1h=self.cache_write1h + other.cache_write1h,
            output=self.output + other.output,
            thinking=self.thinking + other.thinking,
            web_searches=self.web_searches + other.web_searches,
        )


class Terms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the price of a request depends on besides its counts.

    `model` answered in the place of the one that was `asked`. `region` is where it ran, `speed` how
    fast. The counts may be of several passes, of which the first had `prompt` tokens of input. It
    `is_free` when the provider does not bill it, and `is_uncertain` when its price is not known for
    all that was told.
    """

    model: str | None = None
    asked: str | None = None
    region: str | None = None
    speed: str | None = None
    prompt: int | None = None
    is_free: bool = False
    is_uncertain: bool = False


PLAIN_TERMS = Terms()


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """USD, exact unless it is `estimated`. Web searches are a part of `output_cost`."""

    input_cost: Decimal
    output_cost: Decimal
    estimated: bool = False

    @property
    def total_cost(self) -> Decimal:
        """Input and output together."""
        return self.input_cost + self.output_cost

    @property
    def rounded(self) -> Cost:
        """The same in parts that are kept, so that sums are the same before and after."""
        return msgspec.structs.replace(
            self, input_cost=_rounded(self.input_cost), output_cost=_rounded(self.output_cost)
        )

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            input_cost=self.input_cost + other.input_cost,
            output_cost=self.output_cost + other.output_cost,
            estimated=self.estimated or other.estimated,
        )


def _rounded(amount: Decimal) -> Decimal:
    """Half to even; without zeros at the end, and without an exponent."""
    return amount.quantize(Decimal(1).scaleb(-PLACES), ROUND_HALF_EVEN).normalize() + ZERO
