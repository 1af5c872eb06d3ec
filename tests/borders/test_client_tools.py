"""A client is asked to run its tool when the model's answer stands, and never before.

Public reports of the fault in other gateways: MadAppGang/claudish 246,
OpenRouterTeam/typescript-agent 125, strands-agents/harness-sdk 4309.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.simulator import Fault, Reply, ReplyText, ReplyThinking, ToolUse
from tests.support import Frame, Talk, World, open_world

MAIL = [{"name": "send_mail", "description": "Sends a mail.", "inputSchema": {"type": "object"}}]
CALL = ToolUse("send_mail", {"to": "ann@example.org", "text": "I will be late."})
BLOCKS = (ReplyThinking("Hm."), ReplyText("I write to her."), CALL)
NOT_RUN = "This tool was not run."


def only(frames: list[Frame], kind: str) -> list[Frame]:
    """The frames of one type."""
    return [frame for frame in frames if frame["type"] == kind]


def results(world: World) -> list[str]:
    """What the last request says that the model's calls brought."""
    blocks = [block for message in world.sent()[-1]["messages"] for block in message["content"]]
    return [block["content"] for block in blocks if block["type"] == "tool_result"]


async def went_on(world: World, talk: Talk, frames: list[Frame]) -> list[str]:
    """The session's next message is answered; what it tells the model of its calls."""
    again = await talk.turn("And now?", sessionId=frames[0]["sessionId"])
    assert again[-1]["stopReason"] == "end_turn", again[-1]
    return results(world)


@pytest.mark.parametrize("kind", ["reset", "truncate", "end", "error"])
async def test_nothing_is_shown_of_a_call_when_its_answer_breaks_off(
    kind: Any, tmp_path: Path
) -> None:
    """The call was whole; the model is told that nobody ran it."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=BLOCKS, flush=1, fault=Fault(kind, at=-2)))
        frames = await talk.turn("Tell Ann.", tools=MAIL)
        assert frames[-1]["type"] == "error"
        assert only(frames, "tool.call") == []
        assert await went_on(world, talk, frames) == [NOT_RUN]


async def test_nothing_is_shown_of_a_call_that_is_cut(tmp_path: Path) -> None:
    """Here the connection ends inside its arguments: it is no call at all."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=BLOCKS, chars=4, flush=1, fault=Fault("reset", at=-5)))
        frames = await talk.turn("Tell Ann.", tools=MAIL)
        assert frames[-1]["type"] == "error"
        assert only(frames, "tool.call") == []
        assert await went_on(world, talk, frames) == []


async def test_a_call_that_max_tokens_cuts_is_not_run(tmp_path: Path) -> None:
    """The provider closes its block all the same, with half of the arguments in it."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        answer = (ReplyText("I write to her."), ToolUse("send_mail", {"text": "late " * 100}))
        world.simulator.script(Reply(blocks=answer, limits=True))
        frames = await talk.turn("Tell Ann.", tools=MAIL, maxTokens=50)
        assert frames[-1]["stopReason"] == "max_tokens"
        assert only(frames, "tool.call") == []
        await went_on(world, talk, frames)


STOPS = ["end_turn", "stop_sequence", "max_tokens", "model_context_window_exceeded", "refusal"]


@pytest.mark.parametrize("stop", STOPS)
async def test_a_whole_call_is_run_for_the_stop_reason_tool_use_alone(
    stop: str, tmp_path: Path
) -> None:
    """What a batch of calls lacks nobody knows. What the model refused, it does not get again."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=BLOCKS, stop_reason=stop))
        frames = await talk.turn("Tell Ann.", tools=MAIL)
        assert frames[-1]["stopReason"] == stop
        assert only(frames, "tool.call") == []
        assert await went_on(world, talk, frames) == ([] if stop == "refusal" else [NOT_RUN])


async def test_a_pause_with_a_call_goes_on_without_it(tmp_path: Path) -> None:
    """The provider's page says that there is no such answer; the model may call again."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=BLOCKS, stop_reason="pause_turn"))
        frames = await talk.turn("Tell Ann.", tools=MAIL)
        assert only(frames, "tool.call") == []
        assert results(world) == [NOT_RUN]
        assert frames[-1]["stopReason"] == "end_turn"


@pytest.mark.parametrize("how", ["cancelled", "budget"])
async def test_nothing_is_shown_of_a_call_when_the_gateway_stops_the_answer(
    how: str, tmp_path: Path
) -> None:
    """Here text follows the call, and the answer does not come to its end."""
    rest = ReplyText("So that is that. " * (5 if how == "cancelled" else 5_000))
    stalls = Fault("stall", at=-3) if how == "cancelled" else None
    limit = {} if how == "cancelled" else {"maxCost": 0.05}
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=(*BLOCKS, rest), flush=1, fault=stalls))
        request_id = await talk.say("chat.send", content="Tell Ann.", tools=MAIL, **limit)
        frames = [await talk.hear()]
        while "So that" not in frames[-1].get("delta", ""):
            frames.append(await talk.hear())
        if how == "cancelled":
            await talk.say("chat.cancel", requestId=request_id)
        frames += await talk.rest(request_id)
        assert frames[-1]["stopReason"] == how
        assert only(frames, "tool.call") == []
        assert await went_on(world, talk, frames) == [NOT_RUN]


async def test_a_client_is_asked_when_the_answer_stands(tmp_path: Path) -> None:
    """The last text comes first, then the call; what the client answers is what the model gets."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        gate = trio.Event()
        blocks = (*BLOCKS, ReplyText("Done soon."))
        held = Fault("unknown_event", at=-2)
        world.simulator.script(Reply(blocks=blocks, flush=1, fault=held, gate=gate))
        request_id = await talk.say("chat.send", content="Tell Ann.", tools=MAIL)
        frames = [await talk.hear()]
        while "soon" not in frames[-1].get("delta", ""):
            frames.append(await talk.hear())
        assert only(frames, "tool.call") == []
        gate.set()
        call = await talk.expect("tool.call")
        assert (call["args"], call["clientSide"]) == (CALL.input, True)
        await talk.say("tool.output", toolCallId=call["toolCallId"], content="Sent.")
        await talk.rest(request_id)
        assert results(world) == ["Sent."]
