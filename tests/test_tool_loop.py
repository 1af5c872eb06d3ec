"""Tools from outside: a foreign client, the gateway, a provider that checks what it is sent."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.mcp.settings import McpServer
from gateway.simulator import (
    Reply,
    ReplyText,
    ReplyThinking,
    WebSearch,
    calls,
    cite,
    results_for,
    says,
    turn,
)
from tests.support import Frame, Talk, World, open_world, text_of

TIDE = [{"name": "tide", "description": "Tides.", "inputSchema": {"type": "object"}}]


def only(frames: list[Frame], kind: str) -> list[Frame]:
    """The frames of one type."""
    return [frame for frame in frames if frame["type"] == kind]


async def hear_until(talk: Talk, kind: str) -> list[Frame]:
    """The frames up to the first of this type."""
    frames = [await talk.hear()]
    while frames[-1]["type"] != kind:
        frames.append(await talk.hear())
    return frames


async def test_a_client_runs_its_own_tools(tmp_path: Path) -> None:
    """Two calls side by side, answered in another order; the model quotes both."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(
            turn(calls(("tide", {"at": "Kiel"}), ("tide", {"at": "Cork"})), says("So: {tide}"))
        )
        request_id = await talk.say("chat.send", content="Tide?", tools=TIDE)
        frames = await hear_until(talk, "tool.call")
        frames.append(await talk.expect("tool.call"))
        first, second = only(frames, "tool.call")
        assert (first["args"], first["clientSide"]) == ({"at": "Kiel"}, True)
        await talk.say("tool.output", toolCallId=second["toolCallId"], content="high")
        await talk.say("tool.output", toolCallId=first["toolCallId"], content="low")
        frames += await talk.rest(request_id)
        end = frames[-1]
        assert end["stopReason"] == "end_turn"
        assert [step["stopReason"] for step in end["steps"]] == ["tool_use", "end_turn"]
        results = world.sent()[-1]["messages"][-1]["content"]
        assert [block["content"] for block in results] == ["low", "high"]
        billed = [request.usage for request in world.simulator.billed]
        assert end["usage"]["outputTokens"] == sum(usage["output_tokens"] for usage in billed)


@pytest.mark.parametrize("thinking", ["auto", "off"])
@pytest.mark.parametrize("model", ["claude-sonnet-5-5", "claude-haiku-4-5", "claude-opus-4-6"])
async def test_a_cancel_between_call_and_result_leaves_a_usable_session(
    model: str, thinking: str, tmp_path: Path
) -> None:
    """The provider takes the next message: every call has its result.

    Nor does it matter whether the model was to think before: an older one cannot begin behind it.
    """
    thought = (ReplyThinking("Hm."),) if thinking == "auto" else ()
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(
            turn(calls(("tide", {}), first=thought), says("{tide}"), when="Tide?")
        )
        fields = {"model": model, "tools": TIDE, "thinking": thinking}
        request_id = await talk.say("chat.send", content="Tide?", **fields)
        frames = await hear_until(talk, "tool.call")
        await talk.say("chat.cancel", requestId=request_id)
        assert (await talk.rest(request_id))[-1]["stopReason"] == "cancelled"
        for message in ("Never mind.", "And now?"):
            again = await talk.turn(message, sessionId=frames[0]["sessionId"])
            assert again[-1]["stopReason"] == "end_turn"


def time_server(approval: Any) -> tuple[McpServer, ...]:
    """A server of the registry, as `config.toml` would name it."""
    arguments = ("-m", "mcp_server_time", "--local-timezone", "UTC")
    return (McpServer(name="clock", command=sys.executable, args=arguments, approval=approval),)


ASKED = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}


async def ready(world: World, talk: Talk) -> None:
    """Wait until the server's tools are on offer."""
    created = await talk.ask("session.create")
    with trio.fail_after(30):
        while True:
            seen = await talk.ask("context.inspect", sessionId=created["sessionId"])
            tools = next(one for one in seen["sections"] if one["name"] == "tools")
            if "clock__convert_time" in tools["content"]:
                return
            await trio.sleep(0.05)


async def ask_for_noon(world: World, talk: Talk) -> tuple[str, list[Frame]]:
    """A question that takes the server's tool: its id, and its frames up to the one for consent."""
    await ready(world, talk)
    world.simulator.script(
        turn(calls(("clock__convert_time", ASKED)), says("{clock__convert_time}"))
    )
    request_id = await talk.say("chat.send", content="When is noon in Tokyo?")
    return request_id, await hear_until(talk, "tool.approval.request")


async def test_a_server_of_the_registry_answers_the_model(tmp_path: Path) -> None:
    """Started, listed, asked for consent, called, and its answer quoted."""
    servers = time_server("session")
    async with open_world(tmp_path, mcp_servers=servers) as world, world.talk() as talk:
        request_id, frames = await ask_for_noon(world, talk)
        asked = frames[-1]
        assert (asked["toolName"], asked["args"]) == ("clock__convert_time", ASKED)
        await talk.say(
            "tool.approval.response",
            toolCallId=asked["toolCallId"],
            approved=True,
            sessionApprove=True,
        )
        frames += await talk.rest(request_id)
        (result,) = only(frames, "tool.result")
        assert json.loads(result["result"])["target"]["datetime"].endswith("21:00:00+09:00")
        assert "21:00:00" in text_of(frames)
        world.simulator.script(turn(calls(("clock__convert_time", ASKED)), says("Again.")))
        again = await talk.turn("Again?", sessionId=frames[0]["sessionId"])
        assert only(again, "tool.approval.request") == []
        assert len(only(again, "tool.result")) == 1


async def test_a_denied_call_never_reaches_the_server(tmp_path: Path) -> None:
    """The model is told."""
    servers = time_server("always")
    async with open_world(tmp_path, mcp_servers=servers) as world, world.talk() as talk:
        request_id, frames = await ask_for_noon(world, talk)
        asked = frames[-1]
        await talk.say("tool.approval.response", toolCallId=asked["toolCallId"], approved=False)
        frames = await talk.rest(request_id)
        assert only(frames, "tool.result") == []
        assert text_of(frames) == "The user does not allow this call."


async def test_a_skill_is_read_when_it_is_needed(tmp_path: Path) -> None:
    """Listed by name and description; its body comes with the call, without asking anybody."""
    skill = tmp_path / "agents" / "default" / "skills" / "knots"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text(
        "---\nname: knots\ndescription: How to tie knots.\n---\nA bowline: the rabbit…\n"
    )
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(turn(calls(("read_skill", {"name": "knots"})), says("Read.")))
        frames = await talk.turn("Tie a bowline.")
        (result,) = only(frames, "tool.result")
        assert "the rabbit" in result["result"]
        assert "the rabbit" not in json.dumps(world.sent()[0])


async def test_the_providers_own_search_is_billed_and_its_sources_are_shown(
    tmp_path: Path,
) -> None:
    """Switched on by the request; each source once; searches are part of the cost."""
    found = results_for("tides", 2)
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=(WebSearch("tides", found), cite("They rise.", found))))
        frames = await talk.turn("Tides?", serverTools=["web_search"])
        assert world.sent()[0]["tools"][0]["type"] == "web_search_20260318"
        assert len(only(frames, "chat.stream.source")) == 2
        end = frames[-1]
        assert end["usage"]["webSearches"] == 1
        assert Decimal(str(end["cost"]["totalCost"])) > Decimal("0.01")


async def test_a_search_that_pauses_goes_on_in_the_same_turn(tmp_path: Path) -> None:
    """And the next message is accepted with what it left in the history."""
    found = results_for("tides", 2)
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(
            Reply(blocks=(WebSearch("tides", part="call"),)),
            Reply(blocks=(WebSearch("tides", found, part="result"), ReplyText("They rise."))),
        )
        frames = await talk.turn("Tides?", serverTools=["web_search"])
        assert (frames[-1]["stopReason"], text_of(frames)) == ("end_turn", "They rise.")
        assert len(frames[-1]["steps"]) == 2
        again = await talk.turn("And?", sessionId=frames[0]["sessionId"])
        assert again[-1]["stopReason"] == "end_turn"
        roles = [message["role"] for message in world.sent()[-1]["messages"]]
        assert roles == ["user", "assistant", "assistant", "user"]


async def test_who_thinks_within_a_budget_does_so_once_a_turn(tmp_path: Path) -> None:
    """Its later calls come without a thought, and the next message may ask for a budget again."""
    first = (ReplyThinking("I had better look."),)
    async with open_world(tmp_path, max_steps=3) as world, world.talk() as talk:
        steps = [calls(("tide", {"n": n}), first=first if n == 1 else ()) for n in (1, 2, 3)]
        world.simulator.script(turn(*steps, when="Tide?"))
        request_id = await talk.say(
            "chat.send", content="Tide?", model="claude-haiku-4-5", tools=TIDE
        )
        frames: list[Frame] = []
        for _ in range(2):
            frames += await hear_until(talk, "tool.call")
            await talk.say("tool.output", toolCallId=frames[-1]["toolCallId"], content="low")
        frames += await talk.rest(request_id)
        assert frames[-1]["stopReason"] == "max_steps"
        world.simulator.script(Reply(blocks=(ReplyText("Low."),)))
        again = await talk.turn(
            "So?", sessionId=frames[0]["sessionId"], thinking={"budgetTokens": 2_000}
        )
        assert again[-1]["stopReason"] == "end_turn"
        assert world.sent()[-1]["thinking"] == {"type": "enabled", "budget_tokens": 2_000}
