"""The figures of `gateway.status`, as a client gets them: read from the state, never constants."""

from __future__ import annotations

from pathlib import Path

import trio

from gateway.simulator import Reply, ReplyText, ToolUse
from tests.support import Frame, Talk, open_world, status_when


async def begin(talk: Talk, content: str) -> Frame:
    """Send, and wait for the first text; the start's frame."""
    await talk.say("chat.send", content=content)
    while (frame := await talk.hear())["type"] != "chat.stream.start":
        pass
    while (await talk.hear())["type"] != "chat.stream.delta":
        pass
    return frame


def is_alone(status: Frame) -> bool:
    """Whether the asker is the only client."""
    return bool(status["connections"] == 1)


async def test_a_turn_without_its_client_is_counted_as_detached(tmp_path: Path) -> None:
    """With its bytes, until somebody takes it up again or it is over; its log stays a while."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        async with world.talk() as leaving:
            start = await begin(leaving, "[[sim: count=100000 rate=100 chars=50]]")
            watched = await talk.ask("gateway.status")
            assert (watched["logs"], watched["detachedLogs"]) == (1, 0)
            assert watched["detachedLogBytes"] == 0 < watched["logBytes"]
        alone = await status_when(talk, is_alone)
        assert (alone["logs"], alone["detachedLogs"]) == (1, 1)
        assert alone["detachedLogBytes"] == alone["logBytes"] >= watched["logBytes"]
        async with world.talk() as other:
            resumed = await other.say("chat.resume", turnId=start["turnId"])
            assert (await talk.ask("gateway.status"))["detachedLogs"] == 0
            await other.say("chat.cancel", turnId=start["turnId"])
            await other.rest(resumed)
        over = await status_when(talk, is_alone)
        assert (over["logs"], over["detachedLogs"], over["detachedLogBytes"]) == (1, 0, 0)


async def test_every_state_of_a_turn_is_named(tmp_path: Path) -> None:
    """Also those in which there is none."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        status = await talk.ask("gateway.status")
    assert status["turns"] == dict.fromkeys(
        ("admitted", "assembling", "streaming", "awaiting_tools", "settling"), 0
    )


async def test_an_open_row_has_an_age_until_it_is_settled(tmp_path: Path) -> None:
    """It grows with the turn, and is 0 afterwards."""
    async with open_world(tmp_path) as world, world.talk() as talk, world.talk() as other:
        start = await begin(talk, "[[sim: count=100000 rate=100]]")
        began = trio.current_time()
        ages = [(await other.ask("gateway.status"))["oldestOpenRowSeconds"]]
        await trio.sleep(0.3)
        ages.append((await other.ask("gateway.status"))["oldestOpenRowSeconds"])
        assert 0.2 < ages[1] - ages[0] <= trio.current_time() - began + 0.01
        await other.say("chat.cancel", turnId=start["turnId"])
        while (await talk.hear())["type"] != "chat.stream.end":
            pass
        assert (await other.ask("gateway.status"))["oldestOpenRowSeconds"] == 0


async def test_of_the_connections_mailboxes_the_deepest_is_shown(tmp_path: Path) -> None:
    """Beside the residents'; nothing waits in that of a client whose messages are all taken."""
    async with open_world(tmp_path, mailbox_size=7) as world, world.talk() as talk:
        mailboxes = (await talk.ask("gateway.status"))["mailboxes"]
    assert set(mailboxes) == {"usage", "context", "llm", "connections"}
    assert mailboxes["connections"] == {"waiting": 0, "size": 7}


async def test_a_tool_call_weighs_what_its_arguments_weigh(tmp_path: Path) -> None:
    """So that the bound on kept logs holds for them as for text."""
    tools = [{"name": "draw", "description": "Draws.", "inputSchema": {"type": "object"}}]
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(
            Reply(blocks=(ReplyText("So."), ToolUse("draw", {"d": "x" * 50_000})))
        )
        request_id = await talk.say("chat.send", content="Draw", tools=tools)
        while (frame := await talk.hear())["type"] != "tool.call":
            pass
        await talk.say("tool.output", toolCallId=frame["toolCallId"], content="Drawn.")
        await talk.rest(request_id)
        assert 50_000 < (await talk.ask("gateway.status"))["logBytes"] < 60_000
