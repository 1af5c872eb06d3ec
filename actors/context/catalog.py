"""What is known of the models: asked of the provider once, then kept."""

from __future__ import annotations

from collections.abc import Callable

from actors.ports import Model, Prices
from protocol.errors import ProviderError
from protocol.provider.models import ModelInfo, fallback
from protocol.server import ModelSummary
from protocol.usage import TokenCounts


class Catalog:
    """The models' abilities, kept for `keep_seconds` of the monotonic `clock`.

    When the provider does not answer, the table by version stands in, for a shorter while.
    """

    RETRY_SECONDS = 60.0

    def __init__(
        self, model: Model, prices: Prices, *, keep_seconds: float, clock: Callable[[], float]
    ) -> None:
        self._model = model
        self._prices = prices
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._known: dict[str, tuple[float, ModelInfo]] = {}

    async def describe(self, model: str) -> ModelInfo:
        """What `model` can do. Raises GatewayError(NO_API_KEY)."""
        expires, info = self._known.get(model, (0.0, None))
        if info is not None and self._clock() < expires:
            return info
        try:
            info = await self._model.describe(model)
            keep = self._keep_seconds
        except ProviderError:
            info = fallback(model)
            keep = self.RETRY_SECONDS
        self._remember(model, info, keep)
        return info

    async def list(self) -> list[ModelSummary]:
        """All models, with their prices. Raises ProviderError, GatewayError(NO_API_KEY)."""
        models = await self._model.list_models()
        for info in models:
            self._remember(info.id, info, self._keep_seconds)
        return [self._summary(info) for info in models]

    def _remember(self, model: str, info: ModelInfo, seconds: float) -> None:
        if len(self._known) >= 1_000:  # ids come from clients: the table must not grow with them
            self._known.clear()
        self._known[model] = (self._clock() + seconds, info)

    def _summary(self, info: ModelInfo) -> ModelSummary:
        input_cost = self._prices.price(info.id, TokenCounts(uncached=1_000))
        output_cost = self._prices.price(info.id, TokenCounts(output=1_000))
        return ModelSummary(
            id=info.id,
            display_name=info.display_name,
            max_input_tokens=info.max_input_tokens,
            max_tokens=info.max_tokens,
            thinking=list(info.thinking),
            efforts=list(info.efforts),
            input_price=None if input_cost is None else input_cost.input_cost * 1_000,
            output_price=None if output_cost is None else output_cost.output_cost * 1_000,
        )
