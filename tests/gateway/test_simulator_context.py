"""What the simulator counts, bills, clears and refuses of a context: tokens, images, results."""

import base64
import struct
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic

from gateway.simulator import SimulatorSettings, open_simulator
from tests.sdk import client_of

SONNET = "claude-sonnet-5-5"
HAIKU = "claude-haiku-4-5"
BETA = "context-management-2025-06-27"
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def user(*blocks: Any) -> list[Any]:
    return [{"role": "user", "content": list(blocks)}]


async def count(client: AsyncAnthropic, *blocks: Any, **request: Any) -> int:
    """The tokens of these blocks, counted; a message of them is billed the same."""
    request = {"model": SONNET, "messages": user(*blocks), **request}
    counted = await client.messages.count_tokens(**request)
    message = await client.messages.create(max_tokens=2000, **request)
    assert message.usage.input_tokens == counted.input_tokens
    return counted.input_tokens


WORDS = {"type": "text", "text": "some words " * 100}


@pytest.mark.parametrize(
    ("options", "tools", "expected"),
    [
        (SimulatorSettings(token_ratio=1.37), (), lambda own: round(own * 1.37)),
        (SimulatorSettings(overhead_tokens=21), (), lambda own: own + 21),
        (SimulatorSettings(tools_overhead_tokens=500), (), lambda own: own),
        (SimulatorSettings(tools_overhead_tokens=500), (TOOL,), lambda own: own + 210),
        (
            SimulatorSettings(token_ratio=0.8, overhead_tokens=9, tools_overhead_tokens=400),
            (TOOL,),
            lambda own: round((own - 290) * 0.8) + 409,
        ),
    ],
    ids=["ratio", "overhead", "no-tools", "tools", "all"],
)
async def test_another_tokenizer_can_be_simulated(
    client: AsyncAnthropic, options: SimulatorSettings, tools: tuple[Any, ...], expected: Any
) -> None:
    """Billed tokens are a ratio of its own count, and more; counting agrees to the token."""
    own = await count(client, WORDS, WORDS, tools=list(tools))
    async with open_simulator(settings=options) as other, client_of(other) as another:
        assert await count(another, WORDS, WORDS, tools=list(tools)) == expected(own)


async def test_another_tokenizer_counts_the_answer_too(client: AsyncAnthropic) -> None:
    """Output is billed by the same ratio, and max_tokens is in the same tokens."""
    ask: dict[str, Any] = {"model": HAIKU, "messages": user(WORDS)}
    plain = await client.messages.create(max_tokens=2000, **ask)
    options = SimulatorSettings(token_ratio=2)
    async with open_simulator(settings=options) as other, client_of(other) as another:
        double = await another.messages.create(max_tokens=2000, **ask)
        short = await another.messages.create(max_tokens=50, **ask)
    assert double.content == plain.content
    assert abs(double.usage.output_tokens - 2 * plain.usage.output_tokens) <= 4
    assert (short.stop_reason, short.usage.output_tokens <= 50) == ("max_tokens", True)


def loop(*sizes: int) -> list[Any]:
    """A conversation of calls, one after the other, whose results have so many characters."""
    turns: list[Any] = [{"role": "user", "content": "Go on."}]
    for at, size in enumerate(sizes):
        call = {"type": "tool_use", "id": f"t{at}", "name": f"f{at % 2}", "input": {"at": "x" * 90}}
        result = {"type": "tool_result", "tool_use_id": f"t{at}", "content": "x" * size}
        turns += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    return turns


def clear(**options: Any) -> dict[str, Any]:
    """The edit that clears all but the last result, from the first token on."""
    rules = {
        "trigger": {"type": "input_tokens", "value": 1},
        "keep": {"type": "tool_uses", "value": 1},
        **options,
    }
    return {"edits": [{"type": "clear_tool_uses_20250919", **rules}]}


async def edited(client: AsyncAnthropic, turns: list[Any], management: dict[str, Any]) -> Any:
    """The final message of a stream under context editing; counting agrees with its bill."""
    request: dict[str, Any] = {"model": SONNET, "messages": turns, "context_management": management}
    counted = await client.beta.messages.count_tokens(betas=[BETA], **request)
    async with client.beta.messages.stream(max_tokens=2000, betas=[BETA], **request) as stream:
        message = await stream.get_final_message()
    assert counted.input_tokens == message.usage.input_tokens
    assert counted.context_management is not None
    plain = await client.messages.count_tokens(model=SONNET, messages=turns)
    assert counted.context_management.original_input_tokens == plain.input_tokens
    applied = message.context_management.applied_edits if message.context_management else []
    cleared = sum(edit.cleared_input_tokens for edit in applied)
    assert message.usage.input_tokens == plain.input_tokens - cleared
    return message


async def test_old_results_are_cleared_before_billing(client: AsyncAnthropic) -> None:
    """All but those to keep; the end of the stream says how many, and how much that was."""
    message = await edited(client, loop(3600, 3600, 720), clear())
    (done,) = message.context_management.applied_edits
    assert done.type == "clear_tool_uses_20250919"
    assert done.cleared_tool_uses == 2
    assert 1900 < done.cleared_input_tokens < 2000
    edit: Any = clear()
    whole = await client.beta.messages.create(
        model=SONNET,
        max_tokens=2000,
        messages=loop(3600, 3600, 720),
        betas=[BETA],
        context_management=edit,
    )
    assert whole.context_management == message.context_management


@pytest.mark.parametrize(
    ("options", "cleared"),
    [
        ({}, 3),
        ({"trigger": {"type": "input_tokens", "value": 50_000}}, 0),
        ({"trigger": {"type": "tool_uses", "value": 3}}, 3),
        ({"trigger": {"type": "tool_uses", "value": 4}}, 0),
        ({"keep": {"type": "tool_uses", "value": 3}}, 1),
        ({"keep": None}, 1),
        ({"keep": {"type": "tool_uses", "value": 9}}, 0),
        ({"exclude_tools": ["f0"]}, 1),
        ({"clear_at_least": {"type": "input_tokens", "value": 2900}}, 3),
        ({"clear_at_least": {"type": "input_tokens", "value": 3100}}, 0),
    ],
)
async def test_an_edit_obeys_its_options(
    client: AsyncAnthropic, options: dict[str, Any], cleared: int
) -> None:
    """trigger, keep, exclude_tools and clear_at_least."""
    message = await edited(client, loop(3600, 3600, 3600, 720), clear(**options))
    applied = message.context_management.applied_edits
    assert sum(done.cleared_tool_uses for done in applied) == cleared


async def test_inputs_are_cleared_along_when_asked(client: AsyncAnthropic) -> None:
    """clear_tool_inputs takes all of them, or those of some tools."""
    turns = loop(360, 360, 360)
    tokens = [
        (
            await edited(client, turns, clear(clear_tool_inputs=inputs))
        ).context_management.applied_edits[0]
        for inputs in (False, ["f0"], True)
    ]
    less, some, most = (done.cleared_input_tokens for done in tokens)
    assert less < some < most


@pytest.mark.parametrize(
    ("betas", "model", "management", "words"),
    [
        ([], SONNET, clear(), "context_management: Extra inputs are not permitted"),
        ([BETA], SONNET, {"edits": [{"type": "clear_all"}]}, "edits.0: Input tag does not match"),
        ([BETA], SONNET, clear(keep={"type": "input_tokens", "value": 1}), "edits.0.keep"),
        ([BETA], SONNET, clear(trigger={"type": "tool_uses"}), "edits.0.trigger"),
        ([BETA], "claude-3-7-sonnet-20250219", clear(), "not supported on this model"),
    ],
    ids=["no-beta", "unknown", "keep", "trigger", "old-model"],
)
async def test_an_edit_that_cannot_be_is_refused(
    client: AsyncAnthropic, betas: list[str], model: str, management: Any, words: str
) -> None:
    """It takes the beta, a known kind, figures of the right kind, and a model that can."""
    with pytest.raises(anthropic.BadRequestError, match=words):
        await client.beta.messages.count_tokens(
            model=model, messages=loop(10), betas=betas, context_management=management
        )


async def test_clearing_makes_a_long_conversation_fit(client: AsyncAnthropic) -> None:
    """A prompt beyond the window is refused, in so many words, unless enough of it is cleared."""
    turns = loop(720_000, 720)
    words = r"prompt is too long: \d+ tokens > 200000 maximum"
    with pytest.raises(anthropic.BadRequestError, match=words):
        await client.messages.create(model=HAIKU, max_tokens=99, messages=turns)
    edit: Any = clear()
    message = await client.beta.messages.create(
        model=HAIKU, max_tokens=99, messages=turns, betas=[BETA], context_management=edit
    )
    assert message.usage.input_tokens < 1000


async def test_models_say_what_they_can_do(client: AsyncAnthropic) -> None:
    """Context management, server tools, images and PDFs, in the SDK's types."""
    for name, edits in ((SONNET, True), ("claude-3-7-sonnet-20250219", False)):
        can = (await client.models.retrieve(name)).capabilities
        assert can is not None
        assert can.context_management.clear_tool_uses_20250919 is not None
        assert can.context_management.supported is edits
        assert can.context_management.clear_tool_uses_20250919.supported is edits
        assert can.server_tools.supported
        assert can.server_tools.web_search.supported
        assert can.server_tools.code_execution.supported
        assert can.image_input.supported
        assert can.pdf_input.supported


def image(raw: bytes, media_type: str) -> dict[str, Any]:
    data = base64.b64encode(raw).decode()
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "image", "source": source}


def png(width: int, height: int) -> dict[str, Any]:
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)
    return image(head, "image/png")


def jpeg(width: int, height: int) -> dict[str, Any]:
    app = b"\xff\xe0" + struct.pack(">H", 2000) + b"\0" * 1998
    frame = b"\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width)
    return image(b"\xff\xd8" + app + frame, "image/jpeg")


def gif(width: int, height: int) -> dict[str, Any]:
    return image(b"GIF89a" + struct.pack("<HH", width, height), "image/gif")


def webp(kind: bytes, head: bytes) -> dict[str, Any]:
    return image(b"RIFF\0\0\0\0WEBP" + kind + b"\0\0\0\0" + head, "image/webp")


def pdf(pages: int) -> dict[str, Any]:
    raw = b"%PDF-1.7 << /Type /Pages >> " + b"<< /Type /Page >> " * pages
    data = base64.b64encode(raw).decode()
    source = {"type": "base64", "media_type": "application/pdf", "data": data}
    return {"type": "document", "source": source}


WIDE = (1500, 1000)


@pytest.mark.parametrize(
    ("block", "tokens"),
    [
        (png(*WIDE), 2000),
        (jpeg(*WIDE), 2000),
        (gif(*WIDE), 2000),
        (webp(b"VP8 ", b"\0" * 6 + struct.pack("<HH", *WIDE)), 2000),
        (webp(b"VP8L", b"\x2f" + struct.pack("<I", 1499 | 999 << 14)), 2000),
        (webp(b"VP8X", b"\0" * 4 + b"\xdb\x05\0" + b"\xe7\x03\0"), 2000),
        (png(200, 200), 54),
        (png(3136, 1568), 1640),
        ({"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}}, 1600),
        (pdf(3), 6000),
        (
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "x" * 360},
            },
            104,
        ),
    ],
    ids=[
        "png",
        "jpeg",
        "gif",
        "lossy",
        "lossless",
        "extended",
        "small",
        "scaled",
        "url",
        "pdf",
        "text",
    ],
)
async def test_what_is_attached_is_counted_by_its_size(
    client: AsyncAnthropic, block: dict[str, Any], tokens: int
) -> None:
    """Pixels / 750 once scaled to 1568, pages, characters; a constant for what is not seen."""
    text = {"type": "text", "text": "?"}
    assert await count(client, text, block) - await count(client, text) == tokens


PLAIN = {"type": "base64", "media_type": "image/png"}


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ([png(8001, 10)], "exceed max allowed size: 8000 pixels"),
        ([png(2001, 10)] * 21, "exceed max allowed size: 2000 pixels"),
        ([png(10, 10)] * 601, r"too many images and documents: 601 \+ 0 > 600"),
        ([image(b"\x89PNG but not", "image/png")], "Could not process image"),
        ([{"type": "image", "source": {**PLAIN, "data": "%%%"}}], "Could not process image"),
        ([image(b"GIF89a\1\0\1\0", "image/png")], "appears to be a image/gif image"),
        ([image(b"BM", "image/bmp")], "media_type: Input should be 'image/jpeg'"),
        (
            [{"type": "image", "source": {**PLAIN, "data": "A" * (10 * 1024 * 1024 + 4)}}],
            "image exceeds 10 MB maximum: 10485764 bytes > 10485760 bytes",
        ),
        ([{"type": "image", "source": {"type": "url", "url": "http://a.example"}}], "Only HTTPS"),
        ([{"type": "image"}], "Input should be a base64, url or file source"),
        ([pdf(601)], "A maximum of 600 PDF pages"),
        (
            [
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"},
                }
            ],
            "The PDF specified was not valid",
        ),
    ],
    ids=[
        *("wide", "many-wide", "many", "broken", "no-base64", "other-kind", "bitmap", "large"),
        *("http", "empty", "pages", "no-pdf"),
    ],
)
async def test_what_cannot_be_attached_is_refused(
    client: AsyncAnthropic, blocks: list[Any], words: str
) -> None:
    """Too large, too many, or not what it says."""
    with pytest.raises(anthropic.BadRequestError, match=words):
        await client.messages.count_tokens(model=SONNET, messages=user(*blocks))


async def test_an_image_in_a_result_is_an_image(client: AsyncAnthropic) -> None:
    """It is counted, and refused, as one in a message is."""
    turns = loop(10)
    turns[-1]["content"][0]["content"] = [png(1500, 1000)]
    plain = await client.messages.count_tokens(model=SONNET, messages=loop(10))
    counted = await client.messages.count_tokens(model=SONNET, messages=turns)
    assert 1950 < counted.input_tokens - plain.input_tokens < 2050
    turns[-1]["content"][0]["content"] = [png(9000, 1000)]
    with pytest.raises(anthropic.BadRequestError, match=r"tool_result\.content\.0\.image\.source"):
        await client.messages.count_tokens(model=SONNET, messages=turns)


async def test_a_request_beyond_32_megabytes_is_refused(client: AsyncAnthropic) -> None:
    """A 413, whatever is in it."""
    with pytest.raises(anthropic.RequestTooLargeError):
        await client.messages.count_tokens(
            model=SONNET, messages=user({"type": "text", "text": "x" * (32 * 1024 * 1024)})
        )


async def test_messages_of_one_role_are_one_prompt(client: AsyncAnthropic) -> None:
    """In one message or in two, the same blocks cost the same."""
    two = [*user(WORDS), *user(WORDS)]
    apart = await client.messages.count_tokens(model=SONNET, messages=two)
    assert apart.input_tokens == await count(client, WORDS, WORDS)
