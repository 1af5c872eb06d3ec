"""The process is killed in the middle of turns: what the provider had is what it gets again.

`AGENTSPACE_COURSES=100` kills so often, and at other moments.
"""

from __future__ import annotations

import os
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import trio
from websockets.exceptions import ConnectionClosed

from gateway.simulator import Reply, ReplyText, ReplyThinking, ToolUse, open_simulator
from tests.child import Child, open_child
from tests.courses.bodies import Sent, thinking_in
from tests.courses.provider import Exchange, Provider
from tests.courses.replies import tide
from tests.support import SECONDS, TERMINAL, Frame, Talk

MORE = int(os.environ.get("AGENTSPACE_COURSES", "0"))
KILLS = MORE or 3
LONGEST = 0.7
"""Seconds of a turn before the gateway is killed."""
STEPS = 3
RATE = 150.0
"""Events a second: a turn takes about as long as the longest wait before a kill."""


def steps(number: int) -> list[Reply]:
    """Answers that call the client's tool, each behind a thought, and one that does not."""
    calling = [
        Reply(
            blocks=(
                ReplyThinking(f"Thought {number}.{step}: ask for the tide once more."),
                ReplyText("I ask."),
                ToolUse("tide", {"at": f"Kiel {step}"}),
            ),
            rate=RATE,
            flush=1,
        )
        for step in range(STEPS)
    ]
    said = (ReplyThinking(f"Thought {number}: that is all."), ReplyText("High water is at noon."))
    return [*calling, Reply(blocks=said, rate=RATE, flush=1)]


async def converse(talk: Talk, **fields: Any) -> Frame:
    """A turn whose calls are answered; its end."""
    await talk.say("chat.send", **fields)
    while (heard := await talk.hear())["type"] not in TERMINAL:
        if heard["type"] == "tool.call":
            await talk.say("tool.output", toolCallId=heard["toolCallId"], content="High.")
    return heard


async def stored(child: Child, session: str, messages: int) -> None:
    """Wait until the session has so many messages."""
    async with child.talk() as talk:
        with trio.fail_after(SECONDS):
            while True:
                page = await talk.ask("session.history", sessionId=session)
                if len(page["messages"]) == messages:
                    return
                await trio.sleep(0.02)


async def kill_in_a_turn(
    child: Child, provider: Provider, session: str, number: int, moment: float
) -> None:
    """A turn with tools, and the gateway is killed so many seconds after it was asked for."""
    provider.arrange(*steps(number))
    async with child.talk() as talk, trio.open_nursery() as nursery:

        async def speak() -> None:
            with suppress(ConnectionClosed):
                await converse(talk, id=f"k{number}", content=f"Tide {number}?", sessionId=session)

        nursery.start_soon(speak)
        await trio.sleep(moment)
        child.kill()
    with trio.fail_after(SECONDS):
        await provider.simulator.wait_idle()
    provider.arrange()


def check_begins_with(former: Exchange, later: Exchange) -> None:
    """The later request has all that the former had, to the byte, and its thinking fits."""
    assert not Sent.of(later.body).departs_from(Sent.of(former.body))
    had, has = (thinking_in(one.body["messages"]) for one in (former, later))
    assert has[: len(had)] == had
    assert later.is_accepted
    assert not later.dropped


async def test_a_killed_gateway_sends_again_what_it_had_sent(tmp_path: Path) -> None:
    """Killed at any moment of a turn with tools, again and again, in one session.

    The message after the restart begins with the last request before, and is answered.
    """
    chance = random.Random(KILLS if MORE else 0)
    async with open_simulator() as simulator:
        provider = Provider(simulator)
        async with open_child(tmp_path, simulator) as child:
            async with child.talk() as talk:
                session = (await talk.ask("session.create"))["sessionId"]
                await converse(talk, id="first", content="Hi.", sessionId=session, tools=tide())
            await kill_in_a_turn(child, provider, session, 0, chance.uniform(0, LONGEST))
        for number in range(1, KILLS + 1):
            former = provider.accepted[-1]
            async with open_child(tmp_path, simulator) as child:
                async with child.talk() as talk:
                    end = await converse(talk, id=f"n{number}", content="And?", sessionId=session)
                assert end["type"] == "chat.stream.end", end
                check_begins_with(former, provider.exchanges[-1])
                moment = chance.uniform(0, LONGEST)
                await kill_in_a_turn(child, provider, session, number, moment)


async def test_what_a_killed_gateway_had_called_is_told_to_the_model(tmp_path: Path) -> None:
    """Killed while the client's tool runs: it may have had its effect."""
    async with open_simulator() as simulator:
        provider = Provider(simulator)
        provider.arrange(*steps(1))
        async with open_child(tmp_path, simulator) as child, child.talk() as talk:
            session = (await talk.ask("session.create"))["sessionId"]
            await talk.say("chat.send", id="1", content="Tide?", sessionId=session, tools=tide())
            while (await talk.hear())["type"] != "tool.call":
                pass
            await stored(child, session, messages=2)
            child.kill()
        provider.arrange()
        async with open_child(tmp_path, simulator) as child, child.talk() as talk:
            end = await converse(talk, id="2", content="And?", sessionId=session)
        assert end["type"] == "chat.stream.end", end
        check_begins_with(*provider.accepted)
        said = [one for one in provider.accepted[-1].body["messages"] if one["role"] != "system"]
        _, called, told, instead, asked = said
        assert [block["type"] for block in called["content"]] == ["thinking", "text", "tool_use"]
        (result,) = told["content"]
        assert result["tool_use_id"] == called["content"][-1]["id"]
        assert result["is_error"]
        assert "may have had its effect" in str(result["content"])
        assert [one["role"] for one in said] == ["user", "assistant"] * 2 + ["user"]
        assert "no answer" in str(instead["content"])
        assert "And?" in str(asked["content"])
