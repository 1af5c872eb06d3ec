"""The simulator on a bare socket: HTTP, and whatever else may arrive."""

import json
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.simulator import (
    Raw,
    Reply,
    Simulator,
    SimulatorSettings,
    open_simulator,
    run_simulator,
)
from gateway.simulator.binding import BINDING_CONTROLS
from gateway.simulator.cache import PromptCache
from gateway.simulator.context_editing import CONTEXT_MANAGEMENT
from gateway.simulator.metronome import Metronome
from gateway.simulator.request import Received
from gateway.simulator.sample import sample
from gateway.simulator.service import Generated, Service, Whole
from gateway.simulator.signature import Signer
from gateway.simulator.sources import cite_document
from gateway.simulator.tool_changes import INLINE_TOOLS
from protocol.provider.formats import FORMATS, is_of_format

HEADERS = {"x-api-key": "any", "anthropic-version": "2026-10-21"}


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    options = SimulatorSettings(body_limit=100_000, idle_timeout=5)
    async with open_simulator(seed=1, settings=options) as simulator:
        yield simulator


def post(body: bytes, path: str = "/v1/messages", **headers: str) -> bytes:
    lines = {"host": "x", "content-length": str(len(body)), **HEADERS, **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def message(text: str = "?", **more: Any) -> bytes:
    turns = [{"role": "user", "content": text}]
    body = {"model": "claude-haiku-4-5", "max_tokens": 500, "messages": turns, **more}
    return json.dumps(body).encode()


async def talk(simulator: Simulator, sent: bytes) -> bytes:
    """Everything that comes back until the simulator hangs up."""
    with trio.fail_after(5):
        async with await trio.open_tcp_stream("127.0.0.1", simulator.port) as stream:
            await stream.send_all(sent)
            return b"".join([part async for part in stream])


async def test_a_connection_serves_one_request_after_another(simulator: Simulator) -> None:
    """Requests that were sent ahead are answered in order, streamed or not."""
    sent = post(message(stream=True)) + post(message()) + post(b"", "/nowhere", connection="close")
    answer = await talk(simulator, sent)
    statuses = re.findall(rb"HTTP/1.1 ([\w ]+)", answer)
    assert statuses == [b"200 OK", b"200 OK", b"404 Not Found"]
    assert b"transfer-encoding: chunked" in answer.lower()
    assert len(simulator.requests) == 3


async def test_a_client_may_ask_before_it_sends(simulator: Simulator) -> None:
    """Expect: 100-continue is answered before the body is read."""
    sent = post(message(), expect="100-continue", connection="close")
    answer = await talk(simulator, sent)
    assert answer.startswith((b"HTTP/1.1 100", b"HTTP/1.1 200"))
    assert b"HTTP/1.1 200" in answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", b"431"),
        (post(b"x" * 100_001), b"413"),
        (post(message(), connection="close", **{"x-api-key": ""}), b"401"),
        (post(b"{", connection="close"), b"400"),
        (post(b"[" * 50_000, connection="close"), b"400"),
        (post(b'"\xff"', connection="close"), b"400"),
        (post(b"", connection="close"), b"400"),
        (post(b"{}", "/v1/models", connection="close"), b"405"),
        (post(b"{}", "/v1/messages?\x7f%ff", connection="close"), b"400"),
    ],
    ids=[
        "text",
        "tls",
        "no-host",
        "long-path",
        "long-body",
        "no-key",
        "half-json",
        "deep-json",
        "no-utf8",
        "no-body",
        "wrong-method",
        "odd-query",
    ],
)
async def test_what_cannot_be_read_is_refused(
    simulator: Simulator, sent: bytes, status: bytes
) -> None:
    """A malformed request gets a status and an error in JSON; the next client is served."""
    answer = await talk(simulator, sent)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b'"type":"error"' in answer
    assert b"200 " in await talk(simulator, post(message(), connection="close"))


@pytest.mark.parametrize("rate", [0, 1_000_000])
async def test_a_slow_reader_loses_nothing(simulator: Simulator, rate: int) -> None:
    """A stream that has to wait for its reader goes on where it was, paced or not."""
    sent = post(message(f"[[sim: count=1000 chars=9000 rate={rate}]]", stream=True))
    async with await trio.open_tcp_stream("127.0.0.1", simulator.port) as stream:
        await stream.send_all(sent)
        await stream.receive_some(1)
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert simulator.open_streams == 1
        received = b""
        with trio.fail_after(5):
            while b"message_stop" not in received[-500:]:
                received += await stream.receive_some(1 << 20)
    assert received.count(b'"text_delta"') == 1000
    assert len(received) > 9_000_000


async def test_garbage_never_ends_the_server(simulator: Simulator) -> None:
    """Random bytes, broken off anywhere, end only their own connection."""
    chance = random.Random(1)
    valid = post(message(stream=True))
    for _ in range(50):
        broken = bytearray(valid[: chance.randrange(1, len(valid))])
        for _ in range(3):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        async with await trio.open_tcp_stream("127.0.0.1", simulator.port) as stream:
            await stream.send_all(bytes(broken))
    assert b"200 " in await talk(simulator, post(message(), connection="close"))


async def test_an_idle_connection_is_closed() -> None:
    """A client that sends nothing is not waited for longer than idle_timeout."""
    async with open_simulator(settings=SimulatorSettings(idle_timeout=0.05)) as simulator:
        assert await talk(simulator, b"") == b""
        assert await talk(simulator, b"POST /v1/mess") == b""


async def test_a_command_is_told_when_it_listens() -> None:
    """run_simulator serves until cancelled, and says where."""
    with trio.move_on_after(5) as serving:

        def ready(simulator: Simulator) -> None:
            assert simulator.url == f"http://127.0.0.1:{simulator.port}"
            serving.cancel()

        await run_simulator(port=0, on_ready=ready)
    assert serving.cancelled_caught
    assert trio.current_time() < serving.deadline


async def test_a_busy_port_is_an_error(simulator: Simulator) -> None:
    """A second simulator on the same port does not start."""
    with pytest.RaisesGroup(OSError, allow_unwrapped=True, flatten_subgroups=True):
        async with open_simulator(port=simulator.port):
            pass


NAMES = ["type", "text", "role", "content", "id", "source", "input", "edits", "tool_use_id"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5000) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=8,
)
FIELDS = [
    "system",
    "tools",
    "thinking",
    "tool_choice",
    "output_config",
    "stop_sequences",
    "cache_control",
    "context_management",
    "stream",
    "messages",
    "max_tokens",
    "model",
]


@given(st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=3), st.booleans())
@settings(max_examples=100, deadline=None)
def test_whatever_the_body_says_it_is_an_answer_or_a_refusal(
    body: dict[str, Any], counting: bool
) -> None:
    """Ill-typed fields anywhere are a 4xx, never an exception."""
    service = Service(SimulatorSettings(), cache=PromptCache(), seed=1)
    whole = {**json.loads(message()), **body}
    path = "/v1/messages/count_tokens" if counting else "/v1/messages"
    betas = f"{CONTEXT_MANAGEMENT},{INLINE_TOOLS},{BINDING_CONTROLS}"
    headers = {**HEADERS, "anthropic-beta": betas}
    match service.answer(Received("POST", path, {}, headers, whole, b"", "req_1")):
        case Whole(status):
            assert status in (200, 400, 404)
        case Generated():
            assert not counting


async def test_a_metronome_keeps_time(autojump_clock: trio.testing.MockClock) -> None:
    """Beats are called when they are due, in that order, until they say that it is over."""
    metronome = Metronome()
    begin = trio.current_time()
    called: list[tuple[str, float]] = []

    async def conduct(name: str, times: list[float]) -> None:
        def beat(now: float) -> float | None:
            called.append((name, round(now - begin, 3)))
            return begin + times.pop(0) if times else None

        await metronome.conduct(beat, begin + times.pop(0))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(metronome.run)
        async with trio.open_nursery() as parts:
            parts.start_soon(conduct, "a", [0.3, 0.7, 0.9])
            parts.start_soon(conduct, "b", [0.2, 0.4, 0.6])
        nursery.cancel_scope.cancel()
    assert called == [("b", 0.2), ("a", 0.3), ("b", 0.4), ("b", 0.6), ("a", 0.7), ("a", 0.9)]


async def test_a_beat_that_fails_fails_its_own_stream() -> None:
    """What a beat raises comes out where it is conducted; the metronome goes on."""
    metronome = Metronome()

    def broken(now: float) -> float | None:
        raise LookupError

    async with trio.open_nursery() as nursery:
        nursery.start_soon(metronome.run)
        with pytest.raises(LookupError):
            await metronome.conduct(broken, 0)
        await metronome.conduct(lambda now: None, 0)
        nursery.cancel_scope.cancel()


async def test_an_answer_that_cannot_be_written_ends_its_connection(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """A script's mistake is logged, whether it shows before or in the stream; others are served."""
    lone_surrogate = Reply(blocks=(Raw({"type": "text", "text": "x\ud800"}),))
    simulator.script(lone_surrogate, msgspec.structs.replace(lone_surrogate, rate=1000))
    for _ in range(2):
        await talk(simulator, post(message(stream=True)))
    assert caplog.text.count("a simulated connection failed") == 2
    assert b"200 OK" in await talk(simulator, post(message(), connection="close"))


KINDS = [
    *("text", "image", "document", "thinking", "tool_use", "tool_result", "server_tool_use"),
    *("web_search_tool_result", "base64", "url", "clear_tool_uses_20250919"),
    *("tool_addition", "tool_removal", "tool_reference", "redacted_thinking"),
]
SIGNATURES = [Signer().sign("", ""), "AAAA"]
tools = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["custom", "web_search_20250305", "tool_search_tool_regex"]),
        "name": st.sampled_from(["f", "web_search"]) | json_values,
        "input_schema": st.just({"type": "object"}) | json_values,
        **dict.fromkeys(("defer_loading", "cache_control"), json_values),
    },
)
changed = st.fixed_dictionaries(
    {"type": st.sampled_from(["tool_reference", "tool_definition"])},
    optional={"name": st.just("f") | json_values, "definition": tools | json_values},
)
blocks = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS)},
    optional={
        **dict.fromkeys(("text", "thinking", "name"), st.text(max_size=3)),
        **dict.fromkeys(("signature", "data"), st.sampled_from(SIGNATURES)),
        "tool": changed | json_values,
        **dict.fromkeys(("id", "tool_use_id"), st.sampled_from(["a", "b"])),
        **dict.fromkeys(("content", "source", "input", "is_error", "citations"), json_values),
    },
)
turns = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "assistant", "system"]),
            "content": st.text(min_size=1, max_size=3) | st.lists(blocks, max_size=3),
        }
    ),
    max_size=3,
)
edits = st.fixed_dictionaries({"edits": st.lists(blocks | json_values, max_size=2)})


thinking = st.fixed_dictionaries(
    {"type": st.just("adaptive")},
    optional={
        "block_binding": st.just({"prefix_mismatch_behavior": "drop_block"}) | json_values,
    },
)


@given(turns, st.none() | edits, st.none() | st.lists(tools, max_size=2), thinking, st.booleans())
@settings(max_examples=150, deadline=None)
def test_whatever_the_blocks_are_it_is_an_answer_or_a_refusal(
    more: list[Any], management: Any, offered: Any, thinking: Any, counting: bool
) -> None:
    """Ill-made blocks of every kind are a 400, never an exception."""
    service = Service(SimulatorSettings(), cache=PromptCache(), seed=1)
    body = json.loads(message(model="claude-sonnet-5-5"))
    body["messages"] += more
    body |= {"context_management": management, "tools": offered, "thinking": thinking}
    path = "/v1/messages/count_tokens" if counting else "/v1/messages"
    betas = f"{CONTEXT_MANAGEMENT},{INLINE_TOOLS},{BINDING_CONTROLS}"
    headers = {**HEADERS, "anthropic-beta": betas}
    match service.answer(Received("POST", path, {}, headers, body, b"", "req_1")):
        case Whole(status):
            assert status in (200, 400)
        case Generated():
            assert not counting


def test_a_sample_fits_its_schema() -> None:
    """Values come from the text where they can, and from the schema where they must."""
    schema = {
        "type": "object",
        "properties": {
            "word": {"type": "string"},
            "number": {"type": "number"},
            "flag": {"type": ["boolean", "null"]},
            "unit": {"enum": ["C", "F"]},
            "fixed": {"const": 7},
            "list": {"type": "array", "items": {"type": "integer"}},
            "either": {"anyOf": [{"type": "null"}, {"type": "string"}]},
            "inner": {"type": "object", "properties": {"x": {"type": "string"}}},
        },
    }
    assert sample(schema, 'Set "heat" to 21.5 please') == {
        "word": "heat",
        "number": 21.5,
        "flag": True,
        "unit": "C",
        "fixed": 7,
        "list": [21],
        "either": None,
        "inner": {"x": "heat"},
    }


@pytest.mark.parametrize("name", FORMATS)
def test_a_sample_has_the_format(name: str) -> None:
    """Of every kind that there is."""
    assert is_of_format(sample({"type": "string", "format": name}, "Say 'tea'"), name)


def test_a_schema_without_end_has_a_sample() -> None:
    """Nesting is followed only so far."""
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    schema["properties"]["again"] = schema
    assert sample(schema, "")


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ({"type": "text", "data": "Plain."}, "char_location"),
        ({"type": "content", "content": [{"text": "Part."}]}, "content_block_location"),
        ({"type": "content", "content": "Whole."}, "content_block_location"),
        ({"type": "base64", "data": "JVBERi0="}, "page_location"),
    ],
)
def test_each_kind_of_document_has_its_citation(source: dict[str, Any], kind: str) -> None:
    """Text is cited by characters, content by blocks, a PDF by pages."""
    text = cite_document("So it says", 0, {"title": "T", "source": source})
    assert text.citations[0]["type"] == kind
