"""What a request weighs: tokens counted, tokens estimated, and what they cost.

The estimate of a text is its count on the line that was learned for the model (`calibration`).
What the session's former billed request had too is estimated at what that was billed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from actors.context.assembly import Parts
from actors.context.estimate.calibration import Calibrations
from actors.context.estimate.counting import Counter
from actors.context.estimate.fitting import counted_turns, fitted
from actors.context.estimate.scale import Scale
from actors.context.estimate.sent import Billed
from actors.context.estimate.weighed import OVERHEAD, Rates, Weighed, scaled
from actors.ports import Prices
from protocol.context import SectionName, SectionWeight, SentContext
from protocol.errors import GatewayError
from protocol.prompt import Allowance
from protocol.provider.models import least_cacheable
from protocol.records import MessageRecord
from protocol.usage import ZERO, TokenCounts


class Weigher:
    """Counts, estimates and prices."""

    def __init__(self, counter: Counter, prices: Prices, calibrations: Calibrations) -> None:
        self._counter = counter
        self._prices = prices
        self._calibrations = calibrations

    def scale(self, model: str, former: Billed | None, *, has_tools: bool) -> Scale:
        """From counted to estimated tokens, for a request that may follow a `former` one."""
        line = self._calibrations.line(model, has_tools=has_tools)
        if former is None:
            return Scale(line)
        alike = (former.sent.beginning.model, former.sent.has_tools) == (model, has_tools)
        return Scale(line, former) if alike else Scale(line)

    async def weigh(
        self, model: str, parts: Parts, former: Billed | None, allowance: Allowance
    ) -> Weighed:
        """The request that `model` would get, without the oldest turns that find no room.

        Raises GatewayError(CONTEXT_TOO_LARGE) when it does not fit without any of them.
        """
        counted = {name: await self._counter.count_again(text) for name, text in _fixed(parts)}
        scale = self.scale(model, former, has_tools=parts.has_tools)
        estimated = {name: round(scale.fixed(count)) for name, count in counted.items()}
        overhead = round(scale.line.overhead)
        found = fitted(
            parts.turns,
            [] if parts.user is None else [parts.user],
            fixed=sum(estimated.values()) + overhead,
            scale=scale,
            allowance=allowance,
        )
        estimated["history"] = round(found.history)
        estimated["user_message"] = round(found.own)
        estimated[OVERHEAD] = overhead
        weighed = Weighed(
            model=model,
            parts=msgspec.structs.replace(parts, turns=parts.turns[found.skipped :]),
            fixed_tokens=sum(counted.values()),
            estimated=estimated,
            scale=scale,
            rates=self.rates(model, sum(estimated.values()), caches=parts.caches),
            allowance=allowance,
            left_out=left_out(None, parts.turns[: found.skipped]),
            left_out_tokens=sum(counted_turns(parts.turns[: found.skipped])),
            cleared=found.cleared,
        )
        needed = weighed.token_estimate - estimated["history"]
        if needed > allowance.limit:
            raise window_error("This message", model, needed, allowance.limit, weighed.weights())
        return weighed

    def exact(self, weighed: Weighed, tokens: int) -> Weighed:
        """The same request, at the provider's own count: the sections keep their proportions."""
        return msgspec.structs.replace(
            weighed,
            estimated=scaled(weighed.estimated, tokens),
            rates=self.rates(weighed.model, tokens, caches=weighed.parts.caches),
        )

    def rates(self, model: str, tokens: int, *, caches: bool) -> Rates:
        """USD for an input token of a request with so many; long contexts may cost more.

        What comes before a breakpoint of the cache is written into it, and that is all of it.
        """
        tokens = max(tokens, 1)
        anew = TokenCounts(uncached=tokens)
        if caches and tokens >= least_cacheable(model):
            anew = TokenCounts(cache_write5m=tokens)
        read = self._prices.price(model, TokenCounts(cache_read=tokens)) if caches else None
        cold = self._prices.price(model, anew)
        return Rates(
            cold=None if cold is None else cold.input_cost / tokens,
            read=None if read is None else read.input_cost / tokens,
        )

    def affordable_output(
        self, model: str, input_cost: Decimal | None, max_cost: float | None
    ) -> int:
        """The output tokens that `max_cost` USD leave beside the `input_cost`; at least 1."""
        a_million = self._prices.price(model, TokenCounts(output=1_000_000))
        if max_cost is None or a_million is None or not a_million.output_cost:
            return sys.maxsize
        left = Decimal(str(max_cost)) - (input_cost or ZERO)
        return max(1, int(left / a_million.output_cost * 1_000_000))


def left_out(
    before: SentContext | None, turns: Sequence[Sequence[MessageRecord]]
) -> SentContext | None:
    """What was left out `before`, and these turns."""
    if not turns:
        return before
    known = before or SentContext(left_out_turns=0, left_out_messages=0)
    return msgspec.structs.replace(
        known,
        left_out_turns=known.left_out_turns + len(turns),
        left_out_messages=known.left_out_messages + sum(len(turn) for turn in turns),
    )


def window_error(
    what: str, model: str, needed: int, limit: int, sections: Sequence[SectionWeight]
) -> GatewayError:
    """The refusal of what cannot fit the model's window, whatever else is left out."""
    return GatewayError(
        "CONTEXT_TOO_LARGE",
        f"{what}, with the system prompt and the tools, needs about {needed:,} tokens; "
        f"{model} takes {limit:,}. Shorten it, or choose a model with a larger window.",
        sections=list(sections),
    )


def _fixed(parts: Parts) -> list[tuple[SectionName, str]]:
    return [*parts.system.items(), ("tools", parts.toolset.text)]
