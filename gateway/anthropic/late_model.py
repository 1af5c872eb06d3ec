"""The provider, whose SDK is loaded after the start: the gateway listens without it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import trio

from actors.ports import Model, ProviderEvents, nothing
from gateway.late import Late
from protocol.errors import ProviderError
from protocol.prompt import Prompt
from protocol.provider.model_info import ModelInfo


class _Provider(Model, Protocol):
    """`gateway.anthropic.model.AnthropicModel`, which is not imported before it is needed."""

    async def aclose(self) -> None: ...


class LateModel:
    """`actors.ports.Model`. Every request waits until the SDK is loaded.

    Takes what `AnthropicModel` takes.
    """

    def __init__(
        self,
        find_key: Callable[[], str | None],
        *,
        base_url: str,
        connect_seconds: float,
        answer_seconds: float,
    ) -> None:
        def load() -> _Provider:
            from gateway.anthropic.model import AnthropicModel  # noqa: PLC0415 - a second

            _load_backend()
            return AnthropicModel(
                find_key,
                base_url=base_url,
                connect_seconds=connect_seconds,
                answer_seconds=answer_seconds,
            )

        self._client = Late(load)
        self._answer_seconds = answer_seconds

    async def ready(self) -> None:
        """Wait until the SDK is loaded."""
        await self._client.wait()

    @property
    def open_streams(self) -> int:
        """How many streams are open upstream."""
        return self._client.get().open_streams if self._client.is_loaded else 0

    async def aclose(self) -> None:
        """Close the idle connections."""
        if self._client.is_loaded:
            await self._client.get().aclose()

    async def list_models(self) -> list[ModelInfo]:
        """The models that the key may use, newest first."""
        return await (await self._client.wait()).list_models()

    async def describe(self, model: str) -> ModelInfo:
        """What `model` can do, from the provider; a turn's start waits no longer for loading."""
        with trio.move_on_after(self._answer_seconds):
            return await (await self._client.wait()).describe(model)
        raise ProviderError(
            "LLM_TIMEOUT", "The gateway is still starting. Try again.", retryable=True
        )

    async def count_tokens(self, body: bytes, betas: Sequence[str] = ()) -> int:
        """The provider's count of the input tokens of `body`."""
        return await (await self._client.wait()).count_tokens(body, betas)

    def stream(
        self, prompt: Prompt, on_its_way: Callable[[], None] = nothing
    ) -> AbstractAsyncContextManager[ProviderEvents]:
        """Send the request, and give the answer's events. Leaving closes the connection."""
        if self._client.is_loaded:
            return self._client.get().stream(prompt, on_its_way)
        on_its_way()
        return self._stream_late(prompt)

    @asynccontextmanager
    async def _stream_late(self, prompt: Prompt) -> AsyncIterator[ProviderEvents]:
        async with (await self._client.wait()).stream(prompt) as events:
            yield events


def _load_backend() -> None:
    """The SDK's first request would import this, on the loop's thread."""
    import anyio  # noqa: PLC0415 - it comes with the SDK
    import anyio.lowlevel  # noqa: PLC0415

    anyio.run(anyio.lowlevel.checkpoint, backend="trio")
