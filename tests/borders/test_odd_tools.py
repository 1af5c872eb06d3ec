"""One tool that the provider would refuse harms nobody.

Reported of other programs: one MCP server with `anyOf` at the top of a schema, with a property
called `filter[id]` or `$top`, or with a bound of JSON Schema's draft 4, and every request of every
session is a 400 from then on (anthropics/claude-code 5319, beautyfree/appstore-connect-mcp 2,
ComposioHQ/composio 3500, Dokploy/mcp 74).
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator import Reply, calls, says, turn
from protocol.provider.tool_schema import fit
from tests.support import Frame, open_world, text_of
from tests.tiny_mcp import Tiny, tool, tools_when_up

EITHER = {
    "type": "object",
    "properties": {"url": {"type": "string"}, "path": {"type": "string"}},
    "oneOf": [{"required": ["url"]}, {"required": ["path"]}],
}
FILTER = {
    "type": "object",
    "properties": {
        "filter[id]": {"type": "string"},
        "items": {"type": "array", "items": {"properties": {"@odata.type": {}, "x" * 70: {}}}},
    },
    "required": ["filter[id]"],
}
OLD = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": ["object", "null"],
    "properties": {"n": {"type": "number", "minimum": 0, "exclusiveMinimum": True}},
    "required": None,
}
DEEP: dict[str, Any] = {}
for _ in range(70):
    DEEP = {"properties": {"a": DEEP}}
ODD = [
    tool("either", EITHER),
    tool("filter", FILTER),
    tool("old", OLD),
    tool("null", {"type": "object", "properties": None}),
    tool("bare", {}),
    tool("fine"),
]
HOPELESS = [
    tool("deep", {"type": "object", **DEEP}),
    tool("large", {"type": "object", "description": "x" * 70_000}),
    tool("lost", {"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}}),
    tool("round", {"type": "object", "$defs": {"a": {"$ref": "#/$defs/a"}}}),
    tool("ruled", {"type": "object", "properties": {"a b": {}}, "patternProperties": {"x": {}}}),
    tool("typed", {"type": "object", "properties": {"a": {"type": "str"}}}),
    tool("flat", {"type": "string"}),
    {"name": "none"},
]

NEW = {own: new for new, own in fit(FILTER).names.items()}


def marks(frame: Frame) -> set[tuple[str, str]]:
    """The tools that a frame says are left out, each with its server."""
    return {(one["name"], one["server"]) for one in frame["toolsLeftOut"]}


async def test_what_can_be_rewritten_is_and_the_call_gets_its_own_arguments(
    tmp_path: Path,
) -> None:
    """The provider takes all of them, and the server is called as it describes itself."""
    tiny = Tiny(tmp_path, tools=ODD)
    given: list[tuple[str, Any, Any]] = [
        ("either", {"arguments": {"url": "x"}}, {"url": "x"}),
        (
            "filter",
            {NEW["filter[id]"]: "7", "items": [{NEW["@odata.type"]: 1, NEW["x" * 70]: [2]}]},
            {"filter[id]": "7", "items": [{"@odata.type": 1, "x" * 70: [2]}]},
        ),
        ("old", {"n": 1}, {"n": 1}),
        ("null", {}, {}),
        ("bare", {"any": 1}, {"any": 1}),
    ]
    async with open_world(tmp_path, mcp_servers=(tiny.server,)) as world, world.talk() as talk:
        await tools_when_up(talk, "tiny__fine")
        asked = calls(*((f"tiny__{name}", args) for name, args, _ in given))
        world.simulator.script(turn(asked, says("{tiny__filter}")))
        frames = await talk.turn("Try them.")
    assert frames[-1]["stopReason"] == "end_turn"
    assert sorted(tiny.calls) == sorted((name, own) for name, _, own in given)
    assert json.loads(text_of(frames)) == given[1][2]


async def test_a_call_that_misses_the_wrapping_is_told(tmp_path: Path) -> None:
    """The model can mend it; the server is not asked."""
    tiny = Tiny(tmp_path, tools=[tool("either", EITHER)])
    async with open_world(tmp_path, mcp_servers=(tiny.server,)) as world, world.talk() as talk:
        await tools_when_up(talk, "tiny__either")
        asked = calls(("tiny__either", {"url": "x"}))
        world.simulator.script(turn(asked, says("{tiny__either}")))
        frames = await talk.turn("Try it.")
    assert "give one argument, `arguments`" in text_of(frames)
    assert tiny.calls == []


async def test_what_cannot_be_rewritten_is_left_out_and_marked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One log line a tool, a mark for whoever asks, and the session goes on with the others."""
    caplog.set_level(logging.WARNING)
    tiny = Tiny(tmp_path, tools=[*HOPELESS, tool("fine")])
    async with open_world(tmp_path, mcp_servers=(tiny.server,)) as world, world.talk() as talk:
        shown = await tools_when_up(talk, "tiny__fine")
        assert (await talk.turn("Hello."))[-1]["stopReason"] == "end_turn"
        (sent,) = world.sent()[-1]["tools"]
        listed, status = await talk.ask("model.list"), await talk.ask("gateway.status")
    assert sent["name"] == "tiny__fine"
    assert shown.count('"name"') == 1
    names = {(one["name"], "tiny") for one in HOPELESS}
    assert marks(listed) == marks(status) == names
    lines = [one.getMessage() for one in caplog.records if "is left out" in one.getMessage()]
    assert len(lines) == len(HOPELESS)
    reasons = {one["name"]: one["reason"] for one in status["toolsLeftOut"]}
    assert reasons["deep"] == "its schema nests deeper than 64 levels"
    assert reasons["lost"] == "its schema has a reference that leads nowhere"


@pytest.mark.parametrize("words", ["", "x" * 70_000])
async def test_odd_decoration_is_taken_off_a_tool(tmp_path: Path, words: str) -> None:
    """The tool stays; a hint that is not understood is none."""
    odd: dict[str, dict[str, Any]] = {
        "title": {"title": 9},
        "told": {"description": 5},
        "hints": {"annotations": 5},
        "titled": {"annotations": {"title": 5, "readOnlyHint": True}},
        "unsure": {"annotations": {"readOnlyHint": "yes", "title": "Sure"}},
    }
    tools = [tool("big", description=words), *(tool(name, **odd[name]) for name in odd)]
    tiny = Tiny(tmp_path, tools=[*tools, tool("fine")])
    async with open_world(tmp_path, mcp_servers=(tiny.server,)) as world, world.talk() as talk:
        shown = await tools_when_up(talk, "tiny__fine")
        status = await talk.ask("gateway.status")
    assert status.get("toolsLeftOut", []) == []
    assert all(f'"tiny__{name}"' in shown for name in odd)


@pytest.mark.parametrize("words", ["", "x" * 70_000])
@pytest.mark.parametrize("odd", [None, 5, []])
async def test_what_is_no_tool_takes_no_other_with_it(tmp_path: Path, odd: Any, words: str) -> None:
    """In a short list, and in one that is taken apart."""
    tiny = Tiny(tmp_path, tools=[tool("big", description=words), odd, tool("fine")])
    async with open_world(tmp_path, mcp_servers=(tiny.server,)) as world, world.talk() as talk:
        shown = await tools_when_up(talk, "tiny__fine")
        status = await talk.ask("gateway.status")
    assert '"tiny__big"' in shown
    assert marks(status) == {("None", "tiny")}


@pytest.mark.parametrize("odd", [EITHER, FILTER, {"type": "object", **DEEP}])
async def test_a_clients_own_tool_is_refused_by_name(tmp_path: Path, odd: dict[str, Any]) -> None:
    """Before anything is sent; the client can mend it, and its session goes on."""
    fine = {"name": "fine", "description": "", "inputSchema": {"type": "object"}}
    async with open_world(tmp_path) as world, world.talk() as talk:
        started = await talk.turn("Hello.", tools=[fine])
        session = started[0]["sessionId"]
        declared = [fine, {"name": "pour", "description": "", "inputSchema": odd}]
        (refused,) = await talk.turn("Pour.", sessionId=session, tools=declared)
        assert refused["code"] == "INVALID_MESSAGE"
        assert refused["message"].startswith("`tools[1].inputSchema`: ")
        assert len(world.sent()) == 1
        again = await talk.turn("Hello?", sessionId=session, tools=[fine])
        assert again[-1]["stopReason"] == "end_turn"


async def test_a_clients_tool_of_an_older_draft_is_sent_in_the_new_one(tmp_path: Path) -> None:
    """Its arguments are the same."""
    tools = [{"name": "old", "description": "", "inputSchema": OLD}]
    async with open_world(tmp_path) as world, world.talk() as talk:
        frames = await talk.turn("Hello.", tools=tools)
        assert frames[-1]["stopReason"] == "end_turn"
        sent = world.sent()[-1]["tools"][0]["input_schema"]
    assert sent == {
        "type": "object",
        "properties": {"n": {"type": "number", "exclusiveMinimum": 0}},
    }


PATTERN = tool("pattern", {"type": "object", "properties": {"a": {"pattern": "(?<x"}}})
"""A tool with a pattern that is none: nothing here looks into patterns."""


def strict(name: str) -> Any:
    """A provider that takes no request that defines the tool of this name with a pattern."""

    def respond(body: Frame) -> Reply | None:
        return Reply(refused_tool=name) if "(?<x" in json.dumps(body) else None

    return respond


async def test_a_tool_that_the_provider_refuses_all_the_same_is_left_out_from_then_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The error names it and its server; every session goes on without it until it is changed."""
    tiny = Tiny(tmp_path, tools=[tool("fine"), PATTERN])
    async with open_world(tmp_path, mcp_servers=(tiny.server,)) as world, world.talk() as talk:
        await tools_when_up(talk, "tiny__pattern")
        world.simulator.script(strict("tiny__pattern"))
        *started, error = await talk.turn("Hello.")
        assert error["code"] == "LLM_ERROR"
        assert "the tool tiny__pattern of the MCP server tiny: tools.1.custom" in error["message"]
        session = started[0]["sessionId"]
        for known in ({"sessionId": session}, {}):
            frames = await talk.turn("Hello?", **known)
            assert frames[-1]["stopReason"] == "end_turn"
            assert [one["name"] for one in world.sent()[-1]["tools"]] == ["tiny__fine"]
        status = await talk.ask("gateway.status")
        assert marks(status) == {("pattern", "tiny")}
        until = "until it is changed or the gateway is restarted: "
        reason = f"the provider has refused it, and it stays out {until}"
        assert status["toolsLeftOut"][0]["reason"].startswith(reason)
    start = "the tool tiny__pattern of the MCP server tiny is left out, for all clients, "
    lines = [one for one in caplog.records if one.getMessage().startswith(start + until)]
    assert len(lines) == 1


async def test_a_tool_that_comes_later_and_is_refused_costs_one_turn(tmp_path: Path) -> None:
    """It is defined in a message then; the session keeps its thinking and its cache."""
    fine = {"name": "fine", "description": "", "inputSchema": {"type": "object"}}
    late = {"name": "late", "description": "", "inputSchema": PATTERN["inputSchema"]}
    async with open_world(tmp_path) as world, world.talk() as talk:
        session = (await talk.turn("Hello.", tools=[fine]))[0]["sessionId"]
        tools = [fine, late]
        question = "And now? [[sim: refuse_tool=late]]"
        error = (await talk.turn(question, sessionId=session, tools=tools))[-1]
        assert "the tool late: messages." in error["message"]
        frames = await talk.turn("And now?", sessionId=session, tools=tools)
        assert frames[-1]["stopReason"] == "end_turn"
        assert "late" not in json.dumps(world.sent()[-1])
        assert "epoch" not in frames[-1].get("context", {})


async def test_a_tool_that_was_taken_once_and_is_refused_now_is_taken_out_of_the_session(
    tmp_path: Path,
) -> None:
    """Another model may know more of schemas; what it was told first is said anew without it."""
    tools = [
        {"name": name, "description": "", "inputSchema": schema}
        for name, schema in (("fine", {"type": "object"}), ("old", PATTERN["inputSchema"]))
    ]
    async with open_world(tmp_path) as world, world.talk() as talk:
        session = (await talk.turn("Hello.", tools=tools))[0]["sessionId"]
        world.simulator.script(strict("old"))
        error = (await talk.turn("Hello?", sessionId=session))[-1]
        assert "the tool old: tools.1.custom" in error["message"]
        for _ in range(2):
            frames = await talk.turn("Hello?", sessionId=session)
            assert frames[-1]["stopReason"] == "end_turn"
        assert "old" not in [one["name"] for one in world.sent()[-1]["tools"]]
        changed = [tools[0], {**tools[1], "inputSchema": {"type": "object"}}]
        frames = await talk.turn("Hello?", sessionId=session, tools=changed)
        assert frames[-1]["stopReason"] == "end_turn"
        assert '"old"' in json.dumps(world.sent()[-1])
