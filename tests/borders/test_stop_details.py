"""Why an answer stopped, and who gave it.

Reported of other programs: an answer that the provider refuses looks like an empty one, or like an
unknown error, and its explanation is thrown away (earendil-works/pi 5591).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator import Fault, Reply, ReplyText
from tests.support import Frame, World, open_world

EXPLANATION = "This could help with attacks. Ask in another way."


def refusing(details: Any) -> Reply:
    """The model declines."""
    return Reply(blocks=(), stop_reason="refusal", stop_details=details)


async def ending(world: World, *replies: Reply, model: str = "claude-sonnet-5-5") -> Frame:
    """The terminal frame of a turn that is answered so."""
    world.simulator.script(*replies)
    async with world.talk() as talk:
        return (await talk.turn("Hello?", model=model))[-1]


async def test_a_refusal_says_why(tmp_path: Path) -> None:
    """Its category and the provider's explanation reach the client."""
    details = {"type": "refusal", "category": "cyber", "explanation": EXPLANATION}
    async with open_world(tmp_path) as world:
        end = await ending(world, refusing(details))
    assert end["stopReason"] == "refusal"
    assert end["stopDetails"] == {"category": "cyber", "explanation": EXPLANATION}


@pytest.mark.parametrize(
    "details",
    [None, {"type": "refusal", "category": None, "explanation": None}, "odd", {"category": [1]}],
)
async def test_a_refusal_without_a_reason_is_a_refusal(tmp_path: Path, details: Any) -> None:
    """Whatever stands in its place; it is no broken answer."""
    async with open_world(tmp_path) as world:
        end = await ending(world, refusing(details))
    assert end["type"] == "chat.stream.end"
    assert end["stopReason"] == "refusal"
    assert "stopDetails" not in end


@pytest.mark.parametrize(
    ("told", "reason"), [("new_reason", "new_reason"), ("a\nb\0", "a_b_"), ("x" * 5_000, "x" * 64)]
)
async def test_a_reason_that_nobody_knows_is_a_short_name(
    tmp_path: Path, told: str, reason: str
) -> None:
    """It is told, on one line."""
    async with open_world(tmp_path) as world:
        end = await ending(world, Reply(blocks=(ReplyText("Yes."),), stop_reason=told))
    assert end["stopReason"] == reason


async def test_another_model_that_answers_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In the turn's end and in the log: it is the one that is billed."""
    caplog.set_level(logging.INFO)
    async with open_world(tmp_path) as world:
        reply = Reply(blocks=(ReplyText("Yes."),), model="claude-opus-5")
        end = await ending(world, reply, model="claude-fable-5-1")
    assert end["model"] == "claude-opus-5"
    assert "claude-opus-5 answers, where claude-fable-5-1 was asked" in caplog.text


async def test_another_model_is_named_in_a_failure_too(tmp_path: Path) -> None:
    """What came before it broke off is billed as well."""
    fault = Fault("error", at=4, error_type="overloaded_error")
    reply = Reply(blocks=(ReplyText("Yes, but"),), model="claude-opus-5", fault=fault, chars=2)
    async with open_world(tmp_path) as world:
        error = await ending(world, reply, model="claude-fable-5-1")
    assert error["type"] == "error"
    assert error["model"] == "claude-opus-5"


async def test_the_dated_id_of_the_model_that_was_asked_is_not_another(tmp_path: Path) -> None:
    """An alias is answered so."""
    async with open_world(tmp_path) as world:
        reply = Reply(blocks=(ReplyText("Yes."),), model="claude-haiku-4-5-20251001")
        end = await ending(world, reply, model="claude-haiku-4-5")
    assert "model" not in end
