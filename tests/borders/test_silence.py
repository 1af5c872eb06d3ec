"""Silence that is none: the model thinks, writes arguments, or has a tool of the provider's run.

Reported of other programs: arguments of 36,000 tokens are 330 s without content, and a program that
waits for 300 s fails every time (github/copilot-cli 4286, hydro-project/infinity 127). Thinking at
the highest effort opens its block at once, and then nothing but pings comes for more than 120 s
(Yeachan-Heo/gajae-code 4096), one about every 30 s (BerriAI/litellm 36024).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator import (
    CodeExecution,
    ErrorReply,
    Fault,
    Reply,
    ReplyText,
    ReplyThinking,
    SimulatorSettings,
    ToolUse,
)
from tests.support import Frame, Talk, World, open_world, text_of

TOOL = {"name": "write", "description": "Writes.", "inputSchema": {"type": "object"}}
WRITE = ToolUse("write", {"text": "a long text"})
RUN = CodeExecution("sleep 600", stdout="done")
THOUGHT = ReplyThinking("A long thought.")
WITHIN_A_BLOCK, BEFORE_THE_RESULT, AFTER_THE_RESULT = 4, 6, 8
BEFORE_THE_THOUGHT = 3


@asynccontextmanager
async def open_talk(tmp_path: Path, **settings: Any) -> AsyncIterator[tuple[World, Talk]]:
    """A gateway that waits 0.3 s for content, and a client of it."""
    provider = SimulatorSettings(ping_every=0.05)
    chosen = {"llm_idle_seconds": 0.3, "retry_attempts": 0, **settings}
    async with open_world(tmp_path, provider=provider, **chosen) as world, world.talk() as talk:
        yield world, talk


async def called(talk: Talk) -> Frame:
    """What comes of a turn: its call of a tool, or its end."""
    await talk.say("chat.send", content="Write!", tools=[TOOL])
    while (frame := await talk.hear())["type"] not in {"tool.call", "chat.stream.end", "error"}:
        pass
    return frame


async def test_arguments_that_come_late_are_waited_for(tmp_path: Path) -> None:
    """Three times as long as for any other content, and then the tool is called."""
    fault = Fault("pings", at=WITHIN_A_BLOCK, seconds=1.0)
    async with open_talk(tmp_path) as (world, talk):
        world.simulator.script(Reply(blocks=(WRITE,), fault=fault))
        call = await called(talk)
        assert (call["type"], call["args"]) == ("tool.call", WRITE.input)


@pytest.mark.parametrize("at", [BEFORE_THE_RESULT, AFTER_THE_RESULT])
async def test_a_tool_of_the_providers_that_runs_long_is_waited_for(
    tmp_path: Path, at: int
) -> None:
    """No block is open meanwhile, nor while the model makes something of the result."""
    fault = Fault("pings", at=at, seconds=1.0)
    async with open_talk(tmp_path) as (world, talk):
        reply = Reply(blocks=(RUN, ReplyText("It is done.")), fault=fault, chars=1_000)
        world.simulator.script(reply)
        frames = await talk.turn("Run!", serverTools=["code_execution"])
        assert frames[-1]["type"] == "chat.stream.end", frames[-1]
        assert text_of(frames) == "It is done."


@pytest.mark.parametrize("at", [BEFORE_THE_THOUGHT, WITHIN_A_BLOCK])
async def test_thinking_that_nobody_sees_is_waited_for(tmp_path: Path, at: int) -> None:
    """Its block opens, and the summary comes late or not at all."""
    fault = Fault("pings", at=at, seconds=1.0)
    async with open_talk(tmp_path) as (world, talk):
        world.simulator.script(Reply(blocks=(THOUGHT, ReplyText("So.")), fault=fault))
        frames = await talk.turn("Think!")
        assert frames[-1]["type"] == "chat.stream.end", frames[-1]
        assert text_of(frames) == "So."


@pytest.mark.parametrize("block", [WRITE, THOUGHT], ids=["arguments", "thinking"])
@pytest.mark.parametrize(
    ("kind", "settings"), [("stall", {}), ("noise", {}), ("pings", {"llm_tool_seconds": 0.6})]
)
async def test_true_silence_is_ended(
    tmp_path: Path, kind: Any, settings: dict[str, Any], block: Any
) -> None:
    """No pings come, or nothing but pings for longer than even such a tool may take."""
    async with open_talk(tmp_path, **settings) as (world, talk):
        world.simulator.script(Reply(blocks=(block,), fault=Fault(kind, at=WITHIN_A_BLOCK)))
        assert (await called(talk))["code"] == "LLM_TIMEOUT"


# --- arguments as they are written -------------------------------------------------------------

REFUSAL = "tools.0.custom.eager_input_streaming: Extra inputs are not permitted"


def refusing_what_it_does_not_know(body: Any) -> Reply | None:
    """A cloud or a proxy that checks each field."""
    if any("eager_input_streaming" in tool for tool in body.get("tools", ())):
        return Reply(failure=ErrorReply(400, message=REFUSAL))
    return None


async def test_arguments_are_asked_for_as_they_are_written(tmp_path: Path) -> None:
    """The provider would otherwise keep them until they are complete."""
    async with open_talk(tmp_path) as (world, talk):
        await talk.turn("Hello?", tools=[TOOL])
        assert world.sent()[0]["tools"][0]["eager_input_streaming"] is True


async def test_a_provider_that_does_not_know_that_is_asked_without_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once it has said so, never again (anthropics/claude-agent-sdk-python 694)."""
    async with open_talk(tmp_path) as (world, talk):
        world.simulator.script(refusing_what_it_does_not_know)
        frames = await talk.turn("Hello?", tools=[TOOL])
        assert frames[-1]["type"] == "chat.stream.end", frames[-1]
        again = await talk.turn("And?", sessionId=frames[0]["sessionId"])
        assert again[-1]["type"] == "chat.stream.end", again[-1]
        refused, *taken = (body["tools"][0] for body in world.sent())
        assert taken == [{k: v for k, v in refused.items() if k != "eager_input_streaming"}] * 2
        fields = {"sessionId": frames[0]["sessionId"], "content": "So?", "exact": True}
        inspection = await talk.ask("context.inspect", **fields)
        assert inspection["type"] == "context.inspection", inspection
    assert caplog.text.count("does not know `eager_input_streaming`") == 1
