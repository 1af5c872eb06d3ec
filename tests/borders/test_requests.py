"""What a model can do, a client can ask for; what it cannot is refused before anything is sent.

Public reports of the like: BerriAI/litellm 8901 and pydantic/pydantic-ai 2425 (a forced tool while
the model thinks), browseros-ai/BrowserOS 208 (`temperature` and `top_p` at once),
ttlequals0/MinusPod 926 (sampling by the latest version of the API), anomalyco/opencode 44634
(structured output by a forced tool).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from websockets.trio.client import connect
from websockets.typing import Subprotocol

from gateway.simulator import Reply, ReplyText, ReplyThinking, SimulatorSettings, ToolUse, WebSearch
from tests.courses.inspection import check_inspected
from tests.support import TOKEN, Frame, Talk, World, open_world, text_of

SONNET, OLD, OPUS = "claude-sonnet-5-5", "claude-sonnet-4-5", "claude-opus-5"
BREW = {
    "name": "brew",
    "description": "Brews a drink.",
    "inputSchema": {
        "type": "object",
        "properties": {"drink": {"type": "string"}},
        "required": ["drink"],
        "additionalProperties": False,
    },
}
CITY = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "size": {"enum": ["small", "large"]},
        "notes": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["city", "size", "notes"],
    "additionalProperties": False,
}


async def refusal(talk: Talk, **fields: Any) -> Frame:
    """What a turn ends with that is refused before anything is sent."""
    (error,) = await talk.turn("Hello", **fields)
    assert (error["type"], error["code"]) == ("error", "INVALID_MESSAGE"), error
    return error


async def end_of(talk: Talk, content: Any = "Hello", **fields: Any) -> Frame:
    """The last frame of a turn that ends well."""
    end = (await talk.turn(content, **fields))[-1]
    assert end["type"] == "chat.stream.end", end
    return end


def last(world: World) -> Any:
    """The latest request's body."""
    return world.sent()[-1]


async def test_the_hello_names_the_fields(tmp_path: Path) -> None:
    """So a client knows what it may send."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    names = [Subprotocol("agentspace.v1.json")]
    async with (
        open_world(tmp_path) as world,
        connect(world.url, subprotocols=names, additional_headers=headers) as socket,
    ):
        hello = json.loads(await socket.recv())
    fields = "toolChoice stopSequences outputFormat temperature topP topK cacheTtl userId strict"
    assert {*fields.split(), "deferLoading", "inputExamples", "serverTools"} <= {*hello["features"]}


# --- structured output ---------------------------------------------------------------------------


async def test_a_structured_answer_is_json_of_its_schema(tmp_path: Path) -> None:
    """To the character, whatever fences it seems to have; and what is inspected is sent."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        session = (await talk.ask("session.create"))["sessionId"]
        wanted = {"schema": CITY}
        shown = await talk.ask(
            "context.inspect", sessionId=session, content="Where?", outputFormat=wanted
        )
        plain = await talk.ask("context.inspect", sessionId=session, content="Where?")
        frames = await talk.turn("Where?", sessionId=session, outputFormat=wanted)
        body = last(world)
        fence = json.dumps({"city": "```\nOslo\n```", "size": "Large", "notes": []})
        world.simulator.script(Reply(blocks=(ReplyText(fence),)))
        fenced = await talk.turn("And?", sessionId=session, outputFormat=wanted)
    jsonschema.validate(json.loads(text_of(frames)), CITY)
    assert body["output_config"]["format"] == {"type": "json_schema", "schema": CITY}
    assert frames[-1]["stopReason"] == "end_turn"
    assert text_of(fenced) == fence
    assert {frame.get("contentType", "text") for frame in fenced} == {"text"}
    (told,) = [one for one in shown["sections"] if one["name"] == "response_format"]
    schema = json.dumps(CITY, separators=(",", ":"))
    assert told["content"].endswith(schema)
    check_inspected({**shown, "sections": _without(shown["sections"], schema)}, body)
    assert shown["totals"]["tokenEstimate"] > plain["totals"]["tokenEstimate"] + 30


def _without(sections: list[Frame], schema: str) -> list[Frame]:
    """The sections without the schema, which stands elsewhere in the body."""
    found = []
    for section in sections:
        content = section["content"].removesuffix(schema)
        found.append({**section, "content": content, "byteCount": len(content.encode())})
    return found


@pytest.mark.parametrize("text", ["Oslo.", '{"city": "Oslo"}', '{"city": 5, "size": "x"}'])
async def test_an_answer_that_is_not_of_the_schema_is_an_error(tmp_path: Path, text: str) -> None:
    """Billed, and said in words; the session goes on."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        created, *_ = await talk.turn("Hello")
        session = created["sessionId"]
        world.simulator.script(Reply(blocks=(ReplyText(text),)))
        error = (await talk.turn("Where?", sessionId=session, outputFormat={"schema": CITY}))[-1]
        await end_of(talk, sessionId=session)
    assert (error["code"], error["retryable"]) == ("LLM_ERROR", True)
    assert "does not follow `outputFormat`" in error["message"]
    assert error["usage"]["outputTokens"] > 0


async def test_what_the_client_reads_is_judged(tmp_path: Path) -> None:
    """An answer in two halves is one; what is said before a call is no part of the JSON."""
    halves = [("{", "pause_turn"), ('"city": "Oslo"}', None)]
    wanted = {"schema": {**CITY, "required": ["city"]}}
    async with open_world(tmp_path) as world, world.talk() as talk:
        search = WebSearch("Oslo")
        for text, stop in halves:
            world.simulator.script(Reply(blocks=(search, ReplyText(text)), stop_reason=stop))
        frames = await talk.turn("Where?", outputFormat=wanted, serverTools=["web_search"])
        call = ToolUse("brew", {"drink": "tea"})
        world.simulator.script(Reply(blocks=(ReplyText("Let me look."), call)))
        world.simulator.script(Reply(blocks=(ReplyText('{"city": "Oslo"}'),)))
        request_id = await talk.say("chat.send", content="?", outputFormat=wanted, tools=[BREW])
        called = await call_of(talk, request_id)
        await talk.say("tool.output", toolCallId=called["toolCallId"], content="Oslo.")
        error = (await talk.rest(request_id))[-1]
    assert json.loads(text_of(frames)) == {"city": "Oslo"}
    assert frames[-1]["stopReason"] == "end_turn"
    assert error["code"] == "LLM_ERROR"
    assert "it is no JSON" in error["message"]


DAY = {
    "type": "object",
    "properties": {"day": {"type": "string", "format": "date"}},
    "required": ["day"],
    "additionalProperties": False,
}


CODE = {
    "type": "object",
    "properties": {"code": {"type": "string", "pattern": "^(?:[A-Z]+)+-[0-9]{2}$"}},
    "required": ["code"],
    "additionalProperties": False,
}


async def test_a_text_that_does_not_fit_its_pattern_is_an_error(tmp_path: Path) -> None:
    """At once, also where Python's own `re` would take years (Aiven-Open/karapace 1362)."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        await end_of(talk, "Which?", outputFormat={"schema": CODE})
        answer = json.dumps({"code": "A" * 5_000 + "!"})
        world.simulator.script(Reply(blocks=(ReplyText(answer),)))
        error = (await talk.turn("Which?", outputFormat={"schema": CODE}))[-1]
    assert (error["code"], error["retryable"]) == ("LLM_ERROR", True)
    assert "`code` does not fit its `pattern`" in error["message"]


@pytest.mark.parametrize("pattern", [r"\bword", "^(?!a)", r"(a)\1"])
async def test_a_pattern_that_the_provider_refuses_is_refused_here(
    tmp_path: Path, pattern: str
) -> None:
    """In the answer's schema and in a strict tool's; a tool that is not strict may have it."""
    schema = {**CODE, "properties": {"code": {"type": "string", "pattern": pattern}}}
    tool = {"name": "note", "description": "Notes.", "inputSchema": schema}
    async with open_world(tmp_path) as world, world.talk() as talk:
        error = await refusal(talk, outputFormat={"schema": schema})
        strict = await refusal(talk, tools=[{**tool, "strict": True}])
        assert world.sent() == []
        await end_of(talk, "Hello", tools=[tool])
    assert {error["code"], strict["code"]} == {"INVALID_MESSAGE"}
    for one in (error, strict):
        assert "`/properties/code` has a `pattern` that" in one["message"]


async def test_a_text_of_another_format_is_an_error(tmp_path: Path) -> None:
    """As any other that does not follow the schema."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        await end_of(talk, "When?", outputFormat={"schema": DAY})
        world.simulator.script(Reply(blocks=(ReplyText('{"day": "Monday"}'),)))
        error = (await talk.turn("When?", outputFormat={"schema": DAY}))[-1]
    assert error["code"] == "LLM_ERROR"
    assert "`day` is not of the format date" in error["message"]


async def test_no_document_is_cited_in_json(tmp_path: Path) -> None:
    """In this message, or in one before; without its citations it may be there."""
    source = {"type": "text", "media_type": "text/plain", "data": "Oslo is a city."}
    cited = {"type": "document", "source": source, "citations": {"enabled": True}}
    wanted = {"schema": CITY}
    async with open_world(tmp_path) as world, world.talk() as talk:
        plain = [{**cited, "citations": {"enabled": False}}, {"type": "text", "text": "Where?"}]
        session = (await talk.turn(plain, outputFormat=wanted))[0]["sessionId"]
        first = (await talk.turn([cited], sessionId=session, outputFormat=wanted))[-1]
        await end_of(talk, [cited], sessionId=session)
        sent = len(world.sent())
        second = (await talk.turn("So?", sessionId=session, outputFormat=wanted))[-1]
        shown = await talk.ask(
            "context.inspect", sessionId=session, content="So?", outputFormat=wanted
        )
        await end_of(talk, sessionId=session)
    assert len(world.sent()) == sent + 1
    for error in (first, second, shown):
        assert error["code"] == "INVALID_MESSAGE"
        assert error["message"].startswith("`outputFormat`: the provider has no citations in JSON")


async def test_an_answer_that_was_cut_off_is_no_error(tmp_path: Path) -> None:
    """Its stop reason says so."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=(ReplyText('{"city"'),), stop_reason="max_tokens"))
        end = await end_of(talk, outputFormat={"schema": CITY})
    assert end["stopReason"] == "max_tokens"


@pytest.mark.parametrize(
    ("model", "schema", "words"),
    [
        (SONNET, {"type": "object"}, "needs `additionalProperties: false`"),
        (SONNET, {"type": "string", "minLength": 1}, "`minLength`, which is not supported"),
        ("claude-opus-4-1", CITY, "claude-opus-4-1 has no structured output"),
    ],
)
async def test_a_schema_that_the_provider_refuses_is_refused_here(
    tmp_path: Path, model: str, schema: Any, words: str
) -> None:
    """The field is named, and nothing is sent."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        error = await refusal(talk, model=model, outputFormat={"schema": schema})
        assert world.sent() == []
    assert error["message"].startswith("`outputFormat")
    assert words in error["message"]


async def test_another_format_costs_the_cache_and_the_estimate_knows(tmp_path: Path) -> None:
    """All of it (the provider's page on structured outputs); the same one again costs nothing."""
    system = "Know this. " * 1_000
    async with open_world(tmp_path) as world, world.talk() as talk:
        created, *_ = await talk.turn("1", system=system)
        session = created["sessionId"]
        reads = []
        for wanted in (None, {"schema": CITY}, {"schema": CITY}):
            asked = {} if wanted is None else {"outputFormat": wanted}
            shown = await talk.ask("context.inspect", sessionId=session, content="2", **asked)
            end = await end_of(talk, "2", sessionId=session, **asked)
            read = end["usage"]["inputDetails"]["cacheRead"]
            reads.append((shown["totals"]["cachedTokens"] > 0, read > 0))
    assert reads == [(True, True), (False, False), (True, True)]


# --- tools ---------------------------------------------------------------------------------------


async def call_of(talk: Talk, request_id: str) -> Frame:
    """The call of a client's tool, once it comes."""
    while (heard := await talk.hear())["type"] != "tool.call":
        assert heard["requestId"] == request_id
    return heard


@pytest.mark.parametrize("choice", ["any", {"name": "brew"}])
async def test_a_forced_tool_is_called_once_and_then_answered(tmp_path: Path, choice: Any) -> None:
    """Without thinking, which the provider wants; a model that is forced on would never end."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        request_id = await talk.say(
            "chat.send", content="Hello", model=OPUS, tools=[BREW], toolChoice=choice
        )
        call = await call_of(talk, request_id)
        await talk.say("tool.output", toolCallId=call["toolCallId"], content="Tea.")
        frames = await talk.rest(request_id)
    first, second = world.sent()
    assert first["tool_choice"]["type"] in ("any", "tool")
    assert first["thinking"] == second["thinking"] == {"type": "disabled"}
    assert "tool_choice" not in second
    assert frames[-1]["stopReason"] == "end_turn"


@pytest.mark.parametrize("model", [OLD, "claude-haiku-4-5", "claude-opus-4-1", "claude-sonnet-4-6"])
@pytest.mark.parametrize("thinks", [True, False])
async def test_who_calls_without_a_thought_goes_on_without_a_budget(
    tmp_path: Path, model: str, *, thinks: bool
) -> None:
    """The provider refuses it (anomalyco/opencode 3077); the next turn may have one again."""
    wanted: dict[str, Any] = {"model": model, "tools": [BREW], "thinking": {"budgetTokens": 2_000}}
    call = ToolUse("brew", {"drink": "tea"})
    thought = (ReplyThinking("Tea?"),) if thinks else ()
    async with open_world(tmp_path) as world, world.talk() as talk:
        wanted["sessionId"] = (await talk.ask("session.create"))["sessionId"]
        world.simulator.script(Reply(blocks=(*thought, ReplyText("I brew."), call)))
        world.simulator.script(Reply(blocks=(call,)), Reply(blocks=(ReplyText("Here."),)))
        request_id = await talk.say("chat.send", content="Tea", **wanted)
        for _ in range(2):
            called = await call_of(talk, request_id)
            await talk.say("tool.output", toolCallId=called["toolCallId"], content="Tea.")
        frames = await talk.rest(request_id)
        await end_of(talk, **wanted)
    kinds = [body["thinking"]["type"] for body in world.sent()]
    assert frames[-1]["stopReason"] == "end_turn"
    assert kinds == ["enabled", *["enabled" if thinks else "disabled"] * 2, "enabled"]


@pytest.mark.parametrize(
    ("model", "fields", "words"),
    [
        (SONNET, {"toolChoice": "any"}, f"{SONNET} cannot be forced to use a tool"),
        (OPUS, {"toolChoice": {"name": "pour"}}, "there is no tool named `pour`"),
        (
            OLD,
            {"toolChoice": "any", "thinking": {"budgetTokens": 2_000}},
            f"{OLD} takes it only without thinking",
        ),
    ],
)
async def test_a_choice_that_cannot_be_had_is_refused(
    tmp_path: Path, model: str, fields: dict[str, Any], words: str
) -> None:
    """The field and the model are named."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        error = await refusal(talk, model=model, tools=[BREW], **fields)
        assert world.sent() == []
    assert error["message"].startswith("`toolChoice`")
    assert words in error["message"]


async def test_an_effort_that_needs_thinking_is_not_for_a_forced_tool(tmp_path: Path) -> None:
    """Both fields are named, and none that the client never sent."""
    fields = {"tools": [BREW], "toolChoice": "any", "effort": "max"}
    async with open_world(tmp_path) as world, world.talk() as talk:
        for model in (OPUS, "claude-haiku-5-5"):
            error = await refusal(talk, model=model, **fields)
            assert error["message"].startswith("`effort`: with `toolChoice`, which goes without")
            assert "`thinking" not in error["message"]
        assert world.sent() == []


async def test_no_tool_is_called_when_none_may_be(tmp_path: Path) -> None:
    """Though the text names one; the tools stay in the prompt, and in the cache."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        end = await end_of(talk, "Please brew", tools=[BREW], toolChoice="none")
    assert last(world)["tool_choice"] == {"type": "none"}
    assert [tool["name"] for tool in last(world)["tools"]] == ["brew"]
    assert end["stopReason"] == "end_turn"


async def test_strict_and_deferred_tools_go_as_they_are_declared(tmp_path: Path) -> None:
    """Deferred ones with the tool that finds them, and never with a breakpoint of the cache."""
    strict = {**BREW, "strict": True}
    late = {**BREW, "name": "pour", "deferLoading": True}
    shows = {**BREW, "name": "stir", "inputExamples": [{"drink": "tea"}]}
    async with open_world(tmp_path) as world, world.talk() as talk:
        created, *_ = await talk.turn("Hello", tools=[strict, late])
        first = last(world)
        session = created["sessionId"]
        await end_of(talk, sessionId=session, tools=[BREW, late])  # the same tool, not strict
        changed = last(world)
        await end_of(talk, tools=[shows])
        error = await refusal(talk, tools=[shows, late])
        wrong = await refusal(talk, tools=[{**shows, "inputExamples": [{"drink": 5}]}])
    by_name = {tool["name"]: tool for tool in first["tools"]}
    assert by_name["brew"]["strict"] is True
    assert by_name["pour"]["defer_loading"] is True
    assert "cache_control" not in by_name["pour"]
    assert "tool_search_tool_bm25" in by_name
    assert changed["tools"] == first["tools"]
    (told,) = [message for message in changed["messages"] if message["role"] == "system"]
    (addition,) = told["content"]
    assert "strict" not in addition["tool"]["definition"]
    assert last(world)["tools"][0]["input_examples"] == [{"drink": "tea"}]
    assert error["message"].startswith("`tools[].inputExamples`")
    assert wrong["message"].startswith("`tools[0].inputExamples[0]`: it does not follow")


@pytest.mark.parametrize(
    ("model", "version"),
    [(SONNET, "20260318"), ("claude-haiku-4-5", "20250305")],
)
async def test_a_server_tool_has_its_options_in_the_newest_version(
    tmp_path: Path, model: str, version: str
) -> None:
    """That the model has."""
    search = {
        "name": "web_search",
        "maxUses": 2,
        "blockedDomains": ["example.com"],
        "userLocation": {"city": "Oslo", "country": "NO", "timezone": "Europe/Oslo"},
    }
    async with open_world(tmp_path) as world, world.talk() as talk:
        await end_of(talk, model=model, serverTools=[search])
        error = await refusal(
            talk, model=model, serverTools=[{**search, "allowedDomains": ["example.org"]}]
        )
    (tool,) = last(world)["tools"]
    tool.pop("cache_control")
    assert tool == {
        "type": f"web_search_{version}",
        "name": "web_search",
        "max_uses": 2,
        "blocked_domains": ["example.com"],
        "user_location": {
            "type": "approximate",
            "city": "Oslo",
            "country": "NO",
            "timezone": "Europe/Oslo",
        },
    }
    assert "not both" in error["message"]


# --- sampling, stops, cache, user ----------------------------------------------------------------


@pytest.mark.parametrize("sampled", [{"temperature": 0.2}, {"topP": 0.5}, {"topK": 4}])
async def test_sampling_is_for_models_that_take_it(tmp_path: Path, sampled: Any) -> None:
    """In the version of the API that has it, and without thinking; the newer refuse it here."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        await end_of(talk, model=OLD, **sampled)
        request = world.simulator.requests[-1]
        error = await refusal(talk, model=SONNET, **sampled)
        await end_of(talk, model=OLD)
        later = world.simulator.requests[-1]
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert later.headers["anthropic-version"] != "2023-06-01"
    assert request.body["thinking"] == {"type": "disabled"}
    assert SONNET in error["message"]


async def test_the_model_stops_at_a_text_and_says_at_which(tmp_path: Path) -> None:
    """The text itself is not in the answer."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        frames = await talk.turn("Tell me about simulators", stopSequences=["step", "the"])
        error = await refusal(talk, stopSequences=["  "])
    assert frames[-1]["stopReason"] == "stop_sequence"
    assert frames[-1]["stopSequence"] in ("step", "the")
    assert frames[-1]["stopSequence"] not in text_of(frames)
    assert error["message"].startswith("`stopSequences[0]`")
    assert last(world)["stop_sequences"] == ["step", "the"]


async def test_a_prompt_is_kept_for_an_hour_at_its_price(tmp_path: Path) -> None:
    """Each breakpoint asks for it, and the estimate has it."""
    system = "Know this. " * 1_000
    async with open_world(tmp_path) as world, world.talk() as talk:
        end = await end_of(talk, "1", system=system, cacheTtl="1h", tools=[BREW])
        body = last(world)
    hour = {"type": "ephemeral", "ttl": "1h"}
    assert body["cache_control"] == hour
    assert body["tools"][-1]["cache_control"] == body["system"][-1]["cache_control"] == hour
    details = end["usage"]["inputDetails"]
    assert details["cacheWrite5m"] == 0
    assert details["cacheWrite1h"] > 2_000
    tokens = details["uncached"] + 2 * details["cacheWrite1h"]
    assert end["cost"]["inputCost"] == pytest.approx(tokens * 2 / 1_000_000)


async def test_without_caching_there_is_no_time_to_keep(tmp_path: Path) -> None:
    """The setting is off."""
    async with open_world(tmp_path, prompt_caching=False) as world, world.talk() as talk:
        error = await refusal(talk, cacheTtl="1h")
    assert error["message"].startswith("`cacheTtl`")


async def test_a_user_is_an_opaque_id(tmp_path: Path) -> None:
    """A mail address goes no further than here."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        await end_of(talk, userId="u-4711")
        assert last(world)["metadata"] == {"user_id": "u-4711"}
        error = await talk.ask("chat.send", content="Hi", userId="me@example.com")
    assert error["code"] == "INVALID_MESSAGE"
    assert "userId" in error["message"]


async def test_what_one_turn_asks_for_is_not_the_sessions(tmp_path: Path) -> None:
    """And none of it breaks what the provider compares of a conversation."""
    options = {"stopSequences": ["zzz"], "userId": "u", "outputFormat": {"schema": CITY}}
    settings = SimulatorSettings(account="new")
    async with open_world(tmp_path, provider=settings) as world, world.talk() as talk:
        created, *_ = await talk.turn("1", tools=[BREW], **options)
        session = created["sessionId"]
        end = await end_of(talk, "2", sessionId=session)
        plain = last(world)
        again = await end_of(talk, "3", sessionId=session, toolChoice="none", **options)
    assert not {"stop_sequences", "metadata"} & plain.keys()
    assert "format" not in plain.get("output_config", {})
    for context in (end.get("context", {}), again.get("context", {})):
        assert "epoch" not in context
        assert "droppedThinking" not in context
