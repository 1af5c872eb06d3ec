"""Answers that are to be JSON: shown as they are, and held against their schema."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from trio.testing import MockClock

from protocol.provider.events import ContentBlockStop, MessageDelta, MessageEnd, ProviderUsage
from protocol.tools import ToolAnswer
from tests.actors.fakes import Step, begin, finish, open_block, open_world, piece, reply, text_of

FORMAT = {
    "schema": {
        "type": "object",
        "properties": {"drink": {"type": "string"}},
        "required": ["drink"],
        "additionalProperties": False,
    }
}


async def test_an_answer_of_the_schema_ends_well(autojump_clock: MockClock) -> None:
    """A fence in it is no fence; the schema is sent, and counts for the response format."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(reply('{"drink": "```', "\\n", 'tea"}'))
        frames = await client.converse(outputFormat=FORMAT)
        assert frames[-1]["stopReason"] == "end_turn"
        assert json.loads(text_of(frames)) == {"drink": "```\ntea"}
        assert {frame.get("contentType", "text") for frame in frames} == {"text"}
        (body,) = [msgspec.json.decode(body) for body in world.model.bodies]
        assert body["output_config"]["format"] == {"type": "json_schema", **FORMAT}
        assert world.row.counted_tokens > len("Be brief.Hi.")


async def test_another_answer_is_a_failure(autojump_clock: MockClock) -> None:
    """It was billed all the same."""
    async with open_world() as world:
        client = world.connect()
        world.model.will(reply('{"drink": 5}'))
        error = (await client.converse(outputFormat=FORMAT))[-1]
        assert (error["code"], error["retryable"]) == ("LLM_ERROR", True)
        assert "`drink` is not of the type string" in error["message"]
        assert error["usage"]["outputTokens"] == 5


async def test_an_answer_that_paused_is_judged_as_one(autojump_clock: MockClock) -> None:
    """Its two halves are the JSON; none of them alone is."""
    async with open_world() as world:
        client = world.connect()
        first = [begin(), open_block(), piece('{"drink":'), *finish(stop="pause_turn")]
        world.model.will(first, reply('"tea"}'))
        frames = await client.converse(outputFormat=FORMAT)
        assert frames[-1]["stopReason"] == "end_turn"
        assert json.loads(text_of(frames)) == {"drink": "tea"}


async def test_what_is_said_before_a_call_is_judged_too(autojump_clock: MockClock) -> None:
    """The client reads all of it as one text, and that is no JSON."""
    async with open_world() as world:
        client = world.connect()
        world.tools.offers("brew", ToolAnswer(content="Tea."))
        called = open_block(0, type="tool_use", id="c", name="brew", input={})
        said: list[Step] = [open_block(1), piece("Let me look.", 1), ContentBlockStop(1)]
        world.model.will(
            [begin(), *said, called, *finish(stop="tool_use")], reply('{"drink": "tea"}')
        )
        error = (await client.converse(outputFormat=FORMAT))[-1]
        assert error["code"] == "LLM_ERROR"
        assert "it is no JSON" in error["message"]


@pytest.mark.parametrize("stop", ["max_tokens", "stop_sequence"])
async def test_an_answer_that_was_cut_is_not_held_against_it(
    stop: str, autojump_clock: MockClock
) -> None:
    """Its stop reason says so, and at which text."""
    async with open_world() as world:
        client = world.connect()
        end = MessageDelta(MessageEnd(stop, stop_sequence="END"), ProviderUsage(output_tokens=5))
        script: list[Any] = [begin(), open_block(), piece('{"dri'), *finish()]
        world.model.will([end if isinstance(step, MessageDelta) else step for step in script])
        last = (await client.converse(outputFormat=FORMAT))[-1]
        assert last["stopReason"] == stop
        assert last.get("stopSequence") == ("END" if stop == "stop_sequence" else None)


async def test_a_gateway_that_caches_nothing_keeps_nothing_longer(
    autojump_clock: MockClock,
) -> None:
    """The field is named."""
    async with open_world(prompt_caching=False) as world:
        error = (await world.connect().converse(cacheTtl="1h"))[-1]
        assert error["code"] == "INVALID_MESSAGE"
        assert error["message"].startswith("`cacheTtl`")
