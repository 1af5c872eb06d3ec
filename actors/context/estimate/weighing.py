"""What a request weighs: tokens by section, what they cost, and what the provider remembers.

**Formula.** A tokenizer that is not the provider's counts the text; a line that was learned for the
model makes tokens of it as the provider bills them (`calibration`):

    estimate = overhead + ratio * counted + extra * known + media - cleared

`counted` is all of the text. `known` is the part of it that the session's former billed request had
too: for that part the bill is better than the line, and `extra` is by how much (`scale`). `media`
is what pictures and documents weigh, which no tokenizer counts; `cleared` what the provider will
take out of the prompt by itself (`clearing`).

**Example.** A line of ratio 1.3 and overhead 500. The former request counted 10,000 tokens and was
billed 14,500: a token of it was billed as (14,500 - 500) / 10,000 = 1.4, so `extra` is 0.1. The
next one has 300 tokens more: 500 + 1.3 * 10,300 + 0.1 * 10,000 = 14,890.

**Limits.** Text of another kind than before is off until its first bill, by some 10 %. A request of
several passes (searches, code) is billed for each and teaches nothing of its size. What the
provider's cache still has is a guess: it may forget earlier, never later. Where a client will pay
so much and no more, an estimate that is close to a dearer tier counts at that tier's price.
"""

from __future__ import annotations

import sys
from decimal import Decimal

import msgspec

from actors.context.estimate.calibration import Calibrations
from actors.context.estimate.clearing import Cleared, cleared_tokens, foreseen
from actors.context.estimate.scale import Scale
from actors.context.estimate.sent import Billed
from actors.ports import Prices
from protocol.context import SectionName
from protocol.prompt import Allowance
from protocol.transcript import Transcript
from protocol.usage import ZERO, TokenCounts

OVERHEAD: SectionName = "provider_overhead"
FIXED: tuple[SectionName, ...] = ("system_prompt", "response_format", "memory", "skills", "tools")

CLOSE, UNSEEN = 1.25, 1.6
"""By what factor a prompt may be larger than estimated: of a model that was billed before, and of
another. Beyond a tier all of a request is dearer, some five times: who has a limit must not get
there by an estimate that was a little low."""


class Rates(msgspec.Struct, frozen=True):
    """USD for one input token of a request: sent anew, and read from the provider's cache."""

    cold: Decimal | None
    read: Decimal | None

    def cost(self, tokens: int, cached: int = 0) -> Decimal | None:
        """USD for `tokens`, of which `cached` are remembered; `None` when a price is not known."""
        if self.cold is None or (cached and self.read is None):
            return None
        return self.cold * (tokens - cached) + (self.read or ZERO) * cached

    def likely_cost(self, tokens: int, cached: int) -> Decimal | None:
        """The same; if reading has no known price, `cached` counts as 0."""
        return self.cost(tokens, 0 if self.read is None else min(cached, tokens))


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What a request has before its messages: texts by section, tools as JSON, and their counts.

    `output_format` is the schema of the answer, a part of the section `response_format`.
    """

    system: tuple[tuple[SectionName, str], ...]
    tools: bytes
    counted: dict[SectionName, int]
    output_format: bytes = b""

    @property
    def total(self) -> int:
        """Counted tokens of all."""
        return sum(self.counted.values())


class Weight(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of a request, estimated by section; what is cleared is in none of them."""

    sections: dict[SectionName, int]
    cleared: Cleared
    total: int
    """All sections together, as the provider would bill."""

    @classmethod
    def of(cls, sections: dict[SectionName, int], cleared: Cleared) -> Weight:
        """The weight of these sections."""
        return cls(sections=sections, cleared=cleared, total=sum(sections.values()))

    @property
    def needed(self) -> int:
        """What is sent however many turns are left out."""
        return self.total - self.sections["history"]


def weigh(
    opening: Opening, transcript: Transcript, own: int, *, scale: Scale, allowance: Allowance
) -> Weight:
    """A request's weight; its messages from number `own` on are the turn's own."""
    ratio = scale.old(1)
    sections: dict[SectionName, float] = {
        name: ratio * opening.counted.get(name, 0) for name in FIXED
    }
    history, mine = scale.messages(transcript, 0, own), scale.messages(transcript, own)
    shared = scale.shared(transcript)
    for message in transcript.announced:
        ratio = scale.line.ratio + (scale.extra if message < shared else 0)
        for announced in transcript.entries[message].sections:
            tokens = ratio * announced.token_count
            sections[announced.section] += tokens
            if message < own:
                history -= tokens
            else:
                mine -= tokens
    estimate = sum(sections.values()) + history + mine + scale.line.overhead
    cleared = foreseen(transcript, estimate, allowance.clears_at, scale)
    of_history = cleared_tokens(
        transcript, min(cleared.tool_uses, transcript.sums(own).results), scale
    )
    sections["history"] = max(0.0, history - of_history)
    sections["user_message"] = max(0.0, mine - (cleared.tokens - of_history))
    sections[OVERHEAD] = scale.line.overhead
    return Weight.of({name: round(tokens) for name, tokens in sections.items()}, cleared)


def scaled(figures: dict[SectionName, int], total: int) -> dict[SectionName, int]:
    """The figures in their proportions, as whole numbers that add up to `total` exactly."""
    whole = sum(figures.values())
    if not whole:
        return {**figures, OVERHEAD: total}
    shown: dict[SectionName, int] = {}
    before = 0
    for name, figure in figures.items():  # each ends where its part of the whole ends
        before += figure
        shown[name] = before * total // whole - sum(shown.values())
    return shown


class Weigher:
    """Estimates and prices, by what was billed before."""

    def __init__(self, prices: Prices, calibrations: Calibrations) -> None:
        self._prices = prices
        self._calibrations = calibrations

    def scale(self, model: str, former: Billed | None, *, has_tools: bool) -> Scale:
        """From counted to estimated tokens, for a request that may follow a `former` one."""
        line = self._calibrations.line(model, has_tools=has_tools)
        if former is None:
            return Scale(line)
        alike = (former.sent.beginning.model, former.sent.has_tools) == (model, has_tools)
        return Scale(line, former) if alike else Scale(line)

    def rates(
        self,
        model: str,
        tokens: int,
        *,
        least: int,
        caches: bool,
        for_an_hour: bool = False,
        margin: float = 1.0,
    ) -> Rates:
        """USD for an input token of a request with so many; long contexts may cost more.

        With a cache all of the prompt is written into it, from `least` tokens on: its end is a
        breakpoint. The price is that of a request `margin` times as long.
        """
        kind = "uncached"
        if caches and tokens >= least:
            kind = "cache_write1h" if for_an_hour else "cache_write5m"
        tokens = max(round(tokens * margin), 1)
        anew = TokenCounts(**{kind: tokens})
        read = self._prices.price(model, TokenCounts(cache_read=tokens)) if caches else None
        cold = self._prices.price(model, anew)
        return Rates(
            cold=None if cold is None else cold.input_cost / tokens,
            read=None if read is None else read.input_cost / tokens,
        )

    def margin(self, model: str) -> float:
        """By what factor a prompt may be larger than estimated."""
        known = self._calibrations.calibration(model, has_tools=False)
        return CLOSE if known.samples else UNSEEN

    def search_price(self, model: str) -> Decimal | None:
        """USD for one search; `None` when it has no known price."""
        cost = self._prices.price(model, TokenCounts(web_searches=1))
        return None if cost is None else cost.output_cost

    def affordable_output(
        self, model: str, tokens: int, input_cost: Decimal | None, max_cost: float | None
    ) -> int:
        """The output tokens that `max_cost` USD leave after the `input_cost`; at least 1.

        The input has so many `tokens`: close to a model's tier, they make the output dearer, too.
        """
        most = round(tokens * self.margin(model))
        a_million = self._prices.price(model, TokenCounts(uncached=most, output=1_000_000))
        if max_cost is None or a_million is None or not a_million.output_cost:
            return sys.maxsize
        left = Decimal(str(max_cost)) - (input_cost or ZERO)
        return max(1, int(left / a_million.output_cost * 1_000_000))
