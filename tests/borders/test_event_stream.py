"""The provider's stream, as proxies and the provider's next version spell it.

Reported of other programs: the last event is dropped where no blank line follows it
(openai/openai-node 2725, google-gemini/gemini-cli 29059), text comes within a call
(sgl-project/sglang 26795), thinking within text (BerriAI/litellm 32664).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator import Fault, Raw, Reply, ReplyText, ReplyThinking, ToolUse
from gateway.simulator.reply import SPELLINGS
from tests.support import Frame, World, open_world, reasoning_of, text_of

THOUGHT = "Hm 🙂."
TEXT = "Naïve 日本語 🙂, and more: 🙃🙂."
FUTURE: dict[str, Any] = {"type": "from_the_future", "x": [1, {"y": None}]}
TOOL = {"name": "clock", "description": "Tells the time.", "inputSchema": {"type": "object"}}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A gateway that tries nothing again."""
    async with open_world(tmp_path, retry_attempts=0) as world:
        yield world


async def turn(world: World, reply: Reply, **fields: Any) -> list[Frame]:
    """The frames of a turn that is answered so."""
    world.simulator.script(reply)
    async with world.talk() as talk:
        return await talk.turn("Hello?", model="claude-sonnet-5-5", **fields)


async def kept(world: World, frames: list[Frame]) -> Any:
    """The answer's blocks as they go back to the provider, which takes them."""
    async with world.talk() as talk:
        end = (await talk.turn("And?", id="again", sessionId=frames[0]["sessionId"]))[-1]
    assert end["type"] == "chat.stream.end", end
    (answer,) = (one for one in world.sent()[-1]["messages"] if one["role"] == "assistant")
    return answer["content"]


@pytest.mark.parametrize("kind", [*SPELLINGS, "split", "unknown_event", "unstreamed"])
async def test_the_same_answer_in_another_spelling(world: World, kind: Any) -> None:
    """It is whole, to the character, and goes back as it came."""
    blocks = (ReplyThinking(THOUGHT), ReplyText(TEXT))
    frames = await turn(world, Reply(blocks=blocks, chars=7, fault=Fault(kind)))
    assert frames[-1]["type"] == "chat.stream.end", frames[-1]
    assert frames[-1]["usage"]["estimated"] is False
    assert (reasoning_of(frames), text_of(frames)) == (THOUGHT, TEXT)
    thinking, text = await kept(world, frames)
    assert (thinking["thinking"], text) == (THOUGHT, {"type": "text", "text": TEXT})


@pytest.mark.parametrize("kind", ["whole_input", "torn", "unstreamed"])
async def test_a_calls_input_is_the_same_in_another_spelling(world: World, kind: Any) -> None:
    """The client gets it whole, and so does the provider."""
    given = {"zone": "Oslo 🙂", "more": [1]}
    world.simulator.script(Reply(blocks=(ToolUse("clock", given),), chars=5, fault=Fault(kind)))
    async with world.talk() as talk:
        await talk.say("chat.send", content="Hello?", tools=[TOOL])
        await talk.expect("session.created")
        await talk.expect("chat.stream.start")
        call = await talk.expect("tool.call")
        assert call["args"] == given
        await talk.say("tool.output", toolCallId=call["toolCallId"], content="noon")
        while (frame := await talk.hear())["type"] not in {"chat.stream.end", "error"}:
            pass
        assert frame["type"] == "chat.stream.end", frame
    (asked,) = (one for one in world.sent()[-1]["messages"] if one["role"] == "assistant")
    assert asked["content"][-1]["input"] == given


async def test_half_a_character_is_shown_as_one_that_stands_for_it(world: World) -> None:
    """The provider would refuse the half in a request."""
    fault = Fault("half", at=3)
    frames = await turn(world, Reply(blocks=(ReplyText("abcdefghijkl"),), chars=4, fault=fault))
    assert frames[-1]["type"] == "chat.stream.end", frames[-1]
    assert text_of(frames) == "abcd\ufffdefghijkl"
    assert await kept(world, frames) == [{"type": "text", "text": "abcd\ufffdefghijkl"}]


async def test_a_block_that_nobody_knows_goes_back_as_it_came(world: World) -> None:
    """And all else with it: nothing is missing."""
    blocks = (ReplyThinking("Hm."), Raw(FUTURE), ReplyThinking("So."), ReplyText("Yes."))
    frames = await turn(world, Reply(blocks=blocks))
    assert frames[-1]["type"] == "chat.stream.end", frames[-1]
    came = await kept(world, frames)
    types = [block["type"] for block in came]
    assert types == ["thinking", "from_the_future", "thinking", "text"]
    assert came[1] == FUTURE


async def test_a_block_that_grew_in_an_unknown_way_does_not_go_back(world: World) -> None:
    """Nor does the thinking after it, which is bound to what the provider sent."""
    blocks = (Raw(FUTURE), ReplyThinking("So."), ReplyText("Yes."))
    frames = await turn(world, Reply(blocks=blocks, fault=Fault("unknown_delta", at=3)))
    assert frames[-1]["type"] == "chat.stream.end", frames[-1]
    assert await kept(world, frames) == [{"type": "text", "text": "Yes."}]


@pytest.mark.parametrize(
    ("blocks", "left"),
    [
        ((ReplyThinking("Hm."), ReplyText("Yes.")), ["text"]),
        ((ReplyText("Yes."), ReplyThinking("Hm."), ReplyText("No.")), ["text", "thinking", "text"]),
    ],
    ids=["within thinking", "within text"],
)
async def test_a_piece_within_a_block_of_another_type_does_not_go_back(
    world: World, blocks: Any, left: list[str]
) -> None:
    """It is shown, and the provider takes the session at once, without a second try."""
    frames = await turn(world, Reply(blocks=blocks, fault=Fault("stray_delta", at=3)))
    assert frames[-1]["type"] == "chat.stream.end", frames[-1]
    assert "stray" in text_of(frames) + reasoning_of(frames)
    assert "stray" not in str(came := await kept(world, frames))
    assert [block["type"] for block in came] == left
    assert len(world.sent()) == 2


@pytest.mark.parametrize(
    ("kind", "code"), [("overloaded_error", "OVERLOADED"), ("api_error", "LLM_ERROR")]
)
async def test_an_error_with_status_200_is_an_error(world: World, kind: str, code: str) -> None:
    """Of its own type, and not an answer that broke off."""
    end = (await turn(world, Reply(fault=Fault("unstreamed_error", error_type=kind))))[-1]
    assert (end["type"], end["code"]) == ("error", code)
    assert "broke off" not in end["message"]


@pytest.mark.parametrize("kind", ["end", "truncate"])
async def test_an_answer_that_is_cut_off_is_not_whole(world: World, kind: Any) -> None:
    """Not even where its last event is a part of one."""
    end = (await turn(world, Reply(blocks=(ReplyText(TEXT),), fault=Fault(kind, at=-1))))[-1]
    assert (end["type"], end["code"]) == ("error", "LLM_ERROR")
    assert "broke" in end["message"]
