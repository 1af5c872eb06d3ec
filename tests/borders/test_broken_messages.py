"""Messages of a client that are broken, or say nothing in a place where something must stand.

Half a surrogate pair: anthropics/claude-code 1709. A picture with an empty caption:
unslothai/unsloth 10455.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.simulator import Reply, ReplyText, ToolUse
from tests.support import TERMINAL, Talk, World, open_world

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJg"
    "gg=="
)
PICTURE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": PIXEL},
}
EMPTY, BLANK = {"type": "text", "text": ""}, {"type": "text", "text": " \n"}
WEATHER = {"name": "weather", "description": "The weather.", "inputSchema": {"type": "object"}}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def answer(talk: Talk, frame: str | bytes) -> dict[str, Any]:
    """What a frame is answered with."""
    await talk.socket.send(frame)
    return await talk.hear()


BROKEN = {
    "half a surrogate": '{"type":"chat.send","id":"7","content":"\\ud83d"}',
    "half a surrogate before the id": '{"type":"chat.send","content":"\\ud83d!","id":"7"}',
    "cut off": '{"type":"chat.send","id":"7","content":"Hel',
    "a bracket too many": '{"type":"ping","id":"7"}}',
    "an unknown type": '{"type":"chat.sned","id":"7"}',
    "no type": '{"id":"7"}',
    "a wrong type": '{"type":"chat.send","id":"7","content":5}',
    "too deep": '{"type":"ping","id":"7","x":' + "[" * 9_000 + "]" * 9_000 + "}",
    "too deep before the id": '{"type":"ping","x":' + "[" * 9_000 + "]" * 9_000 + ',"id":"7"}',
    "a number out of range": '{"type":"chat.send","id":"7","content":"x","maxCost":1e999}',
    "a NUL": '{"type":"chat.send","id":"7","content":"\\u0000"}',
    "two ids": '{"type":"chat.sned","id":"6","id":"7"}',
    "an id in a text": '{"type":"chat.send","id":"7","content":"\\",\\"id\\":\\"8\\"\\ud83d"}',
    "an id of another level": '{"id":"7","x":{"id":"8"},"content":[{"id":"9"}],"type":"chat.send"',
}


@pytest.mark.parametrize("frame", BROKEN.values(), ids=BROKEN)
async def test_a_broken_message_is_answered_by_its_id(world: World, frame: str) -> None:
    """INVALID_MESSAGE under the id that could be read; the connection goes on."""
    async with world.talk() as talk:
        error = await answer(talk, frame)
        assert (error["type"], error["code"], error["requestId"]) == (
            "error",
            "INVALID_MESSAGE",
            "7",
        )
        assert (await talk.ask("ping"))["type"] == "pong"


@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"chat.send","content":"he said "hi","id":"7"',
        '{"x":{"id":"7"},"type":"ping"',
        '{"type":"ping","id":7}',
        '["id","7"]',
        "hello",
    ],
)
async def test_no_wrong_id_is_told(world: World, frame: str) -> None:
    """What is no id of the message itself is not echoed."""
    async with world.talk() as talk:
        assert "requestId" not in await answer(talk, frame)


async def test_broken_messagepack_is_answered_by_its_id(world: World) -> None:
    """Cut off, no UTF-8, of an unknown type, or JSON in the wrong kind of frame."""
    whole = msgspec.msgpack.encode({"id": "7", "type": "chat.send", "content": "Hello"})
    no_utf8 = b"\x83\xa4type\xa9chat.send\xa7content\xa2\xff\xfe\xa2id\xa17"
    unknown = msgspec.msgpack.encode({"type": "chat.sned", "id": "7"})
    async with world.talk("agentspace.v1.msgpack") as talk:
        for frame in (whole[:-2], no_utf8, unknown, '{"type":"ping","id":"7"}'):
            error = await answer(talk, frame)
            assert (error["code"], error["requestId"]) == ("INVALID_MESSAGE", "7")


async def test_a_picture_with_an_empty_caption_is_sent_without_it(world: World) -> None:
    """The provider refuses an empty text, and many a client sends one."""
    async with world.talk() as talk:
        frames = await talk.turn([EMPTY, PICTURE, BLANK])
        assert frames[-1]["type"] == "chat.stream.end"
    (question,) = world.sent()[-1]["messages"]
    assert [block["type"] for block in question["content"]] == ["image"]


async def test_a_tools_answer_loses_its_empty_texts_too(world: World) -> None:
    """`tool.output` is content like any other."""
    world.simulator.script(
        Reply(blocks=(ToolUse("weather", {}),)), Reply(blocks=(ReplyText("Sunny."),))
    )
    async with world.talk() as talk:
        await talk.say("chat.send", content="Hi", tools=[WEATHER])
        while (frame := await talk.hear())["type"] != "tool.call":
            assert frame["type"] not in TERMINAL
        await talk.say("tool.output", toolCallId=frame["toolCallId"], content=[EMPTY, PICTURE])
        while (frame := await talk.hear())["type"] not in TERMINAL:
            pass
        assert frame["type"] == "chat.stream.end"
    (result,) = world.sent()[-1]["messages"][-1]["content"]
    assert [block["type"] for block in result["content"]] == ["image"]


async def test_a_blank_system_is_no_system(world: World) -> None:
    """Not a 400 of the provider about blank text."""
    async with world.talk() as talk:
        frames = await talk.turn("Hi", system=" \n\t ")
        assert frames[-1]["type"] == "chat.stream.end"
        session = await talk.ask("session.create", system="  ")
        frames = await talk.turn("Hi", sessionId=session["sessionId"])
        assert frames[-1]["type"] == "chat.stream.end"
    for body in world.sent():
        assert all(block["text"].strip() for block in body["system"])
