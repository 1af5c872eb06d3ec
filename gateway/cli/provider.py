"""Asking the provider for its models: a question that costs nothing, and tells whether it is there.

The SDK takes a second to import, and no other command needs it.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import trio

from gateway.network import PROVIDER_URL, check_network
from gateway.settings import Settings
from protocol.provider.model_info import ModelInfo


def provider_url(settings: Settings) -> str:
    """The address of the Messages API that is in force."""
    return settings.anthropic_base_url or PROVIDER_URL


async def list_models(
    settings: Settings, find_key: Callable[[], str | None], seconds: float
) -> list[ModelInfo]:
    """The models that a key may use. Raises ConfigError and GatewayError."""
    from gateway.anthropic.model import AnthropicModel  # noqa: PLC0415

    check_network([provider_url(settings)], os.environ)
    model = AnthropicModel(
        find_key,
        base_url=provider_url(settings),
        connect_seconds=settings.connect_seconds,
        answer_seconds=seconds,
    )
    try:
        return await model.list_models()
    finally:
        with trio.CancelScope(shield=True):
            await model.aclose()
