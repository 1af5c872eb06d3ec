"""Decoding the provider's events: what is read, what is ignored, what is refused."""

import json
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.provider.events import (
    CacheCreation,
    CitationsDelta,
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    ErrorDetails,
    InputJsonDelta,
    MalformedEvent,
    MessageDelta,
    MessageEnd,
    MessageStart,
    MessageStop,
    OutputTokensDetails,
    ProviderEvent,
    ProviderMessage,
    ProviderPing,
    ProviderUsage,
    ServerToolUse,
    SignatureDelta,
    StreamError,
    TextDelta,
    ThinkingDelta,
    UnknownEvent,
    decode_event,
)
from tests.protocol.strategies import FEW, JSON_VALUES, values

USAGE = {
    "input_tokens": 1,
    "output_tokens": 2,
    "cache_creation_input_tokens": 3,
    "cache_read_input_tokens": None,
    "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2},
    "server_tool_use": {"web_search_requests": 4, "web_fetch_requests": 0},
    "output_tokens_details": {"thinking_tokens": 5},
    "service_tier": "standard",
}
READ = ProviderUsage(
    input_tokens=1,
    output_tokens=2,
    cache_creation_input_tokens=3,
    cache_creation=CacheCreation(1, 2),
    server_tool_use=ServerToolUse(4),
    output_tokens_details=OutputTokensDetails(5),
)


@pytest.mark.parametrize(
    ("sent", "event"),
    [
        (
            {"type": "message_start", "message": {"id": "m", "model": "x", "usage": USAGE}},
            MessageStart(ProviderMessage("m", "x", READ)),
        ),
        (
            {"type": "content_block_start", "index": 0, "content_block": {"type": "new", "x": [1]}},
            ContentBlockStart(0, {"type": "new", "x": [1]}),
        ),
        ({"type": "content_block_stop", "index": 3}, ContentBlockStop(3)),
        (
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": USAGE},
            MessageDelta(MessageEnd("end_turn"), READ),
        ),
        (
            {"type": "message_delta", "delta": {"stop_reason": None, "container": {}}},
            MessageDelta(MessageEnd()),
        ),
        ({"type": "message_stop"}, MessageStop()),
        ({"type": "ping"}, ProviderPing()),
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            StreamError(ErrorDetails("overloaded_error", "Overloaded")),
        ),
        ({"type": "error", "error": {}}, StreamError(ErrorDetails("api_error", ""))),
    ],
)
def test_each_event_is_decoded(sent: object, event: ProviderEvent) -> None:
    """What the gateway reads, and no more."""
    assert decode_event(json.dumps(sent)) == event
    assert decode_event(json.dumps(sent).encode()) == event


@pytest.mark.parametrize(
    ("delta", "decoded"),
    [
        ({"type": "text_delta", "text": "é"}, TextDelta("é")),
        ({"type": "thinking_delta", "thinking": "Hm"}, ThinkingDelta("Hm")),
        ({"type": "signature_delta", "signature": "s"}, SignatureDelta("s")),
        ({"type": "input_json_delta", "partial_json": "{"}, InputJsonDelta("{")),
        ({"type": "citations_delta", "citation": {"url": "u"}}, CitationsDelta({"url": "u"})),
    ],
)
def test_each_delta_is_decoded(delta: object, decoded: object) -> None:
    """By its own type."""
    event = decode_event(json.dumps({"type": "content_block_delta", "index": 1, "delta": delta}))
    assert event == ContentBlockDelta(1, decoded)  # type: ignore[arg-type]


@FEW
@given(st.text(min_size=1), st.dictionaries(st.text(), JSON_VALUES))
def test_an_event_of_a_new_type_is_told_apart(name: str, fields: dict[str, object]) -> None:
    """The provider may add types at any time."""
    sent = {**fields, "type": f"{name}_new"}
    assert decode_event(msgspec.json.encode(sent)) == UnknownEvent(f"{name}_new")


def test_a_delta_of_a_new_type_is_told_apart() -> None:
    """By the delta's name."""
    sent = '{"type":"content_block_delta","index":0,"delta":{"type":"new_delta","x":1}}'
    assert decode_event(sent) == UnknownEvent("new_delta")


@pytest.mark.parametrize(
    "data",
    [
        "",
        "null",
        "[]",
        "{}",
        "not json",
        '{"type":"ping"',
        '{"type":5}',
        '{"type":"message_start"}',
        '{"type":"message_start","message":{"id":"m","model":"x","usage":{"input_tokens":"1"}}}',
        '{"type":"message_start","message":{"id":"m","model":"x","usage":{"input_tokens":-1}}}',
        '{"type":"message_delta","delta":{},"usage":{"output_tokens":1000000001}}',
        '{"type":"message_delta","delta":{},"usage":{"output_tokens":1.0}}',
        '{"type":"message_delta","delta":{},"usage":[]}',
        '{"type":"content_block_start","index":0}',
        '{"type":"content_block_start","index":"0","content_block":{}}',
        '{"type":"content_block_delta","index":0}',
        '{"type":"content_block_delta","index":0,"delta":{}}',
        '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta"}}',
        '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\\ud800"}}',
        '{"type":"content_block_start","index":0,"content_block":' + '{"a":' * 50_000,
        '{"type":"new","x":' + "[" * 50_000,
        b'{"type":"\xff"}',
        "\ud800",
    ],
    ids=range(23),
)
def test_what_is_no_event_is_malformed(data: str | bytes) -> None:
    """Broken JSON, or a known type with wrong fields."""
    with pytest.raises(MalformedEvent, match="cannot be read"):
        decode_event(data)


@given(st.text() | st.binary() | JSON_VALUES.map(msgspec.json.encode))
def test_noise_is_an_unknown_event_or_malformed(data: str | bytes) -> None:
    """No other exception."""
    with suppress(MalformedEvent):
        assert isinstance(decode_event(data), UnknownEvent)


@given(values(ProviderEvent))
def test_every_event_comes_back(event: ProviderEvent) -> None:
    """As the simulator or a fake sends it."""
    if isinstance(event, UnknownEvent):
        return
    assert decode_event(msgspec.json.encode(event)) == event
