"""System messages in the middle of a simulated conversation, and the tools that they change."""

from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message

from gateway.simulator import (
    Reply,
    ReplyText,
    ReplyThinking,
    Simulator,
    SimulatorSettings,
    ToolUse,
    WebSearch,
    calls,
    open_simulator,
    says,
    turn,
)
from tests.sdk import client_of

SONNET = "claude-sonnet-5-5"
OPUS_5 = "claude-opus-5"
INLINE = "inline-tools-2026-09-15"
BY_REFERENCE = "mid-conversation-tool-changes-2026-07-01"
CONTROLS = "thinking-binding-controls-2026-08-01"
MARK = {"type": "ephemeral"}
ASK: list[Any] = [{"role": "user", "content": "?"}]
SAID = {"role": "assistant", "content": [{"type": "text", "text": "So."}]}
CALL = {
    "role": "assistant",
    "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}],
}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]}
TOLD = {"role": "system", "content": "From now on, in rhyme."}
SEARCHED = {
    "role": "assistant",
    "content": [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
    ],
}
WEATHER = {"name": "weather", "description": "Tells it.", "input_schema": {"type": "object"}}
TIDES = {"name": "tides", "description": "Tells them.", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
FINDER = {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}


async def ask(
    client: AsyncAnthropic, messages: list[Any], *, betas: str = INLINE, **body: Any
) -> Message:
    request = {"model": SONNET, "max_tokens": 4000, "messages": messages, **body}
    async with client.messages.stream(**request, extra_headers={"anthropic-beta": betas}) as stream:
        return await stream.get_final_message()


def system(*blocks: Any) -> dict[str, Any]:
    return {"role": "system", "content": list(blocks)}


def adds(definition: Any, **more: Any) -> dict[str, Any]:
    """A block that brings a tool, defined in it."""
    return {
        "type": "tool_addition",
        "tool": {"type": "tool_definition", "definition": definition},
        **more,
    }


def offers(name: str) -> dict[str, Any]:
    """A block that brings a tool that is known."""
    return {"type": "tool_addition", "tool": {"type": "tool_reference", "name": name}}


def removes(name: str) -> dict[str, Any]:
    return {"type": "tool_removal", "tool": {"type": "tool_reference", "name": name}}


def kinds(message: Message) -> list[str]:
    return [block.type for block in message.content]


async def refused(client: AsyncAnthropic, messages: list[Any], **body: Any) -> Any:
    """The error of a request that is refused; counting its tokens is refused alike."""
    with pytest.raises(anthropic.BadRequestError) as raised:
        await ask(client, messages, **body)
    betas = {"anthropic-beta": body.pop("betas", INLINE)}
    body = {"model": SONNET, **body}
    with pytest.raises(anthropic.BadRequestError) as counted:
        await client.messages.count_tokens(messages=messages, extra_headers=betas, **body)
    assert (
        counted.value.message.split("'request_id'")[0]
        == (raised.value.message.split("'request_id'")[0])
    )
    return raised.value


@pytest.mark.parametrize(
    "messages",
    [
        [*ASK, TOLD],
        [*ASK, TOLD, SAID, *ASK],
        [*ASK, TOLD, TOLD],
        [*ASK, CALL, RESULT, TOLD],
        [*ASK, CALL, RESULT, TOLD, SAID, *ASK, TOLD],
        [*ASK, SEARCHED, TOLD],
        [*ASK, *ASK, system({"type": "text", "text": "So.", "cache_control": MARK})],
    ],
    ids=["end", "before-answer", "two", "results", "later", "server-result", "marked"],
)
async def test_a_system_message_follows_the_user(client: AsyncAnthropic, messages: Any) -> None:
    """Right after a user turn or a server tool's result, before an answer or at the end."""
    await ask(client, messages, betas="")


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([TOLD, *ASK], "messages.0: use the top-level 'system' parameter"),
        ([*ASK, TOLD, *ASK], "messages.1: a system message must be the last one"),
        ([*ASK, TOLD, TOLD, *ASK], "messages.1: a system message must be the last one"),
        ([*ASK, SAID, TOLD, *ASK], "messages.2: a system message must immediately follow"),
        ([*ASK, CALL, TOLD, RESULT], "without `tool_result` blocks immediately after"),
        ([*ASK, {"role": "system", "content": []}], "must have non-empty content"),
        ([*ASK, {"role": "system", "content": " "}], "non-whitespace"),
        ([*ASK, {**TOLD, "clear_at": "never"}], "clear_at: Extra inputs are not permitted"),
        (
            [*ASK, system({"type": "image", "source": {"type": "file", "file_id": "f"}})],
            "messages.1.content.0: Input tag 'image'",
        ),
        ([{"role": "user", "content": [removes("f")]}], "can only be in `system` messages"),
    ],
    ids=[
        *("first", "before-user", "two-before-user", "after-answer", "before-result"),
        *("empty", "blank", "field", "image", "user"),
    ],
)
async def test_a_system_message_elsewhere_is_refused(
    client: AsyncAnthropic, messages: list[Any], words: str
) -> None:
    """The place is constrained, and so is what it may hold."""
    assert words in (await refused(client, messages)).message


@pytest.mark.parametrize(
    ("model", "taken"),
    [
        *((name, True) for name in (SONNET, "claude-haiku-5-5", "claude-opus-5-5", OPUS_5)),
        *((name, True) for name in ("claude-opus-4-8", "claude-fable-5", "claude-mythos-5-2")),
        *((name, False) for name in ("claude-sonnet-5", "claude-opus-4-7", "claude-haiku-4-5")),
    ],
)
async def test_not_every_model_takes_a_system_message(
    client: AsyncAnthropic, model: str, *, taken: bool
) -> None:
    """Sonnet 5 and what is older than Opus 4.8 have the top-level field alone."""
    if taken:
        await ask(client, [*ASK, TOLD], model=model, betas="")
    else:
        error = await refused(client, [*ASK, TOLD], model=model, betas="")
        assert "messages.1: role 'system' is not supported on this model" in error.message


async def test_a_system_message_does_not_hide_the_question(client: AsyncAnthropic) -> None:
    """The answer is to what the user said; the system's text is billed like any other."""
    question = {"role": "user", "content": "[[sim: count=2 chars=3]]"}
    plain = await ask(client, [question])
    told = await ask(client, [question, TOLD])
    assert told.content == plain.content
    assert 5 < told.usage.input_tokens - plain.usage.input_tokens < 15


async def test_a_tool_loop_goes_on_after_a_system_message(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """The scripted step finds its results."""
    simulator.script(turn(calls(("f", {})), says("It is {f}."), when="loop"))
    messages: list[Any] = [{"role": "user", "content": "loop"}, TOLD]
    first = await ask(client, messages)
    call = first.content[0].to_dict()
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "42"}
    messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    second = await ask(client, [*messages, TOLD])
    assert second.content[0].to_dict()["text"] == "It is 42."


async def test_an_answer_quotes_a_tools_result_before_a_system_message(
    client: AsyncAnthropic,
) -> None:
    """What is told after the result does not hide it."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "42"}
    messages: list[Any] = [
        *ASK,
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
        TOLD,
    ]
    told: Any = (await ask(client, messages)).content[-1]
    assert "> 42" in told.text


async def test_a_system_message_is_part_of_the_prefix(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """Thinking after it is bound to it: it may not be left out or reworded any more."""
    simulator.script(Reply(blocks=(ReplyThinking("Hm."), ReplyText("Yes."))))
    answer = await ask(client, [*ASK, TOLD])
    spoken = {"role": "assistant", "content": [block.to_dict() for block in answer.content]}
    grown = await ask(client, [*ASK, TOLD, spoken, *ASK, TOLD], betas=CONTROLS)
    assert grown.to_dict()["input_transformations"] == []
    for edited in ([*ASK, spoken], [*ASK, system({"type": "text", "text": "x"}), spoken]):
        with pytest.raises(anthropic.BadRequestError, match="bound to a different conversation"):
            await ask(client, [*edited, *ASK])


async def test_a_system_message_costs_no_cache(client: AsyncAnthropic) -> None:
    """What stands before it is read, it is written, and read itself the next time."""
    long = [{"role": "user", "content": "word " * 1000}]
    first = (await ask(client, long, cache_control=MARK)).usage
    second = (await ask(client, [*long, TOLD], cache_control=MARK)).usage
    assert second.cache_read_input_tokens == first.cache_creation_input_tokens
    assert 0 < (second.cache_creation_input_tokens or 0) < 20
    third = (await ask(client, [*long, TOLD, SAID, *ASK], cache_control=MARK)).usage
    read = (second.cache_read_input_tokens or 0) + (second.cache_creation_input_tokens or 0)
    assert third.cache_read_input_tokens == read


WISH = [{"role": "user", "content": "Use weather or tides"}]


async def called(client: AsyncAnthropic, *blocks: Any, **body: Any) -> str | None:
    """The tool that the simulator calls of its own accord after these changes."""
    body = {"tools": [WEATHER], **body}
    answer = await ask(client, [*WISH, *([system(*blocks)] if blocks else [])], **body)
    names = [block.name for block in answer.content if block.type == "tool_use"]
    return names[0] if names else None


async def test_tools_come_and_go_with_system_messages(client: AsyncAnthropic) -> None:
    """What is on offer is the tools of the request, folded with the changes."""
    assert await called(client) == "weather"
    assert await called(client, removes("weather")) is None
    assert await called(client, removes("weather"), adds(TIDES)) == "tides"
    assert await called(client, removes("weather"), offers("weather")) == "weather"
    assert await called(client, adds(WEATHER)) == "weather"


async def test_a_definition_replaces_the_one_of_its_name(client: AsyncAnthropic) -> None:
    """The call is made to the later schema, and a newer version of a server tool is no other."""
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    }
    messages = [*WISH, system(adds({**WEATHER, "input_schema": schema}))]
    answer = await ask(client, messages, tools=[WEATHER])
    call: Any = answer.content[-1]
    assert "city" in call.input
    newer = {**SEARCH, "type": "web_search_20260209"}
    await ask(client, [*ASK, system(adds(newer))], tools=[SEARCH])


async def test_a_deferred_tool_waits_until_it_is_brought_up(client: AsyncAnthropic) -> None:
    """By an addition, or by a tool that searches for tools."""
    deferred = {**TIDES, "defer_loading": True}
    assert await called(client, tools=[deferred]) is None
    assert await called(client, offers("tides"), tools=[deferred]) == "tides"
    assert await called(client, tools=[FINDER, deferred]) == "tides"
    assert await called(client, adds(deferred), tools=[]) is None


async def test_a_server_tool_may_come_later(client: AsyncAnthropic) -> None:
    """The simulator searches once it is offered the search."""
    question = [{"role": "user", "content": "Please cite sources on tides"}]
    assert "server_tool_use" not in kinds(await ask(client, question))
    answer = await ask(client, [*question, system(adds(SEARCH))])
    assert "server_tool_use" in kinds(answer)


async def test_a_choice_of_tool_is_of_those_on_offer(client: AsyncAnthropic) -> None:
    """A tool that has come can be forced, one that has gone cannot."""
    force = {"type": "tool", "name": "tides"}
    body: dict[str, Any] = {"model": OPUS_5, "tool_choice": force}
    answer = await ask(client, [*ASK, system(adds(TIDES))], tools=[WEATHER], **body)
    assert answer.content[-1].to_dict()["name"] == "tides"
    gone = await refused(client, [*ASK, system(removes("tides"))], tools=[WEATHER, TIDES], **body)
    assert "Tool 'tides' not found in provided tools" in gone.message
    none = await refused(client, [*ASK, system(removes("tides"))], tools=[TIDES], **body)
    assert "only be specified while providing tools" in none.message


@pytest.mark.parametrize(
    ("blocks", "words", "code"),
    [
        ([removes("tides")], "No tool named 'tides'", "tool_reference_unresolved"),
        ([offers("tides")], "No tool named 'tides'", "tool_reference_unresolved"),
        ([removes("weather")] * 2, "content.1.tool: No tool", "tool_reference_unresolved"),
        ([adds({**SEARCH, "name": "web_search"})] * 2, "", None),
        (
            [adds(SEARCH), adds({**TIDES, "name": "web_search"})],
            "messages.1.content.1.tool.definition",
            "tool_name_conflict",
        ),
        ([adds({**TIDES, "name": "a b"})], "definition.custom.name: String should match", None),
        ([adds({"name": "g"})], "definition.custom.input_schema: Field required", None),
        ([adds({"type": "bash_1999", "name": "bash"})], "Input tag 'bash_1999'", None),
        ([adds({"type": "computer_toolset_20260801"})], "cannot be defined in a message yet", None),
        (
            [adds({**TIDES, "cache_control": MARK}, cache_control=MARK)],
            "on the block or in the definition",
            None,
        ),
        (
            [adds({**TIDES, "cache_control": MARK, "defer_loading": True})],
            "cannot carry cache_control",
            None,
        ),
        ([adds(TIDES, note="x")], "tool_addition.note: Extra inputs", None),
        ([{"type": "tool_addition", "tool": WEATHER}], "Input should be a tool_reference", None),
        (
            [{"type": "tool_removal", "tool": adds(TIDES)["tool"]}],
            "Input should be a reference to a tool",
            None,
        ),
    ],
    ids=[
        *("gone", "unknown", "twice", "same", "conflict", "name", "schema", "type", "toolset"),
        *("two-marks", "deferred-mark", "field", "no-type", "removed-definition"),
    ],
)
async def test_a_wrong_change_of_tools_is_refused(
    client: AsyncAnthropic, blocks: list[Any], words: str, code: str | None
) -> None:
    """The words say where it stands; some errors have a code. The same again is no change."""
    messages = [*ASK, system(*blocks)]
    if not words:
        await ask(client, messages, tools=[WEATHER])
        return
    error = await refused(client, messages, tools=[WEATHER])
    assert words in error.message
    details = error.body["error"].get("details")
    assert details == ({"error_code": code} if code else None)


@pytest.mark.parametrize(
    ("betas", "block", "taken"),
    [
        (INLINE, adds(TIDES), True),
        (INLINE, removes("weather"), True),
        (BY_REFERENCE, removes("weather"), True),
        (BY_REFERENCE, adds(TIDES), False),
        ("", removes("weather"), False),
        (CONTROLS, adds(TIDES), False),
    ],
)
async def test_a_change_of_tools_needs_its_beta(
    client: AsyncAnthropic, betas: str, block: Any, *, taken: bool
) -> None:
    """On every request that carries one; the older beta is for references alone."""
    messages = [*ASK, system(block), SAID, *ASK]
    if taken:
        await ask(client, messages, tools=[WEATHER], betas=betas)
    else:
        error = await refused(client, messages, tools=[WEATHER], betas=betas)
        assert f"require the `{INLINE}` value in the `anthropic-beta` header" in error.message


async def test_no_change_of_tools_follows_a_paused_turn(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """Text may follow one that ends in a result; a call that waits is followed by nothing."""
    changed = await refused(client, [*ASK, SEARCHED, system(removes("weather"))], tools=[WEATHER])
    assert "not accepted after a paused assistant turn" in changed.message
    simulator.script(Reply(blocks=(WebSearch("tides", part="call"),)))
    paused = await ask(client, ASK, tools=[WEATHER])
    spoken = {"role": "assistant", "content": [paused.content[0].to_dict()]}
    for message in (TOLD, system(removes("weather"))):
        waiting = await refused(client, [*ASK, spoken, message], tools=[WEATHER])
        assert "must immediately follow" in waiting.message


async def test_a_change_of_tools_costs_no_cache(client: AsyncAnthropic) -> None:
    """Everything before it is read; a definition is billed at its place."""
    long = [{"role": "user", "content": "word " * 1000}]
    body: dict[str, Any] = {"tools": [WEATHER], "cache_control": MARK}
    first = (await ask(client, long, **body)).usage
    big = {**TIDES, "description": "A tool. " * 100}
    second = (await ask(client, [*long, system(adds(big))], **body)).usage
    assert second.cache_read_input_tokens == first.cache_creation_input_tokens
    assert 200 < (second.cache_creation_input_tokens or 0) < 320


@pytest.mark.parametrize(
    "tools", [[], [{**WEATHER, "defer_loading": True}]], ids=["none", "deferred"]
)
async def test_the_first_definition_costs_a_whole_miss_where_there_is_no_tool(
    client: AsyncAnthropic, tools: list[Any]
) -> None:
    """It changes the beginning of the prompt, once."""
    long = [{"role": "user", "content": "word " * 1000}]
    body: dict[str, Any] = {"tools": tools, "cache_control": MARK}
    await ask(client, long, **body)
    grown = [*long, system(adds(TIDES))]
    missed = (await ask(client, grown, **body)).usage
    assert missed.cache_read_input_tokens == 0
    grown += [SAID, *ASK, system(adds({**TIDES, "name": "other"}))]
    again = (await ask(client, grown, **body)).usage
    assert again.cache_read_input_tokens == missed.cache_creation_input_tokens


async def test_a_tool_on_offer_costs_what_any_tool_does() -> None:
    """What the provider adds for tools is billed while the model has one."""
    options = SimulatorSettings(tools_overhead_tokens=5000)
    async with open_simulator(settings=options) as simulator, client_of(simulator) as client:
        with_tool = await ask(client, [*ASK, system(adds(TIDES))])
        without = await ask(client, [*ASK, system(removes("weather"))], tools=[WEATHER])
    assert with_tool.usage.input_tokens > 5000 > without.usage.input_tokens


async def test_breakpoints_in_changes_of_tools_count(client: AsyncAnthropic) -> None:
    """On the block or in the definition, four is the most."""
    marks = [
        adds({**TIDES, "name": "a"}, cache_control=MARK),
        *(adds({**TIDES, "name": f"t{at}", "cache_control": MARK}) for at in range(3)),
    ]
    await ask(client, [*ASK, system(*marks)])
    fifth = {"type": "text", "text": "x", "cache_control": MARK}
    error = await refused(client, [*ASK, system(*marks, fifth)])
    assert "maximum of 4 blocks with cache_control" in error.message


async def test_a_change_of_tools_is_part_of_the_prefix(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """To append one keeps all thinking; to take it back later costs what came after it."""
    simulator.script(Reply(blocks=(ReplyThinking("Hm."), ToolUse("tides"))))
    answer = await ask(client, [*ASK, system(adds(TIDES))], tools=[WEATHER])
    content = [block.to_dict() for block in answer.content]
    done = {"type": "tool_result", "tool_use_id": content[1]["id"], "content": "ok"}
    after = [{"role": "assistant", "content": content}, {"role": "user", "content": [done]}]
    grown = [*ASK, system(adds(TIDES, cache_control=MARK)), *after, system(removes("tides"))]
    await ask(client, grown, tools=[WEATHER])
    with pytest.raises(anthropic.BadRequestError, match="bound to a different conversation"):
        await ask(client, [*ASK, *after], tools=[WEATHER])
    with pytest.raises(anthropic.BadRequestError, match="bound to a different conversation"):
        await ask(client, [*ASK, *after], tools=[WEATHER, TIDES])
