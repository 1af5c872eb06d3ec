"""The container in which code is executed is kept with the session, and given up when it is gone.

Public reports of the fault: anthropics/anthropic-sdk-python 1801, pydantic/pydantic-ai 5167 and
7833, maximhq/bifrost 5707.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.settings import Settings
from gateway.simulator import (
    CodeExecution,
    ErrorReply,
    Fault,
    Reply,
    ReplyText,
    Simulator,
    ToolUse,
    WebSearch,
    open_simulator,
)
from tests.support import TOKEN, Frame, World, open_gateway, open_world

CODE: dict[str, Any] = {"serverTools": ["code_execution"]}
RUN = CodeExecution("echo 42 > x", stdout="")
TIDE = [{"name": "tide", "description": "Tides.", "inputSchema": {"type": "object"}}]


def containers(simulator: Simulator) -> list[str | None]:
    """The container that each request named."""
    sent = [request for request in simulator.requests if request.path == "/v1/messages"]
    return [request.body.get("container") for request in sent]


def named(world: World) -> list[str | None]:
    """The same, of a world's provider."""
    return containers(world.simulator)


async def test_later_requests_name_the_container_and_earlier_ones_do_not(tmp_path: Path) -> None:
    """As a text, as the provider's page has it; also in turns that execute nothing."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        frames = await talk.turn("[[sim: code=on]] Go.", **CODE)
        session = frames[0]["sessionId"]
        for _ in range(2):
            frames = await talk.turn("And now?", sessionId=session)
            assert frames[-1]["stopReason"] == "end_turn"
        first, *rest = named(world)
        assert first is None
        assert len(set(rest)) == 1
        assert str(rest[0]).startswith("container_")


async def test_another_session_has_another_container(tmp_path: Path) -> None:
    """And one without code execution names none."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        frames = await talk.turn("[[sim: code=on]] Go.", **CODE)
        await talk.turn("Hi.", sessionId=frames[0]["sessionId"], serverTools=[])
        await talk.turn("Hi.", **CODE)
        assert named(world) == [None] * 3
        await talk.turn("Hi.", sessionId=frames[0]["sessionId"], **CODE)
        assert named(world)[-1] is not None


async def test_the_container_outlives_the_gateway(tmp_path: Path) -> None:
    """It stands in the ledger."""
    async with open_simulator() as simulator:
        settings = Settings(
            data_dir=tmp_path,
            port=0,
            token=TOKEN,
            anthropic_base_url=simulator.url,
            drain_seconds=2.0,
        )
        session: dict[str, Any] = dict(CODE)
        for request_id, content in (("one", "[[sim: code=on]] Go."), ("two", "And now?")):
            async with (
                open_gateway(settings, {"ANTHROPIC_API_KEY": "sk-test"}) as gateway,
                World(gateway, simulator, settings).talk() as talk,
            ):
                await talk.say("chat.send", id=request_id, content=content, **session)
                frames = await talk.rest(request_id)
                session = {"sessionId": frames[0]["sessionId"]}
        first, second = containers(simulator)
        assert first is None
        assert second is not None


@pytest.mark.parametrize("what", ["lost", "expired"])
async def test_a_container_that_is_gone_is_given_up_with_one_more_request(
    what: str, tmp_path: Path
) -> None:
    """The turn is answered, and the session does not name it again."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        frames = await talk.turn("[[sim: code=on]] Go.", **CODE)
        session = frames[0]["sessionId"]
        frames = await talk.turn(f"[[sim: container={what}]] And now?", sessionId=session)
        assert frames[-1]["stopReason"] == "end_turn", frames[-1]
        assert [name is None for name in named(world)] == [True, False, True]
        await talk.turn("[[sim: code=on]] Again.", sessionId=session)
        await talk.turn("And now?", sessionId=session)
        assert named(world)[3] is None
        assert named(world)[4] not in (None, named(world)[1])


async def test_a_container_that_is_told_of_by_its_id_alone_is_given_up(tmp_path: Path) -> None:
    """As a status it is asked once more; in the middle of an answer it is for the next request."""
    words = "container_1 not found"
    async with open_world(tmp_path) as world, world.talk() as talk:
        session = (await talk.turn("[[sim: code=on]] Go.", **CODE))[0]["sessionId"]
        lost = Reply(failure=ErrorReply(404, "not_found_error", words))
        so = Reply(blocks=(RUN, ReplyText("So.")))
        world.simulator.script(lost, so)
        frames = await talk.turn("And now?", sessionId=session)
        assert frames[-1].get("stopReason") == "end_turn", frames[-1]
        assert [name is None for name in named(world)] == [True, False, True]
        fault = Fault("error", at=3, error_type="not_found_error", message=words)
        world.simulator.script(Reply(blocks=(ReplyText("So."),), fault=fault))
        frames = await talk.turn("And now?", sessionId=session)
        assert words in frames[-1]["message"]
        frames = await talk.turn("And now?", sessionId=session)
        assert frames[-1].get("stopReason") == "end_turn", frames[-1]
        assert [name is None for name in named(world)][3:] == [False, True]


async def test_a_provider_that_fails_is_not_asked_without_the_container(tmp_path: Path) -> None:
    """A container that is in use is not what an error 500 is about."""
    async with open_world(tmp_path, retry_attempts=0) as world, world.talk() as talk:
        frames = await talk.turn("[[sim: code=on]] Go.", **CODE)
        session = frames[0]["sessionId"]
        frames = await talk.turn("[[sim: container=broken]] And now?", sessionId=session)
        assert frames[-1]["type"] == "error"
        assert None not in named(world)[1:]


async def answered(talk: Any, frames: list[Frame], request_id: str) -> list[Frame]:
    """The rest of a turn in which the client answers one call."""
    while not frames or frames[-1]["type"] != "tool.call":
        frames.append(await talk.hear())
    await talk.say("tool.output", toolCallId=frames[-1]["toolCallId"], content="high")
    return frames + list(await talk.rest(request_id))


@pytest.mark.parametrize("what", [None, "lost", "expired"])
async def test_a_tool_loop_names_the_container_of_its_first_answer(
    what: Any, tmp_path: Path
) -> None:
    """And goes on without it when it is gone by then."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        last = Reply(blocks=(ReplyText("So."),), container=what)
        world.simulator.script(Reply(blocks=(RUN, ToolUse("tide"))), last, last)
        request_id = await talk.say("chat.send", content="Go.", tools=TIDE, **CODE)
        frames = await answered(talk, [], request_id)
        assert frames[-1].get("stopReason") == "end_turn", frames[-1]
        gone = [True] if what else []
        assert [name is None for name in named(world)] == [True, False, *gone]
        again = await talk.turn("And now?", sessionId=frames[0]["sessionId"])
        assert again[-1]["stopReason"] == "end_turn"


@pytest.mark.parametrize("call", ["pauses", "waits"])
async def test_code_that_waits_is_taken_up_in_its_container(call: str, tmp_path: Path) -> None:
    """A request that has it is refused without one: here an earlier answer has told of it."""
    waiting = CodeExecution("await tide()", part="call")
    blocks = (waiting,) if call == "pauses" else (waiting, ToolUse("tide"))
    taken_up = Reply(blocks=(CodeExecution("await tide()", part="result"), ReplyText("So.")))
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=blocks), taken_up)
        request_id = await talk.say("chat.send", content="Go.", tools=TIDE, **CODE)
        if call == "pauses":
            frames = await talk.rest(request_id)
        else:
            frames = await answered(talk, [], request_id)
        assert frames[-1].get("stopReason") == "end_turn", frames[-1]
        assert [name is None for name in named(world)] == [True, False]


async def test_code_that_waits_in_a_container_that_is_gone_does_not_end_the_session(
    tmp_path: Path,
) -> None:
    """The turn fails, for the provider does not take it up anywhere else; the next one goes on."""
    waiting = Reply(blocks=(CodeExecution("await tide()", part="call"), ToolUse("tide")))
    async with open_world(tmp_path) as world, world.talk() as talk:
        gone = Reply(blocks=(ReplyText("So."),), container="expired")
        world.simulator.script(waiting, gone)
        request_id = await talk.say("chat.send", content="Go.", tools=TIDE, **CODE)
        frames = await answered(talk, [], request_id)
        assert frames[-1]["type"] == "error"
        again = await talk.turn("And now?", sessionId=frames[0]["sessionId"])
        assert again[-1].get("stopReason") == "end_turn", again[-1]


async def test_files_that_code_has_made_are_sources(tmp_path: Path) -> None:
    """With their id; each once, next to the urls that a search has found."""
    files = CodeExecution("plot", files=("file_1", "file_2"))
    found = WebSearch("tides", (("https://example.org/tides", "Tides"),))
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=(found, files, files, ReplyText("There."))))
        frames = await talk.turn("Plot.", serverTools=["web_search", "code_execution"])
        sources = [one["source"] for one in frames if one["type"] == "chat.stream.source"]
        assert [one.get("fileId") for one in sources] == [None, "file_1", "file_2"]
        assert sources[1]["url"] == "https://api.anthropic.com/v1/files/file_1/content"
        frames = await talk.turn("[[sim: code=on files=1]] Go.", **CODE)
        (source,) = [one["source"] for one in frames if one["type"] == "chat.stream.source"]
        assert source["fileId"] == "file_simulated_1"
