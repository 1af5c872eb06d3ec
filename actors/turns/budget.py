"""When a turn has used up what its client will pay: a rule on what has been received."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from actors.ports import Prices
from actors.pricing import cost_of, step_cost
from protocol.answer import Answer
from protocol.passes import Readings
from protocol.records import StepRecord
from protocol.usage import ZERO


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
    said until then, and with what it is going to bring (`protocol.passes`). That counts from the
    call on, so that the pass is never asked for which the money does not suffice. What it really
    brought counts as soon as it is there; but then the provider reads it already. Where it has not
    told what the prompt is billed as, that counts as so many `prompt_tokens`.
    """

    def __init__(
        self,
        prices: Prices,
        max_cost: Decimal | None,
        model: str,
        *,
        prompt_tokens: int,
        characters_a_token: float,
    ) -> None:
        self._prices = prices
        self._max_cost = max_cost
        self._model = model
        self._prompt_tokens = prompt_tokens
        self._characters_a_token = characters_a_token
        self._characters = 0.0
        self._readings: Readings | None = None

    def is_spent(self, answer: Answer) -> bool:
        """Whether to stop now."""
        if self._max_cost is None or not answer.started or answer.complete:
            return False
        if self._readings != answer.readings(coming=True):
            self._readings = answer.readings(coming=True)
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
        return float((max_cost - spent) / per_token) * self._characters_a_token

    def _cost(self, answer: Answer, output: int) -> Decimal | None:
        """USD for the input of all passes, and `output` tokens."""
        billed = answer.billed(self._prompt_tokens, self._characters_a_token, coming=True)
        counts = msgspec.structs.replace(billed, output=output)
        cost = cost_of(self._model, counts, answer.terms(self._model), self._prices)
        return None if cost is None else cost.total_cost
