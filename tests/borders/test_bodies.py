"""Bodies of the provider: none is read, kept or unpacked without a bound.

Reported of other programs: a buffer that grows until the process dies (KarpelesLab/teamclaude 341),
and a long event that is copied with every piece of it (openai/openai-node 2324).
"""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.anthropic import bodies
from gateway.anthropic.model import AnthropicModel
from gateway.simulator import Fault, Reply, ReplyText, SimulatorSettings
from protocol.errors import ProviderError
from protocol.provider.events import (
    ContentBlockDelta,
    MalformedEvent,
    MessageStop,
    ProviderEvent,
    TextDelta,
)
from tests.answers import all_of, next_of
from tests.prompts import prompt_of
from tests.support import open_world, text_of

MIB = 1024 * 1024
HEAD = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n%bConnection: close\r\n\r\n"
REQUEST = b'{"model":"m","max_tokens":100,"messages":[]}'
PACKED = gzip.compress(b" " * (100 * MIB), 1)

Send = Callable[[bytes], Awaitable[None]]


@asynccontextmanager
async def open_provider(say: Callable[[Send], Awaitable[None]]) -> AsyncIterator[AnthropicModel]:
    """The adapter before a provider that says this to every request."""

    async def serve(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            async with stream:
                request = b""
                while not request.endswith(b"[]}" if request[:4] == b"POST" else b"\r\n\r\n"):
                    request += await stream.receive_some()
                await say(stream.send_all)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        model = AnthropicModel(
            lambda: "sk-test",
            base_url=f"http://127.0.0.1:{port}",
            connect_seconds=5.0,
            answer_seconds=5.0,
        )
        with trio.fail_after(20):
            yield model
            await model.aclose()
        nursery.cancel_scope.cancel()


@contextmanager
def bounded_memory(most: int) -> Iterator[None]:
    """What happens inside never holds more than so many bytes."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


async def events_of(model: AnthropicModel, max_tokens: int = 100) -> list[ProviderEvent]:
    """All events of an answer."""
    async with model.stream(prompt_of(REQUEST, max_tokens=max_tokens)) as events:
        return await all_of(events)


async def endless(send: Send, head: bytes, piece: bytes) -> None:
    """Send without end."""
    await send(head)
    while True:
        await send(piece)


async def test_an_error_without_end_is_the_error_that_its_status_says() -> None:
    """Its beginning is read, and no more."""
    head = HEAD % (b"529 Overloaded", b"") + b'{"error": {"message": "'
    with bounded_memory(8 * MIB):
        async with open_provider(lambda send: endless(send, head, b"x" * 65_536)) as model:
            with pytest.raises(ProviderError) as caught:
                await events_of(model)
            assert caught.value.failure.code == "OVERLOADED"


async def test_a_redirect_without_end_is_told_as_a_redirect() -> None:
    """It is no answer, and is read no further than an error."""
    head = HEAD % (b"302 Found", b"Location: http://127.0.0.1:1/\r\n")
    with bounded_memory(8 * MIB):
        async with open_provider(lambda send: endless(send, head, b"x" * 65_536)) as model:
            with pytest.raises(ProviderError, match="address redirects elsewhere"):
                await events_of(model)


@pytest.mark.parametrize("packing", [b"gzip", b"deflate", b"br", b"zstd", b"gzip, gzip"])
async def test_a_packed_error_is_not_unpacked_without_a_bound(packing: bytes) -> None:
    """Whatever it is packed with: 100 MiB come in 400 KB."""
    head = HEAD % (b"429 Too Many Requests", b"Content-Encoding: %b\r\n" % packing)
    async with open_provider(lambda send: send(head + PACKED)) as model:
        with bounded_memory(8 * MIB), pytest.raises(ProviderError) as caught:
            await events_of(model)
    assert caught.value.failure.code == "RATE_LIMITED"


async def test_a_list_of_models_is_bounded() -> None:
    """Packed or not, it ends with a clear error."""
    head = HEAD % (b"200 OK", b"Content-Encoding: gzip\r\n")
    with bounded_memory(24 * MIB):
        async with open_provider(lambda send: send(head + PACKED)) as model:
            with pytest.raises(ProviderError, match="LLM_ERROR: The provider sends more than"):
                await model.list_models()
        head = HEAD % (b"200 OK", b"")
        async with open_provider(lambda send: endless(send, head, b" " * 65_536)) as model:
            with pytest.raises(ProviderError, match="LLM_ERROR: The provider sends more than"):
                await model.describe("m")


async def test_what_follows_the_end_of_a_packed_body_is_not_read() -> None:
    """The unpacker would keep all of it."""
    head = HEAD % (b"200 OK", b"Content-Encoding: gzip\r\n")
    head += gzip.compress(b'{"id": "claude-sonnet-5-5", "max_tokens": 7}')
    with bounded_memory(8 * MIB):
        async with open_provider(lambda send: endless(send, head, b"x" * 65_536)) as model:
            assert (await model.describe("claude-sonnet-5-5")).max_tokens == 7


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"text/html", b"<p>Welcome</p>"),
        (b"application/json", b"{"),
        (b"application/json", b"[" * 100_000),
        (b"application/json", b"[]"),
    ],
)
async def test_an_answer_that_is_no_json_is_a_failure_of_the_provider(
    kind: bytes, body: bytes
) -> None:
    """Whatever is asked for, and however deep it is."""
    head = (HEAD % (b"200 OK", b"")).replace(b"application/json", kind)
    async with open_provider(lambda send: send(head + body)) as model:
        with pytest.raises(ProviderError, match="LLM_ERROR: The provider's models endpoint"):
            await model.describe("m")
        with pytest.raises(ProviderError, match="LLM_ERROR: The provider's count"):
            await model.count_tokens(REQUEST)


async def test_pages_of_models_without_end_are_not_asked_for() -> None:
    """Each says that there is one more."""
    told = {"id": "m", "type": "model", "display_name": "M", "created_at": "2026-01-01T00:00:00Z"}
    body = json.dumps({"data": [told] * 100, "has_more": True, "last_id": "m"}).encode()
    async with open_provider(lambda send: send(HEAD % (b"200 OK", b"") + body)) as model:
        assert len(await model.list_models()) == 1_000


async def test_a_packing_that_is_not_read_is_named() -> None:
    """It was asked for none."""
    head = HEAD % (b"200 OK", b"Content-Encoding: br\r\n")
    async with open_provider(lambda send: send(head + b"\x8b")) as model:
        with pytest.raises(ProviderError, match="LLM_ERROR: The provider's address packs"):
            await events_of(model)
        with pytest.raises(ProviderError, match="LLM_ERROR: The provider's address packs"):
            await model.list_models()
    head = HEAD % (b"200 OK", b"Content-Encoding: gzip\r\n")
    async with open_provider(lambda send: send(head + b"no gzip at all")) as model:
        with pytest.raises(ProviderError, match="LLM_ERROR: The provider's address packs"):
            await events_of(model)


@pytest.mark.parametrize(
    "piece", [b'data: {"type":"news"}\n\n' * 3_000, b": quiet\n\n" * 8_000, b"\n" * 65_536]
)
async def test_an_answer_is_bounded_by_its_tokens(
    piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one of which nothing is kept."""
    monkeypatch.setattr(bodies, "BESIDE_TOKENS", 2 * MIB)
    head = HEAD % (b"200 OK", b"")
    async with open_provider(lambda send: endless(send, head, piece)) as model:
        with pytest.raises(ProviderError, match="LLM_ERROR: The provider sends more than"):
            await events_of(model, max_tokens=1_000)


def test_what_the_providers_tools_bring_counts_extra() -> None:
    """It is no output of the model."""
    plain = bodies.longest_answer(prompt_of(max_tokens=1_000))
    assert plain == 1_000 * bodies.A_TOKEN + bodies.BESIDE_TOKENS
    served = bodies.longest_answer(prompt_of(max_tokens=1_000, has_served_tools=True))
    assert served == plain + bodies.SERVED


async def test_a_long_event_holds_nobody_up() -> None:
    """Fifteen megabytes of text in one event: other tasks go on meanwhile."""
    text = b"word\\n" * (5 * MIB // 2)
    began = b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"'
    pieces = [began, *(text[at : at + 16_384] for at in range(0, len(text), 16_384)), b'"}}\n\n']
    longest = 0.0

    async def say(send: Send) -> None:
        await send(HEAD % (b"200 OK", b""))
        for piece in pieces:
            await send(piece)

    async def watch() -> None:
        nonlocal longest
        while True:
            last = time.thread_time()
            await trio.sleep(0.002)
            longest = max(longest, time.thread_time() - last)

    async with open_provider(say) as model, trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        events = await events_of(model, max_tokens=64_000)
        nursery.cancel_scope.cancel()
    texts = [
        event.delta.text
        for event in events
        if isinstance(event, ContentBlockDelta) and isinstance(event.delta, TextDelta)
    ]
    assert "".join(texts) == "word\n" * (5 * MIB // 2)
    assert max(map(len, texts)) <= 16_384
    assert longest < 0.15, "seconds of CPU between two turns of another task"


async def test_an_event_of_too_many_parts_is_refused() -> None:
    """Decoding it would hold everything up for seconds."""

    async def say(send: Send) -> None:
        await send(HEAD % (b"200 OK", b"") + b'data: {"type":"content_block_start","x":[')
        for _ in range(100):
            await send(b"[]," * 5_000)

    async with open_provider(say) as model:
        with pytest.raises(MalformedEvent):
            await events_of(model, max_tokens=64_000)


async def test_a_message_that_comes_as_a_whole_comes_in_small_texts() -> None:
    """Taking a text of five megabytes in at once held the loop for minutes."""
    text = "word \n" * (MIB // 2)
    told = {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "model": "m",
        "stop_reason": "end_turn",
    }
    body = json.dumps({**told, "content": [{"type": "text", "text": text}], "usage": {}}).encode()
    async with open_provider(lambda send: send(HEAD % (b"200 OK", b"") + body)) as model:
        events = await events_of(model, max_tokens=64_000)
    texts = [
        event.delta.text
        for event in events
        if isinstance(event, ContentBlockDelta) and isinstance(event.delta, TextDelta)
    ]
    assert "".join(texts) == text
    assert max(map(len, texts)) <= 16_384


async def test_a_body_that_breaks_off_after_the_last_event_is_whole() -> None:
    """Some proxies close the connection without the last chunk."""
    body = b'data: {"type":"message_start","message":{"id":"m","model":"m","usage":{}}}\n\n'
    body += b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\n'
    body += b'data: {"type":"message_stop"}\n\n'
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body)
    seen: list[ProviderEvent] = []
    async with (
        open_provider(lambda send: send(head + body + b"\r\n")) as model,
        model.stream(prompt_of(REQUEST)) as events,
    ):
        while not seen or not isinstance(seen[-1], MessageStop):
            seen += await next_of(events)
    assert len(seen) == 3


# --- through the whole gateway -----------------------------------------------------------------


async def test_a_packed_stream_is_unpacked(tmp_path: Path) -> None:
    """Some proxies pack what nobody asked them to."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=(ReplyText("Hello."),), fault=Fault("packed")))
        frames = await talk.turn("Hello?")
        assert text_of(frames) == "Hello."
        assert frames[-1]["type"] == "chat.stream.end"


async def test_an_answer_without_end_is_cut_off_and_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came is kept and billed as an estimate, and the session goes on."""
    monkeypatch.setattr(bodies, "BESIDE_TOKENS", MIB)
    endless_text = Reply(blocks=(ReplyText("Well: "),), fault=Fault("endless", at=3))
    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(endless_text)
        frames = await talk.turn("Hello?", maxTokens=1_000)
        error = frames[-1]
        assert (error["type"], error["code"], error["retryable"]) == ("error", "LLM_ERROR", False)
        assert error["message"].startswith("The provider sends more than an answer may have")
        assert error["usage"]["estimated"] is True
        assert len(text_of(frames)) < 2 * MIB
        again = await talk.turn("And?", sessionId=frames[0]["sessionId"])
        assert again[-1]["type"] == "chat.stream.end"


@pytest.mark.parametrize("kind", ["noise", "pings", "empties"])
async def test_what_nobody_knows_is_no_sign_of_life(tmp_path: Path, kind: Any) -> None:
    """Nor is a ping, nor a piece of text without any."""
    settings: dict[str, Any] = {"llm_idle_seconds": 0.3, "retry_attempts": 0}
    provider = SimulatorSettings(ping_every=0.05)
    async with open_world(tmp_path, provider=provider, **settings) as world, world.talk() as talk:
        world.simulator.script(Reply(blocks=(ReplyText("Hello."),), fault=Fault(kind, at=3)))
        assert (await talk.turn("Hello?"))[-1]["code"] == "LLM_TIMEOUT"


async def test_a_turn_has_a_longest_duration(tmp_path: Path) -> None:
    """However lively it is; the failure says so, and what came is kept."""
    async with open_world(tmp_path, turn_seconds=0.5) as world, world.talk() as talk:
        frames = await talk.turn("[[sim: rate=50 count=10000 chars=4]] Hello?")
        error = frames[-1]
        assert (error["type"], error["code"], error["retryable"]) == ("error", "LLM_TIMEOUT", False)
        assert error["message"].startswith("This turn has taken longer than a turn may")
        assert error["usage"]["estimated"] is True
        history = await talk.ask("session.history", sessionId=frames[0]["sessionId"])
        assert history["messages"][1]["status"] == "partial"
        assert history["messages"][1]["content"][0]["text"] == text_of(frames)
