"""What is known of the models: asked of the provider once, then kept.

What the settings say of a model wins, and the provider is not asked for it. Where the provider does
not answer, or has no such endpoint, the table stands in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import UNSET

from actors.ports import Clock, Model, Prices
from protocol.errors import GatewayError, ProviderError
from protocol.moments import day
from protocol.provider.model_info import Lifecycle, ModelInfo
from protocol.provider.models import fallback
from protocol.server import ModelSummary
from protocol.usage import TokenCounts

_NO_LIST = ("MODEL_NOT_FOUND", "LLM_ERROR")
"""What it means that the provider has no list of models: a 404, or a page that is none."""


class Catalog:
    """The models' abilities, kept for `keep_seconds` of the monotonic `timer`.

    A model retires by the `clock`, unless the provider says what has become of it.
    `chosen` are those of the settings, `default` is the model of a session that names none. When
    the provider does not answer, the table stands in, for a shorter while.
    """

    RETRY_SECONDS = 60.0

    def __init__(
        self,
        model: Model,
        prices: Prices,
        *,
        keep_seconds: float,
        timer: Callable[[], float],
        clock: Clock,
        chosen: Iterable[ModelInfo] = (),
        default: str = "",
    ) -> None:
        self._model = model
        self._prices = prices
        self._keep_seconds = keep_seconds
        self._timer = timer
        self._clock = clock
        self._chosen = {info.id: info for info in chosen}
        self._default = default
        self._known: dict[str, tuple[float, ModelInfo]] = {}

    async def describe(self, model: str) -> ModelInfo:
        """What `model` can do. Raises GatewayError(NO_API_KEY, MODEL_NOT_FOUND)."""
        info = self._chosen.get(model) or await self._asked(model)
        if self._lifecycle(info) == "retired":
            raise GatewayError("MODEL_NOT_FOUND", _farewell(info))
        return info

    async def _asked(self, model: str) -> ModelInfo:
        expires, info = self._known.get(model, (0.0, None))
        if info is not None and self._timer() < expires:
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
        try:
            models = await self._model.list_models()
        except ProviderError as error:
            if error.failure.code not in _NO_LIST or error.failure.retryable:
                raise
            models = [fallback(self._default)] if self._default else []
        else:
            for info in models:
                self._remember(info.id, info, self._keep_seconds)
        told = {info.id: info for info in models} | self._chosen
        return [self._summary(info) for info in told.values()]

    def _remember(self, model: str, info: ModelInfo, seconds: float) -> None:
        if len(self._known) >= 1_000:  # ids come from clients: the table must not grow with them
            self._known.clear()
        self._known[model] = (self._timer() + seconds, info)

    def _lifecycle(self, info: ModelInfo) -> Lifecycle | None:
        return info.lifecycle_on(day(self._clock.now()))

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
            lifecycle=self._lifecycle(info) or UNSET,
            retires_at=info.retires_on or UNSET,
        )


def _farewell(info: ModelInfo) -> str:
    since = f" since {info.retires_on}" if info.retires_on else ""
    instead = f"`{info.successor}`" if info.successor else "another model; `model.list` has them"
    return f"`model`: the provider has retired {info.id}{since}. Use {instead}."
