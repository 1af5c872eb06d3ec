"""What the simulator refuses, and in which words; and the directives in a message's text."""

from typing import Any

import anthropic
import pytest
import trio
from anthropic import AsyncAnthropic
from anthropic.types import Message, MessageParam

from gateway.simulator import Reply, ReplyText, Simulator
from gateway.simulator.sample import sample
from protocol.provider.following import answer_fault

SONNET = "claude-sonnet-5-5"
OPUS = "claude-opus-5-5"
HAIKU = "claude-haiku-4-5"
ASK = [{"role": "user", "content": "?"}]
TOOL = {"name": "f", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
DEEP: dict[str, Any] = {}
for _ in range(300):
    DEEP = {"not": DEEP, "type": "object"}


def said(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


CALL = [
    *ASK,
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]},
]


async def ask(client: AsyncAnthropic, **body: Any) -> Message:
    """Send exactly this body, over a valid one's defaults; None leaves a field out."""
    whole = {"model": SONNET, "max_tokens": 2000, "messages": ASK, **body}
    sent = {name: value for name, value in whole.items() if value is not None}
    return await client.post("/v1/messages", body=sent, cast_to=Message)


def result(call: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call, "content": "ok"}


def user(block: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [block]}


MARKED = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
HOUR = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}


EXAMPLE = {"input_schema": {"type": "object", "required": ["a"]}}
CITED = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "Tea."},
    "citations": {"enabled": True},
}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model": None}, "model: Field required"),
    ({"max_tokens": None}, "max_tokens: Field required"),
    ({"messages": None}, "messages: Field required"),
    ({"messages": []}, "at least one message is required"),
    ({"messages": [{"role": "assistant", "content": "x"}, *ASK]}, "first message must use"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
    ({"messages": [{"role": "user", "content": ""}]}, "must have non-empty content"),
    ({"messages": [{"role": "user", "content": []}]}, "must have non-empty content"),
    ({"messages": [{"role": "user", "content": " "}]}, "non-whitespace"),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
        "text content blocks must be non-empty",
    ),
    ({"messages": CALL + ASK}, "`tool_use` ids were found without `tool_result`"),
    ({"model": HAIKU, "messages": CALL}, "`tool_use` ids were found without `tool_result`"),
    (
        {"messages": [*CALL, user(result("t1")), CALL[-1], user(result("t1"))]},
        "`tool_use` ids must be unique",
    ),
    (
        {"messages": [{"role": "user", "content": [result("t1")]}]},
        "unexpected `tool_use_id` found in `tool_result` blocks: t1",
    ),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking.type.enabled"),
    ({"thinking": {"type": "disabled"}}, "between_tools"),
    ({"model": OPUS, "thinking": {"type": "disabled"}}, "thinking.type.disabled"),
    ({"model": OPUS, "thinking": {"type": "between_tools"}}, "thinking.type.between_tools"),
    ({"model": HAIKU, "thinking": {"type": "adaptive"}}, "adaptive thinking is not supported"),
    ({"thinking": {"type": "deep"}}, "Input tag 'deep'"),
    ({"model": HAIKU, "thinking": {"type": "enabled", "budget_tokens": 1023}}, "1024"),
    (
        {"model": HAIKU, "thinking": {"type": "enabled", "budget_tokens": 2000}},
        "`max_tokens` must be greater than `thinking.budget_tokens`",
    ),
    (
        {
            "model": HAIKU,
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "messages": [*CALL, {"role": "user", "content": [result("t1")]}],
        },
        "Expected `thinking` or `redacted_thinking`, but found `tool_use`",
    ),
    ({"tools": [{**TOOL, "input_examples": "x"}]}, "input_examples: Input should be"),
    ({"tools": [{**TOOL, "input_examples": [5]}]}, "input_examples.0: Input should be"),
    ({"tools": [{**TOOL, **EXAMPLE, "input_examples": [{}]}]}, "input_examples.0: does not match"),
    (
        {
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "string"}}},
            "messages": [{"role": "user", "content": [CITED]}],
        },
        "citations cannot be enabled",
    ),
    ({"metadata": "me"}, "metadata: Input should be a valid dictionary"),
    ({"tools": [{**SEARCH, "max_uses": "x"}]}, "max_uses: Input should be a valid integer"),
    ({"tools": [{**SEARCH, "max_uses": 0}]}, "greater than 0"),
    ({"tools": [{**TOOL, "input_schema": DEEP}]}, "JSON schema is invalid"),
    ({"messages": said(f"[[sim: fault=reset@{10**12}]]")}, "there is no fault"),
    ({"messages": said("[[sim: fault=stall@2:nan]]")}, "there is no fault"),
    ({"temperature": 1}, "`temperature` is deprecated for this model"),
    ({"top_k": 3}, "`top_k` is deprecated"),
    ({"messages": [*ASK, {"role": "assistant", "content": "So"}]}, "message prefill"),
    ({"max_tokens": 128_001}, "max_tokens: 128001 > 128000"),
    ({"model": HAIKU, "output_config": {"effort": "high"}}, "does not support the effort"),
    ({"model": "claude-opus-4-6", "output_config": {"effort": "xhigh"}}, "effort level 'xhigh'"),
    ({"model": OPUS, "tools": [TOOL], "tool_choice": {"type": "any"}}, "forced tool use"),
    ({"tools": [TOOL, TOOL]}, "Tool names must be unique"),
    ({"tools": [{"name": "a b", "input_schema": {}}]}, "String should match pattern"),
    ({"tools": [{"name": "f"}]}, "input_schema: Field required"),
    ({"system": [MARKED] * 5}, "maximum of 4 blocks with cache_control"),
    ({"system": [MARKED, HOUR]}, "ttl='1h' cache_control block must not come after"),
    ({"model": HAIKU, "messages": [{"role": "user", "content": "word " * 150_000}]}, "too long"),
    ({"messages": [{"role": "user", "content": "[[sim: chars=x]]"}]}, "chars takes a number"),
    ({"messages": [{"role": "user", "content": "[[sim: colour=red]]"}]}, "no directive"),
    ({"messages": [{"role": "user", "content": "[[sim: fault=fire@3]]"}]}, "no fault"),
]


@pytest.mark.parametrize(("body", "words"), REFUSED)
async def test_a_request_is_refused_in_the_api_s_words(
    client: AsyncAnthropic, body: dict[str, Any], words: str
) -> None:
    """A 400 whose message says what is wrong, and where."""
    with pytest.raises(anthropic.BadRequestError) as raised:
        await ask(client, **body)
    assert words in raised.value.message
    assert raised.value.type == "invalid_request_error"


async def test_an_unknown_model_is_not_found(client: AsyncAnthropic) -> None:
    """A 404 that names the model, for a message and for its description."""
    with pytest.raises(anthropic.NotFoundError, match="model: claude-none") as raised:
        await ask(client, model="claude-none")
    assert raised.value.type == "not_found_error"
    with pytest.raises(anthropic.NotFoundError):
        await client.models.retrieve("claude-none")


async def test_an_older_model_takes_a_prefill(client: AsyncAnthropic) -> None:
    """Up to 4.5 the conversation may end with the assistant."""
    await ask(client, model=HAIKU, messages=[*ASK, {"role": "assistant", "content": "So"}])


async def test_sampling_is_taken_from_an_older_client(client: AsyncAnthropic) -> None:
    """A request of an earlier API version may set the temperature of an older model."""
    older = client.with_options(default_headers={"anthropic-version": "2023-06-01"})
    await ask(older, model=HAIKU, temperature=0.5)
    with pytest.raises(anthropic.BadRequestError, match="temperature"):
        await ask(client, model=HAIKU, temperature=0.5)
    with pytest.raises(anthropic.BadRequestError, match="top_p: Input should be a valid number"):
        await ask(older, model=HAIKU, top_p="x")


PLACE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"city": {"type": "string"}, "size": {"allOf": [{"type": "integer"}]}},
    "required": ["city", "size"],
}
HOME = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"homes": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/home"}}},
    "required": ["homes"],
    "$defs": {"home": {"anyOf": [{"$ref": "#/$defs/place"}, {"type": "null"}]}, "place": PLACE},
}


async def test_a_structured_answer_follows_the_references_of_its_schema(
    client: AsyncAnthropic,
) -> None:
    """As most of those that are made of types have them."""
    answer = await ask(client, output_config={"format": {"type": "json_schema", "schema": HOME}})
    text = "".join(block.text for block in answer.content if block.type == "text")
    assert answer_fault(text, HOME) is None


@pytest.mark.parametrize(
    "pattern", [r"^[A-Z]{2}-\d+$", "^(?:on|off)?!$", r"\s[^a]", "(a{500}){500}", "(a", "a$b"]
)
async def test_a_structured_answer_fits_the_patterns_of_its_schema(
    client: AsyncAnthropic, pattern: str
) -> None:
    """Those that can be read and that a text can fit; it has an end in any case."""
    schema = {
        "type": "object",
        "properties": {"code": {"type": "string", "pattern": pattern}},
        "required": ["code"],
        "additionalProperties": False,
    }
    answer = await ask(client, output_config={"format": {"type": "json_schema", "schema": schema}})
    text = "".join(block.text for block in answer.content if block.type == "text")
    assert (answer_fault(text, schema) is None) == (pattern != "a$b")


@pytest.mark.parametrize(
    ("schema", "given"),
    [
        ({"properties": {"a": True, "b": {"$ref": "#/$defs/x"}}, "$defs": {"x": False}}, {}),
        ({"properties": {"a": {"$ref": "#/nowhere"}}}, {}),
        ({"properties": {"a": {"anyOf": [{"$ref": "#"}, True]}}}, {"a": {}}),
    ],
)
def test_no_schema_is_too_odd_for_a_sample(schema: dict[str, Any], given: Any) -> None:
    """Schemas that are `true`, lead nowhere, or lead back to themselves."""
    value = sample({"type": "object", **schema}, "Hi")
    assert value["a"] == given


def test_a_sample_has_an_end() -> None:
    """Whatever multiplies in its schema."""
    links: dict[str, Any] = {
        str(at): {"properties": {name: {"$ref": f"#/$defs/{at + 1}"} for name in "abcdef"}}
        for at in range(100)
    }
    assert len(str(sample({"$ref": "#/$defs/0", "$defs": links}, "Hi"))) < 50_000


async def test_a_strict_tool_of_the_providers_own_has_no_schema(client: AsyncAnthropic) -> None:
    """Nothing of it is compiled."""
    await ask(client, tools=[{**SEARCH, "strict": True}])


async def test_a_refused_request_uses_up_no_reply(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """The script is asked for valid requests alone."""
    simulator.script(Reply(blocks=(ReplyText("kept"),)))
    with pytest.raises(anthropic.BadRequestError):
        await ask(client, messages=[])
    assert (await ask(client)).content[0].to_dict()["text"] == "kept"


async def direct(client: AsyncAnthropic, directive: str, **body: Any) -> list[Any]:
    """The events of a streamed answer to `[[sim: directive]]`."""
    text = f"Please [[sim: {directive}]]"
    messages: list[MessageParam] = [{"role": "user", "content": text}]
    request = {"model": HAIKU, "max_tokens": 1000, "messages": messages, **body}
    async with await client.messages.create(**request, stream=True) as stream:
        return [event async for event in stream]


def deltas(events: list[Any], kind: str) -> list[Any]:
    found = [event.delta for event in events if event.type == "content_block_delta"]
    return [delta for delta in found if delta.type == kind]


async def test_directives_set_the_number_and_size_of_deltas(client: AsyncAnthropic) -> None:
    """count, thinking and chars are exact, and max_tokens does not touch them."""
    events = await direct(client, "count=500 chars=30 thinking=20", max_tokens=10)
    assert [len(delta.text) for delta in deltas(events, "text_delta")] == [30] * 500
    assert [len(delta.thinking) for delta in deltas(events, "thinking_delta")] == [30] * 20
    assert events[-2].delta.stop_reason == "end_turn"


async def test_directed_filler_obeys_limits_when_told_to(client: AsyncAnthropic) -> None:
    """limits=on cuts it at max_tokens."""
    events = await direct(client, "count=500 limits=on", max_tokens=100)
    assert events[-2].delta.stop_reason == "max_tokens"
    assert events[-2].usage.output_tokens <= 100


async def test_a_directive_sets_the_rate(client: AsyncAnthropic) -> None:
    """rate paces the stream."""
    start = trio.current_time()
    await direct(client, "count=10 rate=100")
    assert trio.current_time() - start >= 0.1


async def test_a_directive_without_a_count_keeps_the_answer(client: AsyncAnthropic) -> None:
    """chars alone cuts the simulator's own words, which do not show the directive."""
    events = await direct(client, "chars=5")
    parts = [delta.text for delta in deltas(events, "text_delta")]
    assert {len(part) for part in parts[:-1]} == {5}
    assert "simulator" in "".join(parts)
    assert "sim:" not in "".join(parts)


async def test_a_directive_asks_for_an_error_status(client: AsyncAnthropic) -> None:
    """status and retry_after are those of the answer."""
    with pytest.raises(anthropic.RateLimitError) as raised:
        await direct(client, "status=429 retry_after=3")
    assert raised.value.response.headers["retry-after"] == "3"


async def test_a_directive_asks_for_a_fault(client: AsyncAnthropic) -> None:
    """fault takes a kind, a place, and an argument."""
    with pytest.raises(anthropic.APIStatusError) as raised:
        await direct(client, "count=50 fault=error@10:api_error")
    assert raised.value.type == "api_error"


@pytest.mark.parametrize(("arguments", "given"), [("7", 7), ("oops", "oops")])
async def test_odd_arguments_may_come_whole(
    client: AsyncAnthropic, arguments: str, given: object
) -> None:
    """What is no JSON comes as the text that it is."""
    events = await direct(client, f"fault=whole_input tool=f arguments={arguments}")
    begun = [e.content_block for e in events if e.type == "content_block_start"]
    assert begun[-1].input == given


async def test_directives_ask_for_tools_and_sources(client: AsyncAnthropic) -> None:
    """search brings cited results, tool a call, stop the stop reason."""
    events = await direct(client, "count=3 search=2 tool=f stop=pause_turn")
    kinds = [e.content_block.type for e in events if e.type == "content_block_start"]
    assert kinds == ["server_tool_use", "web_search_tool_result", "text", "text", "tool_use"]
    assert len(deltas(events, "citations_delta")) == 2
    assert events[-2].delta.stop_reason == "pause_turn"
