"""The provider's adapter, with the real SDK over real HTTP."""

from __future__ import annotations

import gc
import logging
import warnings
from contextlib import suppress

import msgspec
import pytest
import trio

from gateway.anthropic.model import AnthropicModel
from gateway.simulator import ErrorReply, Reply, ReplyText, Simulator, open_simulator, service
from gateway.simulator.models import ModelSpec
from protocol.errors import GatewayError, ProviderError
from protocol.provider.events import MessageStart, MessageStop
from tests.answers import all_of, next_of
from tests.prompts import prompt_of


def body(content: str = "Hi", **fields: object) -> bytes:
    """A request's JSON."""
    return msgspec.json.encode(
        {
            "model": "claude-sonnet-5-5",
            "max_tokens": 1_000,
            "stream": True,
            "messages": [{"role": "user", "content": content}],
            **fields,
        }
    )


def model_of(simulator: Simulator, key: str | None = "sk-test") -> AnthropicModel:
    """An adapter that speaks to the simulator."""
    return AnthropicModel(
        lambda: key,
        base_url=simulator.url,
        connect_seconds=5.0,
        answer_seconds=5.0,
    )


async def test_events_come_typed_from_the_first_to_the_last() -> None:
    """A whole answer begins with its start and ends with its stop."""
    async with open_simulator() as simulator:
        simulator.script(Reply(blocks=(ReplyText("Hello."),)))
        model = model_of(simulator)
        async with model.stream(prompt_of(body())) as events:
            assert model.open_streams == 1
            seen = await all_of(events)
        assert isinstance(seen[0], MessageStart)
        assert isinstance(seen[-1], MessageStop)
        assert model.open_streams == 0
        await model.aclose()


async def test_the_body_goes_up_to_the_byte() -> None:
    """What the provider receives is what was given."""
    async with open_simulator() as simulator:
        model = model_of(simulator)
        async with model.stream(prompt_of(body("ünï"))) as events:
            await all_of(events)
        assert simulator.requests[-1].raw == body("ünï")
        assert simulator.requests[-1].headers["content-type"] == "application/json"
        await model.aclose()


async def test_a_whole_answer_leaves_its_connection_for_the_next() -> None:
    """Leaving at the stop event does not cost a new connection."""
    async with open_simulator() as simulator:
        model = model_of(simulator)
        for _ in range(2):
            async with model.stream(prompt_of(body())) as events:
                await events.each(lambda batch: isinstance(batch[-1], MessageStop))
        assert model._direct is not None
        assert len(model._direct.idle) == 1
        await model.aclose()


async def test_a_stream_that_is_left_is_closed_upstream() -> None:
    """The provider notices at once, and stops billing."""
    async with open_simulator() as simulator:
        model = model_of(simulator)
        async with model.stream(prompt_of(body("[[sim: count=100000 rate=50]]"))) as events:
            await next_of(events)
        with trio.fail_after(0.5):
            await simulator.wait_idle()
        assert simulator.billed[-1].outcome == "aborted"
        await model.aclose()


@pytest.mark.parametrize("how", ["left", "broken", "cancelled"])
async def test_nothing_of_a_stream_is_left_to_the_collector(how: str) -> None:
    """It would be closed by other tasks, at any time."""
    async with open_simulator() as simulator:
        model = model_of(simulator)
        with warnings.catch_warnings(record=True) as left:
            warnings.simplefilter("always")
            with trio.CancelScope() as scope, suppress(ZeroDivisionError):
                async with model.stream(prompt_of(body("[[sim: count=9999 rate=50]]"))) as events:
                    await next_of(events)
                    if how == "broken":
                        raise ZeroDivisionError
                    if how == "cancelled":
                        scope.cancel()
                        await next_of(events)
            gc.collect()
        assert left == []
        await model.aclose()


async def test_models_are_described_as_the_provider_does() -> None:
    """Limits, thinking types and efforts come from the models endpoint."""
    async with open_simulator() as simulator:
        model = model_of(simulator)
        sonnet = await model.describe("claude-sonnet-5-5")
        assert (sonnet.max_input_tokens, sonnet.max_tokens) == (1_000_000, 128_000)
        assert set(sonnet.thinking) == {"adaptive", "between_tools"}
        assert "max" in sonnet.efforts
        listed = await model.list_models()
        assert sonnet in listed
        with pytest.raises(ProviderError) as caught:
            await model.describe("claude-nothing-1")
        assert caught.value.failure.code == "MODEL_NOT_FOUND"
        await model.aclose()


async def test_the_provider_counts_the_same_request() -> None:
    """What count_tokens does not take is left out."""
    async with open_simulator() as simulator:
        model = model_of(simulator)
        short = await model.count_tokens(body("Hi"))
        long = await model.count_tokens(body("Hi " * 500, system=[{"type": "text", "text": "S"}]))
        assert 0 < short < long
        await model.aclose()


@pytest.mark.parametrize("told", [None, -1, 10**9 + 1, 1.5, "7", True, [3]])
async def test_a_count_that_is_none_is_told_as_such(
    told: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK hands on whatever the provider's answer has in that place."""
    monkeypatch.setattr(service, "measure", lambda *_: told)
    async with open_simulator() as simulator:
        model = model_of(simulator)
        with pytest.raises(ProviderError, match="LLM_ERROR: The provider's count"):
            await model.count_tokens(body())
        await model.aclose()


@pytest.mark.parametrize("told", [None, 0, -1, 10**9 + 1, 1.5, [3]])
async def test_a_limit_that_is_none_comes_from_the_table(
    told: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Null, nothing, out of range, or no number."""
    limits = {"max_input_tokens": told, "max_tokens": told}
    honest = ModelSpec.info
    monkeypatch.setattr(ModelSpec, "info", lambda spec: honest(spec) | limits)
    async with open_simulator() as simulator:
        model = model_of(simulator)
        sonnet = await model.describe("claude-sonnet-5-5")
        assert (sonnet.max_input_tokens, sonnet.max_tokens) == (1_000_000, 128_000)
        assert sonnet in await model.list_models()
        await model.aclose()


async def test_a_key_that_comes_later_is_found() -> None:
    """Without a key it is looked for each time; a refused one is looked for again."""
    keys: list[str | None] = [None, "bad", "sk-good"]
    async with open_simulator() as simulator:
        model = AnthropicModel(
            lambda: keys.pop(0),
            base_url=simulator.url,
            connect_seconds=5.0,
            answer_seconds=5.0,
        )
        with pytest.raises(GatewayError, match="NO_API_KEY: There is no API key"):
            await model.list_models()
        with pytest.raises(ProviderError, match="NO_API_KEY: The provider refuses"):
            await model.list_models()
        assert await model.list_models()
        await model.aclose()


async def test_an_unreachable_provider_is_told_apart() -> None:
    """Nobody listens: the network is to be looked at."""
    model = AnthropicModel(
        lambda: "sk-test",
        base_url="http://127.0.0.1:1",
        connect_seconds=5.0,
        answer_seconds=5.0,
    )
    with pytest.raises(ProviderError, match="cannot be reached") as caught:
        async with model.stream(prompt_of(body())):
            pass
    assert caught.value.failure.retryable
    await model.aclose()


async def test_no_redirect_takes_the_prompt_elsewhere() -> None:
    """A redirect is an error that names the base address."""
    async with open_simulator() as simulator:
        simulator.script(Reply(failure=ErrorReply(307)))
        model = model_of(simulator)
        with pytest.raises(ProviderError, match="LLM_ERROR"):
            async with model.stream(prompt_of(body())):
                pass
        assert len(simulator.requests) == 1
        await model.aclose()


async def test_what_the_provider_says_never_carries_a_key() -> None:
    """Its explanation is cut, cleaned and without anything like a key."""
    async with open_simulator() as simulator:
        simulator.script(
            Reply(failure=ErrorReply(400, message="bad\nsk-ant-abcdefgh " + "x" * 999))
        )
        model = model_of(simulator)
        with pytest.raises(ProviderError) as caught:
            async with model.stream(prompt_of(body())):
                pass
        message = caught.value.failure.message
        assert "sk-ant" not in message
        assert "\n" not in message
        assert len(message) < 400
        await model.aclose()


def test_the_sdk_is_not_allowed_to_log_prompts() -> None:
    """At debug level it would, and a variable of the environment can ask for that."""
    for name in ("anthropic", "httpx2", "httpcore2"):
        assert logging.getLogger(name).getEffectiveLevel() >= logging.WARNING
