"""A call by a name that is no name, or with arguments that are no object, is not a session's end.

Public reports of the fault in other gateways: TanStack/ai 532, anomalyco/opencode 32614,
openclaw/openclaw 31625.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.simulator import Raw, Reply, ReplyText, ReplyThinking, ToolUse
from tests.support import Frame, Talk, World, open_world

SCHEMA = {"type": "object"}
TIDE = [{"name": "tide", "description": "Tides.", "inputSchema": SCHEMA}]


def named(name: str) -> list[dict[str, Any]]:
    """One tool of a client's."""
    return [{"name": name, "description": "Does it.", "inputSchema": SCHEMA}]


def only(frames: list[Frame], kind: str) -> list[Frame]:
    """The frames of one type."""
    return [frame for frame in frames if frame["type"] == kind]


async def goes_on(world: World, talk: Talk, frames: list[Frame]) -> None:
    """The provider takes the session's next message, with all that was said."""
    assert frames[-1].get("stopReason") == "end_turn", frames[-1]
    again = await talk.turn("And now?", sessionId=frames[0]["sessionId"])
    assert again[-1].get("stopReason") == "end_turn", again[-1]


BAD = {
    "blank in it": ToolUse("the tide"),
    "dotted": ToolUse("sea.tide", {"at": "Kiel"}),
    "empty": ToolUse(""),
    "long": ToolUse("tide" * 100),
    "odd letters": ToolUse("Gezeiten_für_Kiel"),
    "a list": ToolUse("tide", text='["Kiel"]'),
    "a number": ToolUse("tide", text="7"),
    "broken": ToolUse("tide", text='{"at": "Ki'),
    "no JSON": ToolUse("tide", text="Kiel, please"),
    "unknown": ToolUse("ebb", {"at": "Kiel"}),
}


@pytest.mark.parametrize("thinking", ["auto", "off"])
@pytest.mark.parametrize("call", BAD.values(), ids=BAD.keys())
async def test_the_model_is_told_what_is_wrong_with_its_call(
    call: ToolUse, thinking: str, tmp_path: Path
) -> None:
    """The client is not asked to run it; turn and session go on."""
    thought = (ReplyThinking("Hm."),) if thinking == "auto" else ()
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(
            Reply(blocks=(*thought, ReplyText("I look."), call)), Reply(blocks=(ReplyText("So."),))
        )
        frames = await talk.turn("Tide?", tools=TIDE, thinking=thinking)
        (shown,), (error,) = only(frames, "tool.call"), only(frames, "tool.error")
        assert "clientSide" not in shown
        (result,) = world.sent()[-1]["messages"][-1]["content"]
        assert (result["content"], result["is_error"]) == (error["error"], True)
        await goes_on(world, talk, frames)


@pytest.mark.parametrize("directive", ["tool=sea.tide", "tool=tide arguments=[7]"])
async def test_the_simulator_calls_so_when_it_is_told_to(directive: str, tmp_path: Path) -> None:
    """For the tests of other clients; a call of an odd id is run."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        frames = await talk.turn(f"[[sim: {directive} call_id=a:b]] Tide?", tools=TIDE)
        (error,) = only(frames, "tool.error")
        assert "Nothing was run." in error["error"]
        await goes_on(world, talk, frames)


async def test_a_good_call_next_to_a_bad_one_is_run(tmp_path: Path) -> None:
    """Also when the model thought in between: what no longer fits, the provider leaves out."""
    blocks = (
        ReplyThinking("First."),
        ToolUse("sea.tide"),
        ReplyThinking("Then."),
        ToolUse("tide", {"at": "Cork"}),
    )
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=blocks), Reply(blocks=(ReplyText("High."),)))
        request_id = await talk.say("chat.send", content="Tide?", tools=TIDE)
        frames = [await talk.hear()]
        while not frames[-1].get("clientSide"):
            frames.append(await talk.hear())
        await talk.say("tool.output", toolCallId=frames[-1]["toolCallId"], content="high")
        frames += await talk.rest(request_id)
        results = world.sent()[-1]["messages"][-1]["content"]
        assert [block["content"] for block in results][1:] == ["high"]
        assert "sea.tide" in results[0]["content"]
        await goes_on(world, talk, frames)


@pytest.mark.parametrize("call_id", ["functions.tide:0", "", "x" * 80, "call_0"])
async def test_calls_with_odd_or_doubled_ids_are_run(call_id: str, tmp_path: Path) -> None:
    """Two of one id in an answer, and again in the next turn, as some gateways number them."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        session: dict[str, Any] = {}
        frames: list[Frame] = []
        for _ in range(2):
            twice = (ToolUse("tide", {"at": "Kiel"}, call_id), ToolUse("tide", {}, call_id))
            world.simulator.script(Reply(blocks=twice), Reply(blocks=(ReplyText("So."),)))
            request_id = await talk.say("chat.send", content="Tide?", tools=TIDE, **session)
            frames = [await talk.hear()]
            while len(only(frames, "tool.call")) < 2:
                frames.append(await talk.hear())
            ids = [call["toolCallId"] for call in only(frames, "tool.call")]
            assert len(set(ids)) == 2
            for one in ids:
                await talk.say("tool.output", toolCallId=one, content=f"For {one}.")
            frames += await talk.rest(request_id)
            assert frames[-1].get("stopReason") == "end_turn", frames[-1]
            answered = world.sent()[-1]["messages"][-1]["content"]
            assert [block["content"] for block in answered] == [f"For {one}." for one in ids]
            session = {"sessionId": frames[0]["sessionId"]}
        await goes_on(world, talk, frames)


OWN = ["web_search", "code_execution", "bash_code_execution", "text_editor_code_execution"]


@pytest.mark.parametrize("name", OWN)
async def test_a_name_of_the_providers_own_tools_is_taken(name: str, tmp_path: Path) -> None:
    """In one message, and for a session that has the provider's already: refused by name."""
    servers = ["web_search", "code_execution"]
    async with open_world(tmp_path) as world, world.talk() as talk:
        refused = await talk.turn("Hi.", tools=named(name), serverTools=servers)
        assert (refused[-1]["code"], name in refused[-1]["message"]) == ("INVALID_MESSAGE", True)
        frames = await talk.turn("Hi.", serverTools=servers)
        session = frames[0]["sessionId"]
        refused = await talk.turn("Hi.", sessionId=session, tools=named(name))
        assert (refused[-1]["code"], name in refused[-1]["message"]) == ("INVALID_MESSAGE", True)
        assert len(world.sent()) == 1
        await goes_on(world, talk, frames)


@pytest.mark.parametrize("name", OWN)
async def test_nor_does_the_provider_get_a_second_tool_of_a_clients_name(
    name: str, tmp_path: Path
) -> None:
    """In the other order, over several turns; once the client's is gone, the name is free."""
    servers = ["web_search", "code_execution"]
    async with open_world(tmp_path) as world, world.talk() as talk:
        frames = await talk.turn("Hi.", tools=named(name))
        session = frames[0]["sessionId"]
        refused = await talk.turn("Hi.", sessionId=session, serverTools=servers)
        assert (refused[-1]["code"], name in refused[-1]["message"]) == ("INVALID_MESSAGE", True)
        assert len(world.sent()) == 1
        await goes_on(world, talk, frames)
        later: list[dict[str, Any]] = [{"tools": [], "serverTools": servers}, {"serverTools": []}]
        for fields in later:
            frames = await talk.turn("Hi.", sessionId=session, **fields)
            assert frames[-1].get("stopReason") == "end_turn", frames[-1]


async def test_nobody_elses_tool_reads_skills(tmp_path: Path) -> None:
    """An agent may get a skill at any time, and then there is one."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        refused = await talk.turn("Hi.", tools=named("read_skill"))
        assert (refused[-1]["code"], world.sent()) == ("INVALID_MESSAGE", [])


USE: dict[str, Any] = {
    "type": "server_tool_use",
    "id": "srvtoolu_1",
    "name": "web_search",
    "input": {"query": "tides"},
}
FOUND: dict[str, Any] = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [],
}
ODD = {
    "no name": [{**USE, "name": ""}, FOUND],
    "a name with a blank": [{**USE, "name": "web search"}, FOUND],
    "an odd id": [{**USE, "id": "a b"}, {**FOUND, "tool_use_id": "a b"}],
    "a result without its use": [FOUND],
    "two results": [USE, FOUND, FOUND],
    "a result before its use": [FOUND, USE],
    "a result of another id": [USE, {**FOUND, "tool_use_id": "srvtoolu_2"}, FOUND],
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
async def test_odd_uses_of_the_providers_own_tools_are_not_sent_back(
    odd: list[dict[str, Any]], tmp_path: Path
) -> None:
    """The tool loop goes on, and so does the session."""
    blocks: tuple[Raw | ReplyText | ToolUse, ...]
    blocks = (*map(Raw, odd), ReplyText("I look."), ToolUse("sea.tide"))
    fields: dict[str, Any] = {"tools": TIDE, "serverTools": ["web_search"], "thinking": "off"}
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=blocks), Reply(blocks=(ReplyText("So."),)))
        frames = await talk.turn("Tide?", **fields)
        await goes_on(world, talk, frames)
