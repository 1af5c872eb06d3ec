"""The simulator's tools: loops of calls and results, the provider's own tools, pauses, refusals."""

from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message

from gateway.simulator import (
    CodeExecution,
    Reply,
    ReplyText,
    ReplyThinking,
    Simulator,
    ToolUse,
    WebFetch,
    WebSearch,
    calls,
    cite,
    cite_page,
    results_for,
    says,
    turn,
)

SONNET = "claude-sonnet-5-5"
HAIKU = "claude-haiku-4-5"
ASK: list[Any] = [{"role": "user", "content": "?"}]
CALLS = [
    {"type": "tool_use", "id": "a", "name": "f", "input": {}},
    {"type": "tool_use", "id": "b", "name": "g", "input": {}},
]
TEXT = {"type": "text", "text": "and?"}
SEARCH = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}


async def ask(client: AsyncAnthropic, messages: list[Any], **body: Any) -> Message:
    request = {"model": SONNET, "max_tokens": 4000, "messages": messages, **body}
    async with client.messages.stream(**request) as stream:
        return await stream.get_final_message()


def spoken(message: Message) -> dict[str, Any]:
    return {"role": "assistant", "content": [block.to_dict() for block in message.content]}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def result(call: str, content: Any = "ok", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call, "content": content, **more}


def text_of(message: Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def kinds(message: Message) -> list[str]:
    return [block.type for block in message.content]


@pytest.mark.parametrize(
    "messages",
    [
        [user(result("a"), result("b"))],
        [user(result("b"), result("a"), TEXT)],
        [user(result("a")), user(result("b"), TEXT), user(TEXT)],
        [user(result("a", [TEXT]), result("b", None))],
        [user(result("a", "no", is_error=True), result("b", ""))],
    ],
    ids=["both", "text-after", "two-messages", "blocks", "error"],
)
async def test_results_are_taken(client: AsyncAnthropic, messages: list[Any]) -> None:
    """In any order, in one message or in several, as long as they come before any text."""
    said = await ask(client, [*ASK, assistant(CALLS[0]), assistant(CALLS[1]), *messages])
    assert text_of(said)


PICTURE = {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}}


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([user(result("a"))], "found without `tool_result` blocks immediately after: b"),
        ([user(TEXT, result("a"), result("b"))], "immediately after: a, b"),
        ([user(result("a")), user(TEXT, result("b"))], "immediately after: b"),
        ([user(result("a"), result("b"), result("c"))], "unexpected `tool_use_id`.*: c"),
        ([user(result("a"), result("a"), result("b"))], "must have a single result.*: a"),
        ([user(result("a"), result("b", [{"type": "tool_use"}]))], "content.1.tool_result.content"),
        ([user(result("a"), result("b", [{"type": "text", "text": ""}]))], "must be non-empty"),
        ([user(result("a"), result("b", "", is_error=True))], "cannot be empty if `is_error`"),
        ([user(result("a"), result("b", [PICTURE], is_error=True))], "must be type `text`"),
        ([user(result("a"), result("b"), CALLS[0])], "can only be in `assistant` messages"),
        ([assistant(CALLS[0])], "ids must be unique"),
        ([user(result("a"), result("b")), assistant(result("a"))], "can only be in `user`"),
    ],
)
async def test_results_that_do_not_fit_are_refused(
    client: AsyncAnthropic, messages: list[Any], words: str
) -> None:
    """Every call has one result, at the start of what the user says next, and well formed."""
    with pytest.raises(anthropic.BadRequestError, match=words):
        await ask(client, [*ASK, assistant(*CALLS), *messages])


def custom(schema: Any) -> Any:
    """A tool with a schema of an object."""
    return {"name": "f", "input_schema": {"type": "object", **schema}}


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        ([{"type": "web_search_20250305", "name": "search"}], "Input should be 'web_search'"),
        ([{"type": "web_search_20200101", "name": "web_search"}], "Input tag 'web_search_20200101"),
        (
            [
                {"type": "web_fetch_20250910", "name": "web_fetch"},
                {"name": "web_fetch", "input_schema": {"type": "object"}},
            ],
            "Tool names must be unique",
        ),
        ([custom({"anyOf": [{}]})], "does not support oneOf, allOf, or anyOf at the top level"),
        ([custom({"properties": {"a b": {}}})], "Property keys should match pattern"),
        ([custom({"properties": {"a": {"items": {"properties": {"$x": {}}}}}})], "Property keys"),
        ([custom({"properties": {"a": {"exclusiveMinimum": True}}})], "must match JSON Schema"),
        ([custom({"properties": None})], "must match JSON Schema draft 2020-12"),
        ([custom({"properties": {"a": {"$ref": "#/$defs/a"}}})], "must match JSON Schema draft"),
        (
            [
                {
                    "type": "web_search_20250305",
                    "name": "web_search",
                    "allowed_domains": ["a.example"],
                    "blocked_domains": ["b.example"],
                }
            ],
            "both allowed_domains and blocked_domains",
        ),
    ],
)
async def test_tools_that_do_not_fit_are_refused(
    client: AsyncAnthropic, tools: list[Any], words: str
) -> None:
    """The provider's own tools have types it knows, and fixed names; any other has a schema."""
    with pytest.raises(anthropic.BadRequestError, match=words):
        await ask(client, ASK, tools=tools)


async def test_the_provider_s_own_tools_are_taken(client: AsyncAnthropic) -> None:
    """By type and name, next to a client's tools."""
    tools = [
        {"type": "web_search_20260318", "name": "web_search", "max_uses": 3},
        {"type": "web_fetch_20250910", "name": "web_fetch"},
        {"type": "code_execution_20250825", "name": "code_execution"},
        {"type": "memory_20250818", "name": "memory"},
        {"type": "computer_toolset_20260801"},
        {"name": "f", "input_schema": {"type": "object"}},
    ]
    assert text_of(await ask(client, ASK, tools=tools))


async def test_an_unknown_field_is_refused(client: AsyncAnthropic) -> None:
    """What no version of the API knows is not passed over."""
    with pytest.raises(anthropic.BadRequestError, match="mood: Extra inputs are not permitted"):
        await ask(client, ASK, extra_body={"mood": "fine"})


async def test_calls_come_back_with_their_thinking(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """In a loop the thinking before a call is sent back whole; after the loop it may go."""
    simulator.script(Reply(blocks=(ReplyThinking("Hm."), ToolUse("f"))))
    first = await ask(client, ASK)
    answer = user(result(first.content[1].id))  # type: ignore[union-attr]
    await ask(client, [*ASK, spoken(first), answer])
    bare = assistant(first.content[1].to_dict())
    with pytest.raises(anthropic.BadRequestError, match="cannot be modified"):
        await ask(client, [*ASK, bare, answer])
    await ask(client, [*ASK, bare, answer, assistant(TEXT), *ASK])


async def test_thinking_of_another_answer_is_not_taken_for_a_call_s_own(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """A valid signature is not enough: it must be the one that the call came with."""
    simulator.script(Reply(blocks=(ReplyThinking("One."),)))
    other = await ask(client, ASK)
    simulator.script(Reply(blocks=(ReplyThinking("Two."), ToolUse("f", id="t"))))
    await ask(client, ASK)
    mixed = assistant(other.content[0].to_dict(), {**CALLS[0], "id": "t"})
    with pytest.raises(anthropic.BadRequestError, match="cannot be modified"):
        await ask(client, [*ASK, mixed, user(result("t"))])


@pytest.mark.parametrize("said", [(), (ReplyText("So far."),), (ReplyText("Let me see."), "call")])
async def test_a_pause_is_taken_up(
    simulator: Simulator, client: AsyncAnthropic, said: tuple[Any, ...]
) -> None:
    """An answer that paused may come last, and the next one goes on from there."""
    waits = WebSearch("tides", part="call")
    blocks = tuple(waits if block == "call" else block for block in said) or (waits,)
    simulator.script(Reply(blocks=blocks, stop_reason="pause_turn"))
    first = await ask(client, ASK)
    assert first.stop_reason == "pause_turn"
    second = await ask(client, [*ASK, spoken(first)])
    assert second.stop_reason == "end_turn"
    assert "now I am done" in text_of(second)
    if waits in blocks:
        assert kinds(second)[-3:] == ["web_search_tool_result", "text", "text"]
        found = second.content[-3]
        assert found.tool_use_id == first.content[-1].id  # type: ignore[union-attr]
        assert second.usage.server_tool_use is not None
        assert second.usage.server_tool_use.web_search_requests == 1


async def test_a_scripted_result_finds_the_call_that_waits(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """The part `result` without an id belongs to the oldest call without a result."""
    simulator.script(Reply(blocks=(WebFetch("https://a.example", part="call"),)))
    first = await ask(client, ASK)
    assert (first.stop_reason, kinds(first)) == ("pause_turn", ["server_tool_use"])
    page = WebFetch("https://a.example", text="Tides rise.", part="result")
    simulator.script(Reply(blocks=(page, ReplyText("Done."))))
    second = await ask(client, [*ASK, spoken(first)])
    assert second.content[0].tool_use_id == first.content[0].id  # type: ignore[union-attr]
    whole = assistant(*spoken(first)["content"], *spoken(second)["content"])
    assert (await ask(client, [*ASK, whole, *ASK])).stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([assistant(TEXT)], "does not support assistant message prefill"),
        ([assistant(TEXT, SEARCH), *ASK], "was found without a corresponding `web_search_tool"),
        ([assistant(TEXT, FOUND), *ASK], "must have a corresponding `server_tool_use` block"),
        ([user(SEARCH)], "can only be in `assistant`"),
    ],
    ids=["prefill", "no-result", "no-call", "user"],
)
async def test_an_end_that_never_paused_is_refused(
    client: AsyncAnthropic, messages: list[Any], words: str
) -> None:
    """What the simulator never said is a prefill; a call of the provider's has its result."""
    with pytest.raises(anthropic.BadRequestError, match=words):
        await ask(client, [*ASK, *messages])


@pytest.mark.parametrize("category", ["cyber", None])
async def test_a_refusal_has_its_details(
    simulator: Simulator, client: AsyncAnthropic, category: str | None
) -> None:
    """stop_details say why, as the SDK types it; without any, they are null."""
    details = {"type": "refusal", "category": category, "explanation": "No."} if category else None
    simulator.script(Reply(blocks=(), stop_reason="refusal", stop_details=details))
    message = await ask(client, ASK)
    assert (message.stop_reason, message.content) == ("refusal", [])
    told = message.stop_details
    assert (told.to_dict() if told else None) == details


@pytest.mark.parametrize(
    "reason",
    ["max_tokens", "model_context_window_exceeded", "pause_turn", "refusal", "stop_sequence"],
)
async def test_a_directive_names_the_stop_reason(client: AsyncAnthropic, reason: str) -> None:
    """`stop` is any of them."""
    message = await ask(client, [{"role": "user", "content": f"[[sim: count=3 stop={reason}]]"}])
    assert message.stop_reason == reason
    assert bool(message.stop_sequence) is (reason == "stop_sequence")
    assert bool(message.stop_details) is (reason == "refusal")


async def test_a_directive_names_why_it_refuses(client: AsyncAnthropic) -> None:
    """`category` is that of the details."""
    message = await ask(client, [{"role": "user", "content": "[[sim: count=1 category=bio]]"}])
    assert message.stop_reason == "refusal"
    assert message.stop_details is not None
    assert message.stop_details.category == "bio"


async def test_the_provider_s_tools_can_be_scripted(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """Search, fetch and code come as call and result, cited, and billed by kind."""
    found = results_for("tides", 2)
    page = WebFetch("https://a.example/tides", text="Tides rise and fall.", title="Tides")
    simulator.script(
        Reply(
            blocks=(
                WebSearch("tides", found),
                cite("They rise.", found),
                page,
                cite_page("And fall.", page),
                CodeExecution("date", stdout="Monday\n"),
                CodeExecution("1/0", stderr="ZeroDivisionError", tool="code_execution"),
                WebSearch("more", error="max_uses_exceeded"),
            ),
            chars=3,
        )
    )
    message = await ask(client, ASK)
    blocks: Any = message.content
    assert kinds(message) == [
        "server_tool_use",
        "web_search_tool_result",
        "text",
        "server_tool_use",
        "web_fetch_tool_result",
        "text",
        "server_tool_use",
        "bash_code_execution_tool_result",
        "server_tool_use",
        "code_execution_tool_result",
        "server_tool_use",
        "web_search_tool_result",
    ]
    assert [(source.url, source.title) for source in blocks[1].content] == list(found)
    assert [citation.url for citation in blocks[2].citations] == [url for url, _ in found]
    assert blocks[3].input == {"url": "https://a.example/tides"}
    assert blocks[4].content.content.source.data == page.text
    assert blocks[5].citations[0].cited_text == page.text
    assert blocks[6].input == {"command": "date"}
    assert blocks[7].content.stdout == "Monday\n"
    assert blocks[9].content.stderr == "ZeroDivisionError"
    assert blocks[11].content.error_code == "max_uses_exceeded"
    assert message.container is not None
    billed = message.usage.server_tool_use
    assert billed is not None
    assert (billed.web_search_requests, billed.web_fetch_requests) == (1, 1)
    again = await ask(client, [*ASK, spoken(message), *ASK])
    assert again.stop_reason == "end_turn"


async def test_directives_ask_for_the_provider_s_tools(client: AsyncAnthropic) -> None:
    """`search`, `fetch` and `code` bring results and sources; `pause` leaves them for later."""
    wish = "search=2 fetch=https://a.example code=on"
    message = await ask(client, [{"role": "user", "content": f"Go [[sim: {wish}]]"}])
    assert kinds(message)[:8] == [
        *("server_tool_use", "web_search_tool_result", "text"),
        *("server_tool_use", "web_fetch_tool_result", "text"),
        *("server_tool_use", "bash_code_execution_tool_result"),
    ]
    paused: list[Any] = [{"role": "user", "content": f"Go [[sim: {wish} pause=on]]"}]
    first = await ask(client, paused)
    assert (kinds(first), first.stop_reason) == (["server_tool_use"], "pause_turn")
    second = await ask(client, [*paused, spoken(first)])
    assert "web_search_tool_result" in kinds(second)
    assert second.stop_reason == "end_turn"
    assert any(block.type == "text" and block.citations for block in second.content)


async def test_a_directive_calls_tools_with_their_input(client: AsyncAnthropic) -> None:
    """Each `tool` is a call, with the object after it; the next answer quotes their results."""
    wish = (
        'Now [[sim: tool=weather {"city": "Oslo", "at": [[1]]} tool=tides{"on": 1} tool=f]] please'
    )
    first = await ask(client, [{"role": "user", "content": wish}])
    called = [block for block in first.content if block.type == "tool_use"]
    given = [(call.name, call.input) for call in called]
    assert given == [("weather", {"city": "Oslo", "at": [[1]]}), ("tides", {"on": 1}), ("f", {})]
    assert first.stop_reason == "tool_use"
    assert "sim:" not in text_of(first)
    results = user(*(result(call.id, f"{call.name} is fine") for call in called))
    second = await ask(client, [{"role": "user", "content": wish}, spoken(first), results])
    assert "> weather is fine\n> tides is fine\n> f is fine" in text_of(second)
    assert second.stop_reason == "end_turn"


@pytest.mark.parametrize("wish", ["tool=", "tool=f {broken", 'rate=5 {"a": 1}', '{"a": 1}'])
async def test_a_directive_with_a_broken_input_is_refused(
    client: AsyncAnthropic, wish: str
) -> None:
    """An object that is none, or that belongs to no tool, is a 400."""
    with pytest.raises(anthropic.BadRequestError, match="no directive"):
        await ask(client, [{"role": "user", "content": f"[[sim: {wish}]]"}])


async def test_a_scenario_is_followed_step_by_step(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """Each conversation is at its own step, whatever the others do; then it is on its own."""
    simulator.script(
        turn(
            calls(("weather", {"city": "Oslo"}), ("tides", {}), say="Let me look."),
            says("First {weather} and {tides}."),
            when="Oslo",
        )
    )
    simulator.script(
        turn(
            calls(("weather", {"city": "Rome"})),
            lambda results: calls(("tides", {"after": results[0].text})),
            says("Then {tides}."),
            when="Rome",
        )
    )

    async def go_on(history: list[Any]) -> Message:
        message = await ask(client, history)
        called = [block for block in message.content if block.type == "tool_use"]
        results = [result(call.id, [{"type": "text", "text": call.name}]) for call in called]
        history += [spoken(message), *([user(*results)] if results else [])]
        return message

    oslo: list[Any] = [{"role": "user", "content": "Oslo?"}]
    rome: list[Any] = [{"role": "user", "content": "Rome?"}]
    first, second = await go_on(oslo), await go_on(rome)
    assert [block.type for block in first.content] == ["text", "tool_use", "tool_use"]
    assert kinds(second) == ["tool_use"]
    assert text_of(await go_on(oslo)) == "First weather and tides."
    third = await go_on(rome)
    assert third.content[0].input == {"after": "weather"}  # type: ignore[union-attr]
    assert text_of(await go_on(rome)) == "Then tides."
    rome.append({"role": "user", "content": "And what now?"})
    assert "simulator" in text_of(await go_on(rome))


async def test_an_older_model_takes_no_answer_beyond_its_window(client: AsyncAnthropic) -> None:
    """Up to 4.1, prompt and longest answer fit together, or nothing is said."""
    long: list[Any] = [{"role": "user", "content": "word " * 138_000}]
    model = "claude-opus-4-1"
    with pytest.raises(anthropic.BadRequestError, match="exceed context limit"):
        await client.messages.create(model=model, max_tokens=32_000, messages=long, stream=True)
    said = await ask(client, long, model=HAIKU, max_tokens=32_000)
    assert said.stop_reason == "end_turn"
