"""The provider's prompt cache: what a growing conversation re-reads, and what that saves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator import Bill, Reply, ReplyText, ReplyThinking, calls, says, turn
from tests.support import Frame, Talk, World, open_world

LOOK = [{"name": "look", "description": "Looks it up.", "inputSchema": {"type": "object"}}]
MEMORY = "The user drinks tea. " * 300
PROSE = "Tea is what remains when water has thought about leaves for a while. "


def prefix(body: dict[str, Any]) -> list[str]:
    """The parts of a request in the order in which the provider reads them, markers aside."""
    parts = [*body.get("tools", []), *body.get("system", [])]
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        parts += [{"role": message["role"], **block} for block in blocks]
    for part in parts:
        part.pop("cache_control", None)
    return [json.dumps(part) for part in parts]


def assert_each_begins_with_the_former(bodies: Sequence[dict[str, Any]]) -> None:
    """To the byte: each request is the one before, and more behind it."""
    known: list[str] = []
    for body in bodies:
        parts = prefix(json.loads(json.dumps(body)))
        assert parts[: len(known)] == known
        assert len(parts) > len(known)
        known = parts


def input_cost(billed: Bill, *, cold: bool) -> Decimal:
    """USD for a prompt of claude-sonnet-5-5, as it was billed or, `cold`, without a cache."""
    usage: dict[str, int] = billed.usage
    read, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
    million = Decimal(1_000_000)
    if cold:
        return (usage["input_tokens"] + read + written) * Decimal(2) / million
    plain, more = usage["input_tokens"] * Decimal(2), written * Decimal("2.5")
    return (plain + more + read * Decimal("0.1")) / million


async def tool_turn(world: World, talk: Talk, session: str, number: int) -> Frame:
    """A turn with two calls at once, then a further one, answered by the client; its end."""
    thought = (ReplyThinking(f"I had better look {number} up."),)
    world.simulator.script(
        turn(
            calls(("look", {"n": number}), ("look", {"n": -number}), first=thought),
            calls(("look", {"again": number}), say="Once more."),
            says(PROSE * 3),
            when=f"Look {number}.",
        )
    )
    request_id = await talk.say("chat.send", content=f"Look {number}.", sessionId=session)
    while (heard := await talk.hear())["type"] not in ("chat.stream.end", "error"):
        assert heard["requestId"] == request_id
        if heard["type"] == "tool.call":
            call = heard["toolCallId"]
            await talk.say("tool.output", toolCallId=call, content=f"{number}: {PROSE * 2}")
    return heard


async def test_twenty_turns_are_read_again_and_never_paid_in_full_again(tmp_path: Path) -> None:
    """Text, thinking, tools with several steps and calls: no byte before the new ones changes.

    All that the former request had is read from the cache, and the prompts cost less than an
    eighth of what they would without one.
    """
    memory = tmp_path / "agents" / "default"
    memory.mkdir(parents=True)
    (memory / "memory.md").write_text(MEMORY)
    async with open_world(tmp_path) as world, world.talk() as talk:
        session = (await talk.ask("session.create"))["sessionId"]
        await talk.turn("Hello.", sessionId=session, tools=LOOK)
        for number in range(1, 20):
            if number % 3 == 0:
                end = await tool_turn(world, talk, session, number)
            else:
                thought = ReplyThinking(f"The user asks for the {number}th time.")
                world.simulator.script(Reply(blocks=(thought, ReplyText(PROSE * 5))))
                end = (await talk.turn(PROSE * 4, sessionId=session))[-1]
            assert end["type"] == "chat.stream.end"
        assert_each_begins_with_the_former(world.sent())
        billed = list(world.simulator.billed)
        assert len(billed) == 20 + 2 * 6
        before = 0
        for one in billed:
            usage = one.usage
            assert usage["cache_read_input_tokens"] == before
            before = usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
        cold = sum(input_cost(one, cold=True) for one in billed)
        paid = sum(input_cost(one, cold=False) for one in billed)
        assert paid < cold / 8
        report = await talk.ask("usage.query", sessionId=session)
        model = report["perModel"]["claude-sonnet-5-5"]
        output = sum(one.usage["output_tokens"] for one in billed) * Decimal(10) / 1_000_000
        assert Decimal(str(model["totalCost"])) == paid + output


async def interrupted(world: World, talk: Talk, session: str, how: str) -> None:
    """A turn that does not go well, or a gateway that is asked for something else."""
    match how:
        case "cancelled":
            world.simulator.script(Reply(blocks=(ReplyText(PROSE * 200),), rate=200))
            request_id = await talk.say("chat.send", content="Long?", sessionId=session)
            while (await talk.hear())["type"] != "chat.stream.delta":
                pass
            await talk.say("chat.cancel", requestId=request_id)
            await talk.rest(request_id)
        case "failed":
            world.simulator.script(Reply(blocks=(ReplyText("Tea is"),), stop_reason="refusal"))
            await talk.turn("Fail?", sessionId=session)
        case "inspected":
            await talk.ask("context.inspect", sessionId=session, content="?", exact=True)
        case "elsewhere":
            await talk.turn("Hello.")


@pytest.mark.parametrize("how", ["cancelled", "failed", "inspected", "elsewhere"])
async def test_what_comes_in_between_costs_nothing_of_the_prefix(how: str, tmp_path: Path) -> None:
    """The next request reads all that the last good one had."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        created = await talk.ask("session.create", system=PROSE * 100)
        session = created["sessionId"]
        await talk.turn(PROSE, sessionId=session)
        await talk.turn(PROSE, sessionId=session)
        last = world.simulator.billed[-1].usage
        await interrupted(world, talk, session, how)
        end = (await talk.turn("And?", sessionId=session))[-1]
        had = last["cache_read_input_tokens"] + last["cache_creation_input_tokens"]
        assert end["usage"]["inputDetails"]["cacheRead"] >= had


async def test_a_restart_changes_no_byte_of_the_prefix(tmp_path: Path) -> None:
    """What another gateway makes of the database is what the first one sent."""
    bodies = []
    for _ in range(2):
        async with open_world(tmp_path) as world, world.talk() as talk:
            listed = (await talk.ask("session.list"))["sessions"]
            session = listed[0]["sessionId"] if listed else None
            fields = {"sessionId": session} if session else {"tools": LOOK, "system": PROSE}
            frames = await talk.turn(PROSE, **fields)
            session = session or frames[0]["sessionId"]
            await tool_turn(world, talk, session, 1)
            bodies += world.sent()
    assert_each_begins_with_the_former(bodies)
