"""A tool that the provider has refused is not sent again, in any session, as long as it is so."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from trio.testing import MockClock

from actors.context.refused import MOST, RefusedTools
from actors.context.toolset import Toolset
from protocol.client import ModelList
from protocol.mail import LeaveOutTool
from protocol.tools import LeftOutTool, OfferedTool
from tests.actors.context.talk import Talk, declared
from tests.actors.fakes import World, open_world

MARK = LeftOutTool(name="brew", server="s", reason="it is odd")
BREW = OfferedTool(name="brew", description="Now.", input_schema={"type": "object"}, server="s")


def definition(name: str, description: str = "Now.", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "description": description,
        "input_schema": {"type": "object"},
        **more,
    }


async def refuse(world: World, tool: dict[str, Any]) -> None:
    """The provider refuses it."""
    await world.context_box.ask(LeaveOutTool(definition=msgspec.json.encode(tool), mark=MARK))


def names(talk: Talk) -> list[str]:
    """The tools of the latest request."""
    return [tool["name"] for tool in talk.body.get("tools", [])]


def test_a_refused_tool_is_left_out_of_a_toolset() -> None:
    """With its rule or its name; how a request had it does not matter."""
    refused = RefusedTools()
    tools = Toolset(
        definitions=[definition("brew"), definition("pour")],
        rules=[BREW.rule],
        client_names=["pour"],
    )
    assert refused.without(tools) is tools
    refused.add(definition("brew", cache_control={"type": "ephemeral"}), MARK)
    assert refused.without(tools) == Toolset(
        definitions=[definition("pour")], rules=[], client_names=["pour"]
    )
    refused.add(definition("pour"), MARK)
    assert refused.without(tools) == Toolset(definitions=[], rules=[], client_names=[])


def test_another_definition_is_another_tool() -> None:
    """It may be mended."""
    refused = RefusedTools()
    refused.add(definition("brew"), MARK)
    assert refused.any_of([definition("pour"), definition("brew")])
    assert not refused.any_of([definition("brew", "Later."), {"type": "x", "name": "brew"}])


def test_the_tools_of_other_names_are_not_looked_through() -> None:
    """Their schemas may have megabytes, and each turn asks."""
    refused = RefusedTools()
    refused.add(definition("brew"), MARK)
    large = {"enum": ["x" * 20] * 200_000}
    tools = Toolset(
        definitions=[definition(f"t{at}", input_schema=large) for at in range(20)],
        rules=[],
        client_names=[],
    )
    began = time.process_time()
    assert refused.without(tools) is tools
    assert time.process_time() - began < 0.05


def test_the_oldest_are_forgotten() -> None:
    """There is a bound."""
    refused = RefusedTools()
    for number in range(MOST + 1):
        refused.add(definition(f"t{number}"), MARK)
    assert not refused.any_of([definition("t0")])
    assert refused.any_of([definition("t1")])


def test_only_what_is_on_offer_now_is_marked() -> None:
    """A client's tools are no business of others."""
    refused = RefusedTools()
    assert refused.marks([BREW]) == []
    refused.add(definition("brew"), MARK)
    refused.add(definition("mine"), MARK)
    changed = msgspec.structs.replace(BREW, description="Later.")
    assert refused.marks([BREW, changed]) == [MARK]


async def test_no_later_request_has_it(autojump_clock: MockClock) -> None:
    """Neither of this session, whose question was not taken, nor of another."""
    async with open_world() as world:
        talk, other = Talk(world), Talk(world)
        tools = [declared("brew"), declared("pour")]
        await talk.begin("1", tools=tools)
        await refuse(world, definition("brew"))
        await talk.end(unsent="turn", restores=True)
        for one in (talk, other):
            await one.turn("2", tools=tools)
            assert names(one) == ["pour"]
            assert one.built is not None
            assert one.built.client_tools == ["pour"]
        await talk.turn("3", tools=[declared("brew", "Later.")])
        assert "Later." in str(talk.messages)


async def test_a_session_that_was_told_it_begins_anew_without_it(
    autojump_clock: MockClock,
) -> None:
    """What was sent first would be refused with every further request."""
    async with open_world() as world:
        talk = Talk(world)
        await talk.turn("1", tools=[declared("brew"), declared("pour")])
        await refuse(world, definition("brew"))
        await talk.turn("2")
        assert (names(talk), len(talk.heads)) == (["pour"], 2)
        await talk.turn("3")
        assert talk.goes_on
        assert await talk.is_as_stored()


async def test_whoever_asks_for_the_models_learns_what_is_left_out(
    autojump_clock: MockClock,
) -> None:
    """What a server could not have offered, and what the provider refused."""
    async with open_world() as world:
        listed = await world.context_box.ask(ModelList(id="1"))
        assert listed.tools_left_out is msgspec.UNSET
        world.tools.tools, world.tools.odd = [BREW], [MARK]
        await refuse(world, definition("brew"))
        listed = await world.context_box.ask(ModelList(id="1"))
        assert listed.tools_left_out == [MARK, MARK]
