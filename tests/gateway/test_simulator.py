"""The simulator, as the provider's own SDK sees it."""

from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message, MessageParam, ThinkingBlock, ToolParam, ToolUseBlock

from gateway.simulator import (
    MODELS,
    ErrorReply,
    Raw,
    RedactedThinking,
    Reply,
    ReplyText,
    ReplyThinking,
    Simulator,
    ToolUse,
)

SONNET = "claude-sonnet-5-5"
HAIKU = "claude-haiku-4-5"
WEATHER: ToolParam = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
    },
}


def user(text: str) -> list[MessageParam]:
    return [{"role": "user", "content": text}]


async def stream(client: AsyncAnthropic, **request: Any) -> tuple[list[Any], Message]:
    """All raw events of a streamed answer, and the message they make up."""
    request = {"model": SONNET, "max_tokens": 4000, **request}
    derived = ("text", "thinking", "signature", "citation", "input_json")
    async with client.messages.stream(**request) as stream:
        events = [event async for event in stream if event.type not in derived]
        return events, await stream.get_final_message()


def text_of(message: Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


async def test_a_reply_names_what_was_asked(client: AsyncAnthropic) -> None:
    """An answer without a script greets back, takes up the topic, and shows code and a list."""
    message = await client.messages.create(
        model=HAIKU, max_tokens=2000, messages=user("Hello! Explain structured concurrency")
    )
    text = text_of(message)
    assert text.startswith("Hello!")
    assert "structured concurrency" in text
    assert "```python\n" in text
    assert "\n1. " in text
    assert "simulator" in text
    assert message.stop_reason == "end_turn"


async def test_the_same_prompt_gets_the_same_answer(client: AsyncAnthropic) -> None:
    """The text depends on the prompt alone, and differs for another prompt."""
    asked = ["What is trio?", "What is trio?", "What is a mailbox?"]
    texts = [
        text_of(await client.messages.create(model=HAIKU, max_tokens=900, messages=user(question)))
        for question in asked
    ]
    assert texts[0] == texts[1] != texts[2]


async def test_a_stream_says_what_the_whole_answer_says(client: AsyncAnthropic) -> None:
    """Streamed or not, a request gets the same content and the same bill."""
    whole = await client.messages.create(model=SONNET, max_tokens=4000, messages=user("Tell me"))
    _, streamed = await stream(client, messages=user("Tell me"))
    assert [b.to_dict() for b in streamed.content] == [b.to_dict() for b in whole.content]
    assert streamed.usage == whole.usage
    assert streamed.stop_reason == whole.stop_reason


async def test_the_events_come_in_the_order_of_the_api(client: AsyncAnthropic) -> None:
    """message_start, each block started, filled and stopped, message_delta, message_stop."""
    events, _ = await stream(client, model=HAIKU, messages=user("Hi there"))
    kinds = [event.type for event in events]
    assert kinds[:3] == ["message_start", "content_block_start", "content_block_delta"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}


async def test_a_ping_follows_the_first_block_start(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """The wire carries a ping that the SDK hides, under the content type of an event stream."""
    async with client.messages.with_streaming_response.create(
        model=HAIKU, max_tokens=500, messages=user("Hi"), stream=True
    ) as response:
        body = b"".join([part async for part in response.iter_bytes()])
    names = [line[7:] for line in body.decode().splitlines() if line.startswith("event: ")]
    assert names[:3] == ["message_start", "content_block_start", "ping"]
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["request-id"] == simulator.billed[-1].request_id


async def test_the_start_tells_the_prompt_and_the_delta_tells_the_total(
    client: AsyncAnthropic,
) -> None:
    """message_start has the input and one token of output; message_delta's figures are final."""
    events, message = await stream(client, model=HAIKU, messages=user("Count something"))
    start, delta = events[0].message.usage, events[-2].usage
    assert (start.input_tokens, start.output_tokens) == (delta.input_tokens, 1)
    assert delta.output_tokens == message.usage.output_tokens > 50


async def test_counting_tells_what_a_message_is_billed(client: AsyncAnthropic) -> None:
    """count_tokens and the bill agree."""
    messages = user("How many tokens are these?")
    system = "You count."
    counted = await client.messages.count_tokens(model=HAIKU, messages=messages, system=system)
    message = await client.messages.create(
        model=HAIKU, max_tokens=100, messages=messages, system=system
    )
    assert counted.input_tokens == message.usage.input_tokens


async def test_max_tokens_cuts_the_answer_off(client: AsyncAnthropic) -> None:
    """An answer longer than max_tokens ends there, and says so."""
    message = await client.messages.create(model=HAIKU, max_tokens=20, messages=user("Tell me"))
    assert message.stop_reason == "max_tokens"
    assert 15 <= message.usage.output_tokens <= 20


async def test_a_stop_sequence_ends_the_answer(client: AsyncAnthropic) -> None:
    """The answer ends before the first stop sequence, and names it."""
    message = await client.messages.create(
        model=HAIKU, max_tokens=900, messages=user("Tell me"), stop_sequences=["```", "\n2."]
    )
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "\n2.")
    assert text_of(message).endswith(".")


async def test_models_are_listed_in_pages(client: AsyncAnthropic) -> None:
    """Every model comes up once, however small the pages are."""
    ids = [model.id async for model in client.models.list(limit=4)]
    assert ids == list(MODELS)


async def test_models_are_listed_backwards_too(client: AsyncAnthropic) -> None:
    """before_id gives the page that ends just before a model."""
    ids = list(MODELS)
    page = await client.models.list(before_id=ids[5], limit=2)
    assert [model.id for model in page.data] == ids[3:5]
    assert (page.first_id, page.last_id, page.has_more) == (ids[3], ids[4], True)


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("claude-sonnet-5-5", {"adaptive", "between_tools"}),
        ("claude-opus-5-5", {"adaptive"}),
        ("claude-fable-5-1", {"adaptive"}),
        ("claude-opus-4-6", {"enabled", "adaptive", "disabled"}),
        ("claude-haiku-4-5", {"enabled", "disabled"}),
        ("claude-3-7-sonnet-20250219", {"enabled", "disabled"}),
    ],
)
async def test_a_model_tells_which_thinking_it_takes(
    client: AsyncAnthropic, name: str, types: set[str]
) -> None:
    """capabilities.thinking.types has every type, supported or not."""
    model = await client.models.retrieve(name)
    assert model.capabilities is not None
    told = model.capabilities.thinking.types.to_dict()
    assert {kind for kind, support in told.items() if support["supported"]} == types  # type: ignore[index]


async def test_an_unlisted_version_finds_its_family(client: AsyncAnthropic) -> None:
    """A dated id resolves to the model it is a version of; the window is that model's."""
    model = await client.models.retrieve("claude-sonnet-5-5-20260928")
    assert (model.id, model.max_input_tokens, model.max_tokens) == (SONNET, 1_000_000, 128_000)


async def test_enabled_thinking_comes_first_and_is_signed(client: AsyncAnthropic) -> None:
    """A budget brings a thinking block before the text, in deltas, with a signature at its end."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    events, message = await stream(
        client, model=HAIKU, messages=user("Think about it"), thinking=thinking
    )
    first, second = message.content
    assert isinstance(first, ThinkingBlock)
    assert first.thinking
    assert first.signature
    assert second.type == "text"
    deltas = [e.delta.type for e in events if e.type == "content_block_delta" and e.index == 0]
    assert deltas[0] == "thinking_delta"
    assert deltas[-1] == "signature_delta"
    assert message.usage.output_tokens_details is not None
    assert 0 < message.usage.output_tokens_details.thinking_tokens < message.usage.output_tokens


async def test_omitted_thinking_has_a_signature_and_no_text(client: AsyncAnthropic) -> None:
    """The 5 family thinks unasked, omits the text unless asked to show it, and bills it."""
    _, omitted = await stream(client, messages=user("Think about it"))
    _, shown = await stream(
        client,
        messages=user("Think about it"),
        thinking={"type": "adaptive", "display": "summarized"},
    )
    for message, visible in ((omitted, False), (shown, True)):
        block = message.content[0]
        assert isinstance(block, ThinkingBlock)
        assert bool(block.thinking) is visible
        assert block.signature
    assert omitted.usage.output_tokens_details == shown.usage.output_tokens_details


async def test_between_tools_there_is_no_thinking_up_front(client: AsyncAnthropic) -> None:
    """With `between_tools` a plain answer is text alone."""
    _, message = await stream(client, messages=user("Think"), thinking={"type": "between_tools"})
    assert [block.type for block in message.content] == ["text"]


@pytest.mark.parametrize("display", ["summarized", "omitted"])
async def test_thinking_is_taken_back_as_it_was_sent(client: AsyncAnthropic, display: str) -> None:
    """An answer's blocks can be sent back; with one character changed they are refused."""
    request: dict[str, Any] = {"thinking": {"type": "adaptive", "display": display}}
    _, first = await stream(client, messages=user("One"), **request)
    turn = [{"role": "assistant", "content": [block.to_dict() for block in first.content]}]
    history = [*user("One"), *turn, *user("Two")]
    await stream(client, messages=history, **request)
    turn[0]["content"][0]["thinking"] += "!"  # type: ignore[index]
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature` in `thinking` block"):
        await stream(client, messages=history, **request)


async def test_redacted_thinking_is_taken_back_as_it_was_sent(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """Opaque thinking is recognised, too."""
    simulator.script(Reply(blocks=(RedactedThinking(), ReplyText("Done."))))
    _, first = await stream(client, messages=user("One"))
    content = [block.to_dict() for block in first.content]
    assert content[0]["type"] == "redacted_thinking"
    history = [*user("One"), {"role": "assistant", "content": content}, *user("Two")]
    await stream(client, messages=history)
    content[0]["data"] = "made up"
    with pytest.raises(anthropic.BadRequestError, match="redacted_thinking"):
        await stream(client, messages=history)


async def test_asked_for_sources_it_cites(client: AsyncAnthropic) -> None:
    """Citations come with the text they support: url, title, cited text and index."""
    events, message = await stream(client, model=HAIKU, messages=user("Cite sources about trio"))
    cited = [b for b in message.content if b.type == "text" and b.citations]
    citation = cited[0].citations[0] if cited and cited[0].citations else None
    assert citation is not None
    assert citation.type == "web_search_result_location"
    assert citation.url.startswith("https://")
    assert citation.title
    assert citation.cited_text
    assert citation.encrypted_index
    assert any(e.delta.type == "citations_delta" for e in events if e.type == "content_block_delta")


async def test_a_search_tool_is_used_and_billed(client: AsyncAnthropic) -> None:
    """With the web search tool there is a call, its results, and one search on the bill."""
    _, message = await stream(
        client,
        model=HAIKU,
        messages=user("Search for trio"),
        tools=[{"type": "web_search_20250305", "name": "web_search"}],
    )
    kinds = [block.type for block in message.content]
    assert kinds[1:3] == ["server_tool_use", "web_search_tool_result"]
    assert message.content[1].input["query"]  # type: ignore[union-attr]
    assert message.usage.server_tool_use is not None
    assert message.usage.server_tool_use.web_search_requests == 1


async def test_a_document_is_cited_by_its_characters(client: AsyncAnthropic) -> None:
    """A plain text document with citations allowed is quoted exactly."""
    source = "Trio is a library for async concurrency. It is friendly."
    document = {
        "type": "document",
        "title": "About trio",
        "source": {"type": "text", "media_type": "text/plain", "data": source},
        "citations": {"enabled": True},
    }
    content = [document, {"type": "text", "text": "What is it?"}]
    _, message = await stream(client, messages=[{"role": "user", "content": content}])
    citation = next(b.citations[0] for b in message.content if b.type == "text" and b.citations)
    assert citation.type == "char_location"
    assert citation.cited_text == source[citation.start_char_index : citation.end_char_index]


async def test_a_tool_is_called_and_its_result_is_used(client: AsyncAnthropic) -> None:
    """A tool that the text names is called with input that fits; its result is quoted."""
    question = user('Use get_weather for "Oslo" and the next 3 days')
    events, first = await stream(client, model=HAIKU, messages=question, tools=[WEATHER])
    call = first.content[-1]
    assert isinstance(call, ToolUseBlock)
    assert (call.name, call.input) == ("get_weather", {"city": "Oslo", "days": 3})
    assert first.stop_reason == "tool_use"
    assert (
        sum(e.type == "content_block_delta" and e.delta.type == "input_json_delta" for e in events)
        > 1
    )
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "Rain until Sunday"}
    turns = [
        *question,
        {"role": "assistant", "content": [block.to_dict() for block in first.content]},
        {"role": "user", "content": [result]},
    ]
    _, second = await stream(client, model=HAIKU, messages=turns, tools=[WEATHER])
    assert "> Rain until Sunday" in text_of(second)
    assert second.stop_reason == "end_turn"


async def test_a_script_is_followed_reply_by_reply(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """Queued replies are used once each, then a function is asked, then the simulator answers."""
    simulator.script(Reply(blocks=(ReplyText("one"),)), Reply(blocks=(ReplyText("two"),)))
    simulator.script(lambda body: Reply(blocks=(ReplyText("three"),)) if "3" in str(body) else None)
    texts = [
        text_of((await stream(client, model=HAIKU, messages=user(prompt)))[1])
        for prompt in ("?", "?", "3", "4?")
    ]
    assert texts[:3] == ["one", "two", "three"]
    assert "simulator" in texts[3]


async def test_every_kind_of_block_can_be_scripted(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """Blocks, stop reason and usage come out as they were written, cut into small deltas."""
    simulator.script(
        Reply(
            blocks=(
                ReplyThinking("hmm"),
                ReplyText("né 🙂 ok"),
                ToolUse("f", {"x": [1, "ü"]}, id="toolu_1"),
                Raw({"type": "container_upload", "file_id": "file_1"}),
            ),
            stop_reason="pause_turn",
            usage={"input_tokens": 12345},
            chars=1,
        )
    )
    _, message = await stream(client, model=HAIKU, messages=user("?"))
    thinking, text, tool, raw = (block.to_dict() for block in message.content)
    assert thinking["thinking"] == "hmm"
    assert text["text"] == "né 🙂 ok"
    assert (tool["id"], tool["input"]) == ("toolu_1", {"x": [1, "ü"]})
    assert raw["file_id"] == "file_1"
    assert message.stop_reason == "pause_turn"
    assert message.usage.input_tokens == 12345


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (402, anthropic.APIStatusError, "billing_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (413, anthropic.RequestTooLargeError, "request_too_large"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (504, anthropic.DeadlineExceededError, "timeout_error"),
        (529, anthropic.OverloadedError, "overloaded_error"),
    ],
)
async def test_an_error_status_becomes_the_sdk_s_exception(
    simulator: Simulator,
    client: AsyncAnthropic,
    status: int,
    error: type[anthropic.APIStatusError],
    kind: str,
) -> None:
    """Each status has its exception, its type and its request id."""
    simulator.script(Reply(failure=ErrorReply(status)))
    with pytest.raises(error) as raised:
        await stream(client, messages=user("?"))
    assert raised.value.status_code == status
    assert raised.value.type == kind
    assert raised.value.request_id == simulator.requests[-1].request_id


async def test_a_rate_limit_tells_when_to_try_again(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """A 429 carries retry-after and the rate limit headers."""
    simulator.script(Reply(failure=ErrorReply(429, retry_after=7, message="Slow down")))
    with pytest.raises(anthropic.RateLimitError, match="Slow down") as raised:
        await stream(client, messages=user("?"))
    assert raised.value.response.headers["retry-after"] == "7"
    assert raised.value.response.headers["anthropic-ratelimit-requests-remaining"] == "0"


async def test_a_bad_key_is_refused(simulator: Simulator) -> None:
    """The key `bad` is wrong; requests with any other are answered."""
    async with AsyncAnthropic(base_url=simulator.url, api_key="bad", max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError):
            await client.models.retrieve(SONNET)


async def test_requests_are_remembered(simulator: Simulator, client: AsyncAnthropic) -> None:
    """A received request keeps its method, path, headers, decoded body and raw bytes."""
    await client.messages.create(model=HAIKU, max_tokens=9, messages=user("remember me"))
    request = simulator.requests[-1]
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert request.headers["authorization"] == "Bearer any"
    assert request.body["messages"][0]["content"] == "remember me"
    assert b"remember me" in request.raw


async def test_the_ledger_has_what_the_client_was_told(
    simulator: Simulator, client: AsyncAnthropic
) -> None:
    """A completed answer's line has its id, its usage and the number of its deltas."""
    events, message = await stream(client, messages=user("Bill me"))
    await simulator.wait_idle()
    line = simulator.billed[-1]
    assert (line.message_id, line.model, line.outcome) == (message.id, SONNET, "completed")
    assert line.usage["output_tokens"] == line.output_tokens == message.usage.output_tokens
    assert line.usage["input_tokens"] == message.usage.input_tokens
    assert line.deltas == sum(event.type == "content_block_delta" for event in events)
    assert simulator.streams_started == 1
    assert simulator.open_streams == 0
