"""When a turn has used up what its client will pay: a rule on what has been received."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from actors.ports import Prices
from protocol.answer import Answer
from protocol.usage import ZERO, TokenCounts


def left_of(
    max_cost: float | None, prices: Prices, model: str, billed: Iterable[TokenCounts]
) -> Decimal | None:
    """What of `max_cost` USD is left after what was `billed`; `None` for no limit."""
    if max_cost is None:
        return None
    costs = [prices.price(model, counts) for counts in billed]
    return Decimal(str(max_cost)) - sum((cost.total_cost for cost in costs if cost), ZERO)


class BudgetGuard:
    """Says when a turn's output has used up `max_cost` USD, by an estimate of its characters."""

    CHARACTERS_PER_TOKEN = 4
    """Of the tokenizer, for English; `ratio` is the model's own tokens over the tokenizer's."""

    def __init__(
        self, prices: Prices, max_cost: Decimal | None, model: str, *, ratio: float
    ) -> None:
        self._prices = prices
        self._max_cost = max_cost
        self._model = model
        self._characters_per_token = self.CHARACTERS_PER_TOKEN / ratio
        self._characters: float | None = None

    def is_spent(self, answer: Answer) -> bool:
        """Whether to stop now."""
        if self._max_cost is None or not answer.started or answer.complete:
            return False
        if self._characters is None:
            self._characters = self._allowance(self._max_cost, answer.counts)
        return answer.size >= self._characters

    def _allowance(self, max_cost: Decimal, counts: TokenCounts) -> float:
        spent = self._prices.price(self._model, msgspec.structs.replace(counts, output=0))
        thousand = self._prices.price(self._model, msgspec.structs.replace(counts, output=1_000))
        if spent is None or thousand is None:
            return float("inf")
        per_token = (thousand.total_cost - spent.total_cost) / 1_000
        if not per_token:
            return float("inf")
        return float((max_cost - spent.total_cost) / per_token) * self._characters_per_token
