"""The provider while its SDK is still loading."""

from __future__ import annotations

import threading

import pytest
import trio

from gateway.anthropic.late_model import LateModel
from gateway.late import Late
from gateway.simulator import open_simulator
from protocol.errors import ProviderError


async def test_a_model_is_described_in_time_while_the_sdk_loads() -> None:
    """A turn begins with it, and has a deadline: what is not loaded yet is no answer in time."""
    begun, may_load = threading.Event(), threading.Event()

    def load() -> None:
        begun.set()
        may_load.wait()

    first = Late(load)  # one is loaded at a time
    async with open_simulator() as simulator, trio.open_nursery() as nursery:
        nursery.start_soon(first.wait)
        await trio.to_thread.run_sync(begun.wait)
        model = LateModel(
            lambda: "sk-test", base_url=simulator.url, connect_seconds=5.0, answer_seconds=0.05
        )
        with pytest.raises(ProviderError) as caught:
            await model.describe("claude-sonnet-5-5")
        may_load.set()
        assert (caught.value.failure.code, caught.value.failure.retryable) == ("LLM_TIMEOUT", True)
        await model.ready()
        await model.aclose()


async def test_a_model_is_described_by_the_provider_once_the_sdk_is_there() -> None:
    """What it says is handed on."""
    async with open_simulator() as simulator:
        model = LateModel(
            lambda: "sk-test", base_url=simulator.url, connect_seconds=5.0, answer_seconds=60.0
        )
        assert (await model.describe("claude-sonnet-5-5")).id == "claude-sonnet-5-5"
        await model.aclose()
