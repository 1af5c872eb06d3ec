"""Decoding the provider's events: what is read, what is ignored, what is refused."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.provider.decoding import LONGEST_TEXT, EventDecoder, in_pieces
from protocol.provider.events import (
    BlockDelta,
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
    UnknownDelta,
    UnknownEvent,
    UnreadableStart,
    brings_content,
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
    service_tier="standard",
)


def decoded(data: bytes, name: bytes = b"") -> ProviderEvent:
    """The one event in these data."""
    (event,) = EventDecoder().decode(data, name)
    return event


@pytest.mark.parametrize(
    ("sent", "event"),
    [
        (
            {"type": "message_start", "message": {"id": "m", "model": "x", "usage": USAGE}},
            MessageStart(ProviderMessage("x", READ)),
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
            MessageDelta(MessageEnd(container={})),
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
    assert decoded(json.dumps(sent).encode()) == event


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"type": "text_delta", "text": "é"}, TextDelta("é")),
        ({"type": "thinking_delta", "thinking": "Hm"}, ThinkingDelta("Hm")),
        ({"type": "signature_delta", "signature": "s"}, SignatureDelta("s")),
        ({"type": "input_json_delta", "partial_json": "{"}, InputJsonDelta("{")),
        ({"type": "citations_delta", "citation": {"url": "u"}}, CitationsDelta({"url": "u"})),
    ],
)
def test_each_delta_is_decoded(sent: object, expected: BlockDelta) -> None:
    """By its own type."""
    event = {"type": "content_block_delta", "index": 1, "delta": sent}
    assert decoded(json.dumps(event).encode()) == ContentBlockDelta(1, expected)


@FEW
@given(st.text(min_size=1), st.dictionaries(st.text(), JSON_VALUES))
def test_an_event_of_a_new_type_is_told_apart(name: str, fields: dict[str, object]) -> None:
    """The provider may add types at any time."""
    sent = {**fields, "type": f"{name}_new"}
    assert decoded(msgspec.json.encode(sent)) == UnknownEvent(f"{name}_new")


def test_a_delta_of_a_new_type_is_told_apart() -> None:
    """By the delta's name."""
    sent = b'{"type":"content_block_delta","index":0,"delta":{"type":"new_delta","x":1}}'
    assert decoded(sent) == UnknownDelta(0, "new_delta")


@pytest.mark.parametrize(
    "data",
    [
        "null",
        "[]",
        "not json",
        '{"type":"ping"',
        '{"type":5}',
        '{"type":"message_delta","delta":{},"usage":{"output_tokens":1000000001}}',
        '{"type":"message_delta","delta":{},"usage":{"output_tokens":1.0}}',
        '{"type":"message_delta","delta":{},"usage":[]}',
        '{"type":"content_block_start","index":0}',
        '{"type":"content_block_start","index":"0","content_block":{}}',
        '{"type":"content_block_delta","index":0}',
        '{"type":"content_block_delta","index":0,"delta":{}}',
        '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta"}}',
        '{"type":"content_block_delta","index":"0","delta":{"type":"text_delta","text":"\\ud800"}}',
        '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":["\\ud800"]}}',
        '{"type":"content_block_start","index":0,"content_block":' + '{"a":' * 50_000,
        '{"type":"new","x":' + "[" * 50_000,
        b'{"type":"\xff"}',
        b'{"type":"\xed\xa0\xbd"}',
        '{"x":"' + "x" * 300_000 + '\\ud83d"}',
    ],
    ids=range(20),
)
def test_what_is_no_event_is_malformed(data: str | bytes) -> None:
    """Broken JSON, or a known type with wrong fields."""
    with pytest.raises(MalformedEvent, match="cannot be read"):
        decoded(data.encode() if isinstance(data, str) else data)


@pytest.mark.parametrize(
    "start",
    [
        '{"type":"message_start"}',
        '{"type":"message_start","message":{"id":"m","model":"x","usage":{"input_tokens":"1"}}}',
        '{"type":"message_start","message":{"id":"m","model":"x","usage":{"input_tokens":-1}}}',
        '{"type":"message","id":"m","model":"x","content":[],"usage":{"input_tokens":-1}}',
    ],
    ids=range(4),
)
def test_that_an_answer_has_begun_is_told_whatever_it_begins_with(start: str) -> None:
    """It is billed."""
    assert decoded(start.encode()) == UnreadableStart()


@given(st.text().map(str.encode) | st.binary() | JSON_VALUES.map(msgspec.json.encode), st.binary())
def test_noise_is_an_unknown_event_or_malformed(data: bytes, name: bytes) -> None:
    """No other exception."""
    with suppress(MalformedEvent):
        EventDecoder().decode(data, name)


@given(values(ProviderEvent))
def test_every_event_comes_back(event: ProviderEvent) -> None:
    """As the simulator or a fake sends it."""
    if isinstance(event, UnknownEvent | UnknownDelta | UnreadableStart):
        return
    assert decoded(msgspec.json.encode(event)) == event


@pytest.mark.parametrize(
    ("data", "name", "event"),
    [
        (b"{}", b"ping", ProviderPing()),
        (b"", b"ping", ProviderPing()),
        (b'{"type": "ping"}', b"", ProviderPing()),
        (b"{}", b"", UnknownEvent("")),
        (b'{"x": 1}', b"news", UnknownEvent("news")),
        (b'{"index": 2}', b"content_block_stop", ContentBlockStop(2)),
        (
            b'{"index": 2, "delta": {"type": "news"}}',
            b"content_block_delta",
            UnknownDelta(2, "news"),
        ),
        (b'{"error": {"type": "a", "message": "b"}}', b"", StreamError(ErrorDetails("a", "b"))),
        (
            b'{"type": "error", "error": {"type": "a", "message": null}}',
            b"",
            StreamError(ErrorDetails("a")),
        ),
        (b'{"type": "error", "error": "no"}', b"", StreamError(ErrorDetails())),
        (b'{"message": "no"}', b"error", StreamError(ErrorDetails())),
    ],
)
def test_what_is_not_quite_in_its_shape_is_understood(
    data: bytes, name: bytes, event: ProviderEvent
) -> None:
    """The event's name says what its data do not."""
    assert decoded(data, name) == event


def test_a_message_that_was_not_streamed_is_taken_apart() -> None:
    """Its events are those of the same answer in a stream."""
    message = {
        "type": "message",
        "id": "m",
        "model": "x",
        "content": [{"type": "text", "text": "Hi"}, {"type": "new"}],
        "stop_reason": "end_turn",
        "usage": USAGE,
    }
    assert EventDecoder().decode(json.dumps(message).encode()) == [
        MessageStart(ProviderMessage("x", READ)),
        ContentBlockStart(0, {"type": "text", "text": "Hi"}),
        ContentBlockStop(0),
        ContentBlockStart(1, {"type": "new"}),
        ContentBlockStop(1),
        MessageDelta(MessageEnd("end_turn"), READ),
        MessageStop(),
    ]


def test_a_message_that_was_not_streamed_may_hold_half_a_character() -> None:
    """It is taken apart all the same."""
    text = '[{"type": "text", "text": "a\\ud83d"}]'
    data = f'{{"type": "message", "id": "m", "model": "x", "content": {text}, "usage": {{}}}}'
    _, begun, *_ = EventDecoder().decode(data.encode())
    assert begun == ContentBlockStart(0, {"type": "text", "text": "a\ufffd"})


# --- halves of characters ----------------------------------------------------------------------

FIELDS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
DELTAS: dict[str, Callable[[str], BlockDelta]] = {
    "text_delta": TextDelta,
    "thinking_delta": ThinkingDelta,
    "input_json_delta": InputJsonDelta,
}


def delta(text: str, kind: str = "text_delta", index: int = 0) -> bytes:
    """A delta; a half of a character in its text is an escape."""
    fields = {"type": kind, FIELDS[kind]: text}
    sent = {"type": "content_block_delta", "index": index, "delta": fields}
    return json.dumps(sent).encode()


def all_of(pieces: Sequence[bytes]) -> list[ProviderEvent]:
    """The events of a stream."""
    decoder = EventDecoder()
    return [event for piece in pieces for event in decoder.decode(piece)]


STOP = b'{"type":"content_block_stop","index":0}'


@FEW
@given(st.text(), st.data(), st.sampled_from(sorted(FIELDS)))
def test_a_text_is_the_same_wherever_it_is_cut(text: str, data: st.DataObject, kind: str) -> None:
    """Also where a cut goes through the two halves of a character."""
    units = text.encode("utf-16-le")
    cuts = sorted(data.draw(st.sets(st.integers(0, len(units) // 2))))
    places = [0, *(2 * cut for cut in cuts), len(units)]
    pieces = [
        units[start:end].decode("utf-16-le", "surrogatepass") for start, end in pairwise(places)
    ]
    events = all_of([*(delta(piece, kind) for piece in pieces), STOP])
    assert events.pop() == ContentBlockStop(0)
    texts = [msgspec.to_builtins(event)["delta"][FIELDS[kind]] for event in events]
    assert "".join(texts) == text


@pytest.mark.parametrize("kind", sorted(FIELDS))
def test_a_half_without_its_other_half_is_shown_as_one_character(kind: str) -> None:
    """As soon as it is known that the other half does not come, and in its place."""
    make = DELTAS[kind]

    def grown(text: str, index: int = 0) -> ContentBlockDelta:
        return ContentBlockDelta(index, make(text))

    lone = grown("\ufffd")
    assert all_of([delta("a\ud83d", kind), delta("b", kind)]) == [grown("a"), lone, grown("b")]
    assert all_of([delta("\ud83d", kind), STOP]) == [grown(""), lone, ContentBlockStop(0)]
    assert all_of([delta("\ude00a", kind)]) == [grown("\ufffda")]
    two = [delta("\ud83d", kind), delta("\ud83d", kind), delta("\ude00", kind)]
    assert all_of(two) == [grown(""), lone, grown("\U0001f600")]
    other = [delta("\ud83d", kind), delta("\ude00", kind, index=1)]
    assert all_of(other) == [grown(""), lone, grown("\ufffd", 1)]


def test_what_says_nothing_does_not_part_two_halves() -> None:
    """Pings come at any time, and so may events that nobody knows."""
    between = [b'{"type":"ping"}', b'{"type":"news"}', b'{"x":"\\ud83d"}']
    events = all_of([delta("\ud83d"), *between, delta("\ude00!")])
    assert events[0] == ContentBlockDelta(0, TextDelta(""))
    assert events[-1] == ContentBlockDelta(0, TextDelta("\U0001f600!"))
    assert len(events) == 5


def test_halves_in_a_block_are_replaced() -> None:
    """A title that was cut off, for instance; two halves in a row are a character."""
    sent = {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "new", "\ud83d": ["a\ud83d", {"b": "\ud83d\ude00"}]},
    }
    assert decoded(json.dumps(sent).encode()) == ContentBlockStart(
        0, {"type": "new", "\ufffd": ["a\ufffd", {"b": "\U0001f600"}]}
    )


# --- long texts --------------------------------------------------------------------------------

LONG = "ab" * LONGEST_TEXT


@pytest.mark.parametrize(
    ("event", "first"),
    [
        (ContentBlockDelta(1, TextDelta(LONG)), []),
        (ContentBlockDelta(1, ThinkingDelta(LONG)), []),
        (ContentBlockDelta(1, InputJsonDelta(LONG)), []),
        (
            ContentBlockStart(1, {"type": "text", "text": LONG, "x": 1}),
            [ContentBlockStart(1, {"type": "text", "text": "", "x": 1})],
        ),
        (
            ContentBlockStart(1, {"type": "thinking", "thinking": LONG, "signature": "s"}),
            [ContentBlockStart(1, {"type": "thinking", "thinking": "", "signature": "s"})],
        ),
    ],
)
def test_a_long_text_comes_in_pieces(event: ProviderEvent, first: list[ProviderEvent]) -> None:
    """Each is short, and together they are the text."""
    pieces = list(in_pieces(event))
    assert pieces[: len(first)] == first
    deltas = [one for one in pieces[len(first) :] if isinstance(one, ContentBlockDelta)]
    texts = [[*msgspec.to_builtins(one.delta).values()][-1] for one in deltas]
    assert "".join(texts) == LONG
    assert max(map(len, texts)) == LONGEST_TEXT


def test_what_has_no_text_stays_whole() -> None:
    """Signatures, citations, results of a search."""
    events: list[ProviderEvent] = [
        ContentBlockDelta(1, SignatureDelta(LONG)),
        ContentBlockStart(1, {"type": "new", "x": LONG}),
        MessageStop(),
    ]
    assert [[*in_pieces(event)] for event in events] == [[event] for event in events]


@pytest.mark.parametrize(
    ("event", "is_content"),
    [
        (ContentBlockDelta(0, TextDelta("a")), True),
        (ContentBlockDelta(0, TextDelta("")), False),
        (ContentBlockDelta(0, ThinkingDelta("")), False),
        (ContentBlockDelta(0, InputJsonDelta("{")), True),
        (ContentBlockDelta(0, InputJsonDelta("")), False),
        (ContentBlockDelta(0, SignatureDelta("")), False),
        (ContentBlockDelta(0, SignatureDelta("x")), True),
        (ContentBlockDelta(0, CitationsDelta({})), True),
        (ContentBlockStart(0, {"type": "text"}), True),
        (MessageStop(), True),
        (ProviderPing(), False),
        (UnknownEvent("new"), False),
        (UnknownDelta(0, "new"), False),
    ],
)
def test_content_is_what_says_more(event: ProviderEvent, is_content: bool) -> None:
    """An empty piece of anything says nothing."""
    assert brings_content(event) == is_content
