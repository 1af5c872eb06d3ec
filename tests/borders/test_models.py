"""Models: one table, every spelling, what the models endpoint tells, and what has retired.

Public reports of the like: Significant-Gravitas/AutoGPT 13629 (clouds' spellings were not
recognised), svmiko's report in sausheong/harness 2 (a thinking budget for models that take none),
theopenco/llmgateway 3699 (retired models were still asked for).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.model_settings import read_models
from gateway.simulator import SimulatorSettings
from tests.support import Frame, Talk, World, open_world, text_of

RETIRED = "claude-opus-4-1"
LONG_GONE = ["claude-3-haiku-20240307", "claude-2.1", "claude-instant-1.2", "claude-1.3-100k"]


def provider(**settings: Any) -> SimulatorSettings:
    return SimulatorSettings(**settings)


async def refusal(talk: Talk, **fields: Any) -> Frame:
    """What a turn ends with that is refused before anything is sent."""
    (error,) = await talk.turn("Hello", **fields)
    assert error["type"] == "error"
    return error


def asked(world: World) -> list[str]:
    """The paths that the provider was asked for."""
    return [request.path for request in world.simulator.requests]


@pytest.mark.parametrize(
    ("model", "rate"),
    [
        ("us.anthropic.claude-sonnet-5-5-v1:0", 2.2),
        ("anthropic.claude-sonnet-5-5", 2.2),
        ("global.anthropic.claude-sonnet-5-5", 2.0),
        ("anthropic/claude-sonnet-5.5", 2.0),
        ("claude-sonnet-5-5@20260928", 2.0),
    ],
)
@pytest.mark.parametrize("models", ["told", "missing"])
async def test_a_clouds_name_of_a_model_is_that_model(
    tmp_path: Path, model: str, rate: float, models: Any
) -> None:
    """It thinks as the model does, and costs what its seller takes."""
    async with open_world(tmp_path, provider=provider(models=models)) as world:
        async with world.talk() as talk:
            end = (await talk.turn("Hello", model=model))[-1]
            error = await refusal(talk, model=model, thinking={"budgetTokens": 2_000})
        (body,) = world.sent()
    assert end["stopReason"] == "end_turn"
    assert body["model"] == model
    assert body["thinking"]["type"] == "adaptive"
    details = end["usage"]["inputDetails"]
    tokens = details["uncached"] + 1.25 * (details["cacheWrite5m"])
    assert end["cost"]["inputCost"] == pytest.approx(tokens * rate / 1_000_000)
    assert "takes no budget" in error["message"]


@pytest.mark.parametrize("models", ["missing", "page", "bare"])
async def test_without_a_models_endpoint_the_table_stands_in(tmp_path: Path, models: Any) -> None:
    """A 404, a page of HTML, nothing but nulls: turns go on, and the list says what is known."""
    async with (
        open_world(tmp_path, provider=provider(models=models)) as world,
        world.talk() as talk,
    ):
        frames = await talk.turn("Hello", effort="max")
        listing = await talk.ask("model.list")
        named = {model["id"]: model for model in listing["models"]}
    assert frames[-1]["stopReason"] == "end_turn"
    assert text_of(frames)
    sonnet = named["claude-sonnet-5-5"]
    assert (sonnet["maxInputTokens"], sonnet["maxTokens"]) == (1_000_000, 128_000)
    assert sonnet["lifecycle"] == "active"
    assert len(named) == 1 or models == "bare"


async def test_the_settings_describe_a_proxys_model(tmp_path: Path) -> None:
    """It is listed and used as they say, and the provider is not asked about it."""
    models = read_models({"claude-haiku-4-5": {"max_tokens": 4_000, "thinking": ["disabled"]}})
    async with open_world(tmp_path, models=models, provider=provider(models="missing")) as world:
        async with world.talk() as talk:
            await talk.turn("Hello", model="claude-haiku-4-5")
            error = await refusal(talk, model="claude-haiku-4-5", maxTokens=4_001)
            listing = await talk.ask("model.list")
        (body,) = world.sent()
        assert "/v1/models/claude-haiku-4-5" not in asked(world)
    assert "thinking" not in body
    assert body["max_tokens"] == 4_000
    assert "writes at most 4,000" in error["message"]
    assert [model["id"] for model in listing["models"]] == ["claude-sonnet-5-5", "claude-haiku-4-5"]


@pytest.mark.parametrize("settings", [{"models": "missing"}, {"retired": (RETIRED,)}])
async def test_a_retired_model_is_refused_with_its_successor(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """The provider says so, or the table; nothing is sent."""
    async with open_world(tmp_path, provider=provider(**settings)) as world:
        async with world.talk() as talk:
            error = await refusal(talk, model=RETIRED)
        assert world.sent() == []
    assert error["code"] == "MODEL_NOT_FOUND"
    assert RETIRED in error["message"]
    assert "Use `claude-opus-4-8`" in error["message"]


@pytest.mark.parametrize("model", LONG_GONE)
async def test_a_model_that_the_sdk_calls_retired_is_not_asked_for(
    tmp_path: Path, model: str
) -> None:
    """Where no models endpoint says so either (BerriAI/litellm 26139: a 404 in mid-turn)."""
    async with open_world(tmp_path, provider=provider(models="missing")) as world:
        async with world.talk() as talk:
            error = await refusal(talk, model=model)
        assert world.sent() == []
    assert error["code"] == "MODEL_NOT_FOUND"
    assert "Use `claude-" in error["message"]


async def test_a_list_says_which_models_go_and_when(tmp_path: Path) -> None:
    """Optional fields: an active model has no day."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        listing = await talk.ask("model.list")
    named = {model["id"]: model for model in listing["models"]}
    old = named["claude-sonnet-4-5"]
    assert (old["lifecycle"], old["retiresAt"]) == ("deprecated", "2026-11-30")
    assert named["claude-sonnet-5-5"]["lifecycle"] == "active"
    assert "retiresAt" not in named["claude-sonnet-5-5"]


@pytest.mark.parametrize("model", ["claude-haiku-5-5", "claude-opus-5", "claude-sonnet-5-5"])
async def test_thinking_off_at_a_high_effort_is_refused_here(tmp_path: Path, model: str) -> None:
    """The provider's 400 would say less; at a lower effort it is sent."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        error = await refusal(talk, model=model, thinking="off", effort="xhigh")
        assert world.sent() == []
        end = (await talk.turn("Hello", model=model, thinking="off", effort="high"))[-1]
    assert error["code"] == "INVALID_MESSAGE"
    assert "`effort`" in error["message"]
    assert model in error["message"]
    assert end["stopReason"] == "end_turn"
