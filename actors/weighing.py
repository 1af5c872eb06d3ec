"""What a request weighs: tokens counted, tokens estimated, and what they cost.

The estimate is the tokenizer's count times a ratio learned for each model from what the provider
billed. A message is counted once, when it is stored, and a text that comes with every request
once, when it is new; so weighing costs only the new text.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from actors.assembly import Parts, answers_calls, countable, encode_content, fit, unanswered_calls
from actors.catalog import window_error
from actors.history import Turn
from actors.ports import Prices, Tokenizer
from protocol.content import UserContent
from protocol.context import Calibration, Section, SectionName, SentContext, Totals, Window
from protocol.records import CalibrationRecord
from protocol.usage import ZERO, TokenCounts

KEPT_CHARACTERS = 4_194_304
"""Of texts whose count is remembered; beyond that it begins anew."""


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """A request's parts, and for each section the tokens counted and the tokens estimated.

    `unit_cost` is USD for one input token, uncached; `None` when the model has no known price.
    """

    parts: Parts
    counted: dict[SectionName, int]
    estimated: dict[SectionName, int]
    unit_cost: Decimal | None
    left_out: SentContext | None

    @property
    def counted_tokens(self) -> int:
        """All sections together, as the tokenizer counts."""
        return sum(self.counted.values())

    @property
    def token_estimate(self) -> int:
        """All sections together, as the provider would bill."""
        return sum(self.estimated.values())

    @property
    def cost_estimate(self) -> Decimal | None:
        """USD for all sections, uncached: the sum of their costs, to the digit."""
        if self.unit_cost is None:
            return None
        return sum((self.unit_cost * tokens for tokens in self.estimated.values()), ZERO)

    def sections(self) -> list[Section]:
        """Each section's text and weight, in the order in which they are sent."""
        return [self._section(name, text) for name, text in self.parts.texts().items()]

    def totals(self, sections: Sequence[Section]) -> Totals:
        """The sums of `sections`."""
        return Totals(
            byte_count=sum(section.byte_count for section in sections),
            token_estimate=self.token_estimate,
            cost_estimate=self.cost_estimate,
        )

    def window(self, limit: int) -> Window:
        """How much of the model's window is used, in tokens."""
        used = self.token_estimate
        return Window(limit=limit, used=used, free=max(0, limit - used))

    def _section(self, name: SectionName, text: str) -> Section:
        tokens = self.estimated[name]
        return Section(
            name=name,
            content=text,
            byte_count=len(text.encode()),
            token_estimate=tokens,
            cost_estimate=None if self.unit_cost is None else self.unit_cost * tokens,
        )


class Weigher:
    """Counts, and learns for each model what its provider makes of the count."""

    def __init__(self, tokenizer: Tokenizer, prices: Prices) -> None:
        self._tokenizer = tokenizer
        self._prices = prices
        self._learned: dict[str, tuple[int, int, int]] = {}
        self._counts: dict[str, int] = {}
        self._characters = 0

    def recall(self, records: Iterable[CalibrationRecord]) -> None:
        """Take up what was learned before."""
        for record in records:
            self._learned[record.model] = (record.counted, record.billed, record.samples)

    def learn(self, model: str, *, counted: int, billed: int) -> None:
        """One more request, counted here and billed there."""
        known = self._learned.get(model, (0, 0, 0))
        self._learned[model] = (known[0] + counted, known[1] + billed, known[2] + 1)

    def calibration(self, model: str) -> Calibration:
        """The ratio learned for `model`; 1 until something was billed."""
        counted, billed, samples = self._learned.get(model, (0, 0, 0))
        ratio = billed / counted if counted and billed else 1.0
        return Calibration(ratio=ratio, samples=samples)

    async def weigh(
        self,
        model: str,
        *,
        limit: int,
        reserve: int,
        system: dict[SectionName, str],
        tools: bytes | None,
        turns: Sequence[Turn],
        content: UserContent | None,
    ) -> Weighed:
        """The request that `model` would get, without the oldest `turns` beyond its `limit` tokens.

        `reserve` is what of the window the answer may need.
        Raises GatewayError(CONTEXT_TOO_LARGE) when it does not fit without any of them.
        """
        calls = unanswered_calls(turns[-1].messages[-1]) if turns else []
        user = None if content is None else encode_content(content, calls)
        counted = {name: await self._count_again(text) for name, text in system.items()}
        counted["tools"] = await self._count_again(tools.decode() if tools else "")
        counted["user_message"] = 0 if user is None else await self._count_content(user)
        ratio = self.calibration(model).ratio
        fixed = sum(counted.values())
        if fixed * ratio > limit:
            raise window_error(model, round(fixed * ratio), limit)
        skipped = fit([turn.counted_tokens for turn in turns], (limit - reserve) / ratio - fixed)
        while skipped and skipped < len(turns) and answers_calls(turns[skipped].messages[0]):
            skipped += 1  # the calls that it answers were left out
        kept = turns[skipped:]
        if content is not None and not kept:
            user = encode_content(content)
        counted["history"] = sum(turn.counted_tokens for turn in kept)
        estimated = {name: round(count * ratio) for name, count in counted.items()}
        return Weighed(
            parts=Parts(
                system=system,
                tools=tools,
                history=[message for turn in kept for message in turn.messages],
                user=user,
            ),
            counted=counted,
            estimated=estimated,
            unit_cost=self._unit_cost(model, sum(estimated.values())),
            left_out=_left_out(turns[:skipped]),
        )

    def affordable_output(self, model: str, weighed: Weighed, max_cost: float | None) -> int:
        """The output tokens that `max_cost` USD leave beside the input; at least 1."""
        a_million = self._prices.price(model, TokenCounts(output=1_000_000))
        if max_cost is None or a_million is None or not a_million.output_cost:
            return sys.maxsize
        left = Decimal(str(max_cost)) - (weighed.cost_estimate or ZERO)
        return max(1, int(left / a_million.output_cost * 1_000_000))

    async def count(self, text: str) -> int:
        """Tokens of a text that comes once."""
        (count,) = await self._tokenizer.count_many([text])
        return count

    async def _count_again(self, text: str) -> int:
        """Tokens of a text that comes again and again: counted once."""
        if not text:
            return 0
        count = self._counts.get(text)
        if count is None:
            count = await self.count(text)
            self._remember(text, count)
        return count

    def _remember(self, text: str, count: int) -> None:
        if self._characters + len(text) > KEPT_CHARACTERS:
            self._counts.clear()
            self._characters = 0
        self._counts[text] = count
        self._characters += len(text)

    async def _count_content(self, content: bytes) -> int:
        text, extra = countable(content)
        return await self.count(text) + extra

    def _unit_cost(self, model: str, tokens: int) -> Decimal | None:
        """USD for one input token of a request with so many; long contexts may cost more."""
        cost = self._prices.price(model, TokenCounts(uncached=max(tokens, 1)))
        return None if cost is None else cost.input_cost / max(tokens, 1)


def _left_out(turns: Sequence[Turn]) -> SentContext | None:
    if not turns:
        return None
    return SentContext(
        left_out_turns=len(turns), left_out_messages=sum(len(turn.messages) for turn in turns)
    )
