"""A request that was weighed: what each section has, what it costs, what the provider remembers."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from msgspec import UnsetType

from actors.context.assembly import Parts
from actors.context.estimate.clearing import Cleared, remembered
from actors.context.estimate.scale import Scale
from actors.context.estimate.sent import Beginning, SentRequest
from protocol.context import (
    Section,
    SectionName,
    SectionWeight,
    SentContext,
    Totals,
    Window,
    with_cleared,
)
from protocol.prompt import Allowance, Prompt
from protocol.provider.models import least_cacheable
from protocol.usage import ZERO

OVERHEAD: SectionName = "provider_overhead"


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
        """The same; `cached` counts for nothing where reading has no known price."""
        return self.cost(tokens, 0 if self.read is None else min(cached, tokens))


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """A request's parts, and the tokens estimated for each section.

    `fixed_tokens` counts what are no messages, `left_out_tokens` the turns that found no room.
    `cleared` is what the provider will clear by itself, and `estimated` does not have any more.
    """

    model: str
    parts: Parts
    fixed_tokens: int
    estimated: dict[SectionName, int]
    scale: Scale
    rates: Rates
    allowance: Allowance
    left_out: SentContext | None
    left_out_tokens: int
    cleared: Cleared

    @property
    def token_estimate(self) -> int:
        """All sections together, as the provider would bill."""
        return sum(self.estimated.values())

    @property
    def cost_estimate(self) -> Decimal | None:
        """USD for all sections, for a provider that remembers nothing: the sum of their costs."""
        return _sum([self.rates.cost(tokens) for tokens in self.estimated.values()])

    def likely_cost(self, now: int, thinking: int) -> Decimal | None:
        """USD for all sections, with what the provider most likely remembers at `now`.

        `thinking` is the hash of how the model is to think.
        """
        cached = sum(self.cached(now, thinking).values()) if self.parts.caches else 0
        return self.rates.likely_cost(self.token_estimate, cached)

    @property
    def ratio(self) -> float:
        """Tokens billed for a counted one."""
        return self.scale.line.ratio

    def prompt(self, head: bytes, betas: tuple[str, ...] = ()) -> Prompt:
        """The request, behind its head."""
        return Prompt(
            model=self.model,
            head=head,
            turns=self.parts.turns,
            current=[] if self.parts.user is None else [self.parts.user],
            fixed_tokens=self.fixed_tokens,
            has_tools=self.parts.has_tools,
            allowance=self.allowance,
            caches=self.parts.caches,
            left_out_tokens=self.left_out_tokens,
            betas=betas,
        )

    def beginning(self, thinking: int | None = None) -> Beginning:
        """What the prompt begins with; without the hash of its `thinking`, whatever that is."""
        return Beginning(
            model=self.model,
            tools=hash(self.parts.toolset.json),
            system=hash(tuple(self.parts.system.values())),
            thinking=thinking,
            has_media=any(record.media_tokens for record in self.parts.records),
        )

    @property
    def unseen(self) -> SentContext | None:
        """What of the history the model will not see."""
        return with_cleared(self.left_out, *self.cleared)

    # --- what is shown -------------------------------------------------------------------------

    def weights(self) -> tuple[SectionWeight, ...]:
        """Each section's weight."""
        return tuple(
            SectionWeight(
                name=name,
                byte_count=len(content),
                token_estimate=self.estimated[name],
                cost_estimate=self.rates.cost(self.estimated[name]),
            )
            for name, content in self._contents().items()
        )

    def sections(self, now: int) -> list[Section]:
        """Each section's text and weight, in the order in which they are sent.

        And what of it the provider remembers at `now`, in milliseconds since the epoch.
        """
        cached = self.cached(now) if self.parts.caches else None
        return [self._section(name, content, cached) for name, content in self._contents().items()]

    def _contents(self) -> dict[SectionName, bytes]:
        contents = self.parts.contents()
        if self.estimated[OVERHEAD]:
            contents[OVERHEAD] = b""
        return contents

    def cached(self, now: int, thinking: int | None = None) -> dict[SectionName, int]:
        """The tokens that are most likely in the provider's prompt cache; see `beginning`."""
        former = self.scale.former
        if former is None:
            return {}
        least = least_cacheable(self.model)
        reach = former.reaches(self.beginning(thinking), now=now, least=least)
        if reach == "nothing":
            return {}
        names: list[SectionName] = ["tools", *(self.parts.system if reach != "tools" else ())]
        found = {name: self.estimated[name] for name in names}
        history = self._shared_tokens(former.sent) if reach == "messages" else 0
        if not history and sum(found.values()) < least:
            return {}
        return {**found, OVERHEAD: self.estimated[OVERHEAD], "history": history}

    def _shared_tokens(self, sent: SentRequest) -> int:
        """Of the history, what `sent` had too, if both begin with the same turn."""
        turns = self.parts.turns
        if not turns or turns[0][0].turn_id != sent.first_turn:
            return 0
        shared = remembered(sent.shared(turns), sent.cleared, self.cleared.tool_uses, self.scale)
        return min(round(shared), self.estimated["history"])

    def totals(self, sections: Sequence[Section]) -> Totals:
        """The sums of `sections`."""
        totals = Totals(
            byte_count=sum(section.byte_count for section in sections),
            token_estimate=sum(section.token_estimate for section in sections),
            cost_estimate=_sum([section.cost_estimate for section in sections]),
        )
        cached = [one.cached_tokens for one in sections if isinstance(one.cached_tokens, int)]
        if len(cached) < len(sections):
            return totals
        costs = [one.cached_cost_estimate for one in sections]
        return msgspec.structs.replace(
            totals,
            cached_tokens=sum(cached),
            cached_cost_estimate=_sum([cost for cost in costs if not isinstance(cost, UnsetType)]),
        )

    def window(self, limit: int) -> Window:
        """How much of the model's window is used, in tokens."""
        used = self.token_estimate
        return Window(limit=limit, used=used, free=max(0, limit - used))

    def _section(
        self, name: SectionName, content: bytes, cached: dict[SectionName, int] | None
    ) -> Section:
        tokens = self.estimated[name]
        section = Section(
            name=name,
            content=content.decode(),
            byte_count=len(content),
            token_estimate=tokens,
            cost_estimate=self.rates.cost(tokens),
        )
        if cached is None:
            return section
        known = cached.get(name, 0)
        return msgspec.structs.replace(
            section,
            cached=0 < known == tokens,
            cached_tokens=known,
            cached_cost_estimate=self.rates.cost(tokens, known),
        )


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


def _sum(costs: Sequence[Decimal | None]) -> Decimal | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known, ZERO) if len(known) == len(costs) else None
