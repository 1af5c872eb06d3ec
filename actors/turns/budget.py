"""When a turn has used up what its client will pay: a rule on what has been received."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from math import ceil

import msgspec

from actors.ports import Prices
from actors.pricing import cost_of, step_cost
from protocol.answer import Answer
from protocol.records import StepRecord
from protocol.usage import ZERO, TokenCounts


def left_of(
    max_cost: float | None, prices: Prices, model: str, billed: Iterable[StepRecord]
) -> Decimal | None:
    """What of `max_cost` USD is left after what was `billed`; `None` for no limit."""
    if max_cost is None:
        return None
    costs = [step_cost(model, step, prices) for step in billed]
    return Decimal(str(max_cost)) - sum((cost.total_cost for cost in costs if cost), ZERO)


class BudgetGuard:
    """Says when a turn's output has used up `max_cost` USD, by an estimate of its characters.

    Each call of the provider's own tools costs the prompt once more, with all that was brought and
    said until then; that counts when it is called, before it is billed. What it brings counts as
    soon as it is there: the pass that reads it is the one thing that nobody can stop in time. Where
    the provider has not told what the prompt is billed as, it counts as so many `prompt_tokens`.
    """

    CHARACTERS_PER_TOKEN = 4
    """Of the tokenizer, for English; `ratio` is the model's own tokens over the tokenizer's."""

    def __init__(
        self,
        prices: Prices,
        max_cost: Decimal | None,
        model: str,
        *,
        prompt_tokens: int,
        ratio: float,
    ) -> None:
        self._prices = prices
        self._max_cost = max_cost
        self._model = model
        self._prompt_tokens = prompt_tokens
        self._characters_per_token = self.CHARACTERS_PER_TOKEN / ratio
        self._characters = 0.0
        self._input = 0, 0.0

    def is_spent(self, answer: Answer) -> bool:
        """Whether to stop now."""
        if self._max_cost is None or not answer.started or answer.complete:
            return False
        if self._input != (answer.passes, answer.read_again):
            self._input = answer.passes, answer.read_again
            self._characters = self._allowance(self._max_cost, answer)
        return answer.size >= self._characters

    def _allowance(self, max_cost: Decimal, answer: Answer) -> float:
        """The characters that the answer may have."""
        spent, thousand = self._cost(answer, 0), self._cost(answer, 1_000)
        if spent is None or thousand is None:
            return float("inf")
        per_token = (thousand - spent) / 1_000
        if not per_token:
            return float("inf")
        return float((max_cost - spent) / per_token) * self._characters_per_token

    def _cost(self, answer: Answer, output: int) -> Decimal | None:
        """USD for the input of all passes, and `output` tokens."""
        counts, terms = answer.counts, answer.terms(self._model)
        uncached = counts.uncached if answer.tells_input else self._prompt_tokens
        counts = msgspec.structs.replace(counts, uncached=uncached, output=output)
        if answer.passes > 1 and not answer.output_is_final:
            more = ceil(answer.read_again / self._characters_per_token)
            counts += _again(counts, answer.passes - 1, more)
        cost = cost_of(self._model, counts, terms, self._prices)
        return None if cost is None else cost.total_cost


def _again(counts: TokenCounts, passes: int, more: int) -> TokenCounts:
    """The input of so many further passes: what was written to the cache is read from it.

    They read so many tokens `more` than the prompt.
    """
    cached = counts.input - counts.uncached
    return TokenCounts(uncached=passes * counts.uncached + more, cache_read=passes * cached)
