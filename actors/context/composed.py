"""A composed request: its body, its sections, its cost.

What is inspected is what is sent: the sections and the body come from the same opening and
messages. An announcement belongs to the section that it changes, not to the history around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

import msgspec
from msgspec import UNSET, UnsetType

from actors.context.assembly import Shape
from actors.context.estimate.clearing import alike, remaining
from actors.context.estimate.scale import Scale
from actors.context.estimate.sent import Beginning, SentRequest
from actors.context.estimate.weighing import FIXED, OVERHEAD, Opening, Rates, Weight
from protocol.announcing import Briefing
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
from protocol.provider.content import Block, block_types, plain_text
from protocol.provider.features import BINDING_CONTROLS, CONTEXT_EDITING, INLINE_TOOLS
from protocol.provider.limits import CACHE_MILLISECONDS, HOUR_MILLISECONDS
from protocol.provider.request import NO_TOOLS
from protocol.records import Announced, Head
from protocol.transcript import Transcript
from protocol.usage import ZERO

ORDER: tuple[SectionName, ...] = (*FIXED, "history", "user_message")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Block]).decode


class Composed(msgspec.Struct, frozen=True, kw_only=True):
    """A request of a session. It is valid while its transcript has the entries of its draft.

    `own` is the number of the turn's first message. `head` is the epoch's, even if the model gets
    another `opening`. `is_new_epoch` says whether an epoch begins with it, `has_tools` whether any
    tool is on offer at its end, `has_served_tools` whether the provider runs one of them.
    `most_rates` gives the `rates` if it is larger than estimated.
    """

    model: str
    head: Head
    is_new_epoch: bool
    opening: Opening
    has_tools: bool
    has_served_tools: bool
    transcript: Transcript
    own: int
    caches: bool
    scale: Scale
    rates: Rates
    most_rates: Callable[[], Rates]
    allowance: Allowance
    weight: Weight

    @property
    def counted_tokens(self) -> int:
        """All of its text, as the tokenizer counts."""
        return self.opening.total + self.transcript.sums().counted

    @property
    def has_own_thinking(self) -> bool:
        """Whether the turn itself has thought before."""
        return self.transcript.sums().thoughts > self.transcript.sums(self.own).thoughts

    @property
    def answer_begins_with(self) -> str | None:
        """The type of the block with which the turn's own answers begin; `None` without any."""
        answers = (one for one in self.transcript.entries[self.own :] if one.role == "assistant")
        first = next(answers, None)
        return None if first is None else block_types(first.content)[0]

    def likely_cost(self, now: int, thinking: int | None) -> Decimal | None:
        """USD for all sections, with what the provider most likely remembers at `now`.

        `thinking` is the hash of how the model is to think, `None` whatever it is. It is held
        against what a client will pay: close to a dearer tier, it is at that tier's price.
        """
        cached = sum(self.cached(now, thinking).values()) if self.caches else 0
        return self.most_rates().likely_cost(self.weight.total, cached)

    # --- what is sent --------------------------------------------------------------------------

    def prompt(self, shape: Shape, likely_cost: Decimal | None) -> Prompt:
        """The request, as it is sent."""
        sums = self.transcript.sums()
        betas = []
        if shape.edits is not None:
            betas.append(CONTEXT_EDITING)
        if shape.thinking is not None and "block_binding" in shape.thinking:
            betas.append(BINDING_CONTROLS)
        if sums.tool_changes:
            betas.append(INLINE_TOOLS)
        head = shape.head(self.opening.system, self.opening.tools)
        return Prompt(
            body=self.transcript.body(head, caches=self.caches, mark=shape.mark),
            version=shape.wishes.version,
            betas=tuple(betas),
            max_tokens=shape.max_tokens,
            has_tools=self.has_tools,
            has_served_tools=self.has_served_tools,
            counted_tokens=self.counted_tokens,
            media_tokens=sums.media,
            is_opaque=sums.sealed > 0,
            for_an_hour=shape.caches and shape.for_an_hour,
            own_from=self.own,
            token_estimate=self.weight.total,
            likely_cost=likely_cost,
            context=self.context,
        )

    def sent(self, shape: Shape, now: int) -> SentRequest:
        """What is to be known of it once it is billed."""
        cleared = self.weight.cleared
        return SentRequest(
            beginning=self.beginning(shape.kind_of_thinking),
            has_tools=self.has_tools,
            last=self.transcript.entries[-1].place,
            counted=self.counted_tokens,
            estimate=self.weight.total + round(cleared.tokens) - self.transcript.sums().media,
            cleared=cleared.tool_uses,
            sent_at=now,
            kept=HOUR_MILLISECONDS if shape.for_an_hour else CACHE_MILLISECONDS,
        )

    def beginning(self, thinking: int | None) -> Beginning:
        """What it begins with; `thinking` is a hash, and `None` matches every thinking."""
        return Beginning(
            model=self.model,
            epoch=self.head.epoch,
            tools=hash((self.opening.tools, self.opening.output_format)),
            system=hash(self.opening.system),
            thinking=thinking,
            has_media=self.transcript.sums().media > 0,
        )

    @property
    def context(self) -> SentContext | None:
        """What of the session the model does not get."""
        found: SentContext | None = None
        if self.head.left_out_turns or self.is_new_epoch:
            found = SentContext(
                left_out_turns=self.head.left_out_turns,
                left_out_messages=self.head.left_out_messages,
                epoch=self.head.epoch if self.is_new_epoch else UNSET,
            )
        return with_cleared(found, *self.weight.cleared)

    # --- what is shown -------------------------------------------------------------------------

    def weights(self) -> tuple[SectionWeight, ...]:
        """Each section's weight."""
        tokens, cost = self.weight.sections, self.rates.cost
        weights = [
            SectionWeight(
                name=name,
                byte_count=size,
                token_estimate=tokens[name],
                cost_estimate=cost(tokens[name]),
            )
            for name, size in self._sizes().items()
        ]
        return tuple(weights)

    @staticmethod
    def cost_of(weights: Sequence[SectionWeight]) -> Decimal | None:
        """USD for all sections, for a provider that remembers nothing: the sum of their costs."""
        return _sum([one.cost_estimate for one in weights])

    def sections(self, now: int) -> list[Section]:
        """Each section's text and weight, in the order in which they are sent.

        And what of it the provider remembers at `now`, in milliseconds since the epoch.
        """
        cached = self.cached(now) if self.caches else None
        superseded = self._superseded
        return [
            msgspec.structs.replace(
                self._section(name, content, cached), superseded=superseded.get(name) or UNSET
            )
            for name, content in self._contents().items()
        ]

    def cached(self, now: int, thinking: int | None = None) -> dict[SectionName, int]:
        """The tokens that are most likely in the provider's prompt cache; see `beginning`."""
        former, tokens = self.scale.former, self.weight.sections
        if former is None:
            return {}
        least = self.allowance.least_cacheable
        reach = former.reaches(self.beginning(thinking), now=now, least=least)
        if reach == "nothing":
            return {}
        names: Sequence[SectionName] = ("tools",) if reach == "tools" else FIXED
        shared = 0
        if reach == "messages":
            shared = alike(
                self.transcript,
                self.scale.shared(self.transcript),
                former.sent.cleared,
                self.weight.cleared.tool_uses,
            )
        found = {name: self._old(name, shared) for name in names}
        if not shared and sum(found.values()) < least:
            return {}
        history = self._remembered(min(shared, self.own))
        mine = self._remembered(shared) - history
        return {
            **found,
            OVERHEAD: tokens[OVERHEAD],
            "history": max(0, min(history, tokens["history"])),
            "user_message": max(0, min(mine, tokens["user_message"])),
        }

    def _old(self, name: SectionName, shared: int) -> int:
        """A section's tokens in the opening and in the first `shared` messages."""
        counted = self.opening.counted.get(name, 0) + sum(
            part.token_count for part in self._announced(shared) if part.section == name
        )
        return min(round(self.scale.old(counted)), self.weight.sections[name])

    def _remembered(self, end: int) -> int:
        """The tokens of the first `end` messages, without announcements."""
        announced = sum(part.token_count for part in self._announced(end))
        cleared = self.weight.cleared.tool_uses
        tokens = remaining(self.transcript, end, cleared, self.scale)
        return round(tokens - self.scale.old(announced))

    def _announced(self, end: int) -> Iterator[Announced]:
        """What the first `end` messages announce."""
        for message in self.transcript.announced:
            if message < end:
                yield from self.transcript.entries[message].sections

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
        used = self.weight.total
        return Window(limit=limit, used=used, free=max(0, limit - used))

    @property
    def _names(self) -> list[SectionName]:
        return [*ORDER, *([OVERHEAD] if self.weight.sections[OVERHEAD] else [])]

    def _section(
        self, name: SectionName, content: bytes, cached: dict[SectionName, int] | None
    ) -> Section:
        tokens = self.weight.sections[name]
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

    @property
    def _superseded(self) -> dict[SectionName, int]:
        """By section, the bytes that a later announcement replaces."""
        told = Briefing.of(self.head)
        for message in self.transcript.announced:
            told.fold(self.transcript.entries[message])
        return told.superseded

    def _contents(self) -> dict[SectionName, bytes]:
        """Each section's text in UTF-8, in the order in which they are sent."""
        contents = {name: b"".join(parts) for name, parts in self._fixed_parts().items()}
        contents["history"] = self.transcript.history(self.own, caches=self.caches)
        contents["user_message"] = self._question
        return {name: contents.get(name, b"") for name in self._names}

    def _sizes(self) -> dict[SectionName, int]:
        """The bytes of each of `_contents`."""
        sizes = dict.fromkeys(FIXED, 0)
        sizes |= {name: len(text.encode()) for name, text in self.opening.system}
        sizes["response_format"] += len(self.opening.output_format)
        if self.opening.tools != NO_TOOLS:
            sizes["tools"] = len(self.opening.tools)
        for message in self.transcript.announced:
            for announced in self.transcript.entries[message].sections:
                sizes[announced.section] += announced.byte_count
        sizes["history"] = self.transcript.history_size(self.own, caches=self.caches)
        sizes["user_message"] = len(self._question)
        return {name: sizes.get(name, 0) for name in self._names}

    def _fixed_parts(self) -> dict[SectionName, list[bytes]]:
        """The opening's parts, and after them those that were announced since."""
        parts: dict[SectionName, list[bytes]] = {name: [] for name in FIXED}
        for name, text in self.opening.system:
            parts[name].append(text.encode())
        parts["response_format"].append(self.opening.output_format)
        if self.opening.tools != NO_TOOLS:
            parts["tools"].append(self.opening.tools)
        for message in self.transcript.announced:
            entry = self.transcript.entries[message]
            for announced, block in zip(entry.sections, _decode(entry.content), strict=True):
                said = block["text"].encode() if "text" in block else _encode(block)
                parts[announced.section].append(said)
        return parts

    @property
    def _question(self) -> bytes:
        """The question as a person wrote it: a text, or the JSON of its blocks."""
        if self.own == len(self.transcript):
            return b""
        content = self.transcript.entries[self.own].content
        text = plain_text(content)
        return content if text is None else text.encode()


def _sum(costs: Sequence[Decimal | None]) -> Decimal | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known, ZERO) if len(known) == len(costs) else None
