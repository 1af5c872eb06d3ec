"""Frames in, messages out; and nothing that a client sends is worse than an invalid message."""

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.bounds import LARGE
from protocol.client import AnyClientMessage, ChatSend, Ping, ToolDeclaration
from protocol.codec import CLIENT_TYPES, CODECS, JSON, MSGPACK, Codec, Frame, without_blanks
from protocol.context import Calibration, Totals, Window
from protocol.errors import InvalidMessage
from protocol.free_form import DEEPEST
from protocol.provider.content import TextBlock
from protocol.server import (
    AnyServerMessage,
    ChatStreamDelta,
    ContextInspection,
    ServerMessage,
    ToolCall,
)
from tests.protocol.strategies import FEW, JSON_VALUES, values

SEND = {"type": "chat.send", "id": "1", "content": "Hello"}
BOTH = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)


def frame(codec: Codec, message: object) -> Frame:
    if codec is JSON:
        return msgspec.json.encode(message).decode()
    return msgspec.msgpack.encode(message)


def read(codec: Codec, what: Frame) -> AnyClientMessage:
    """The message in a frame, as a connection reads it."""
    steps = codec.steps(what)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            message: AnyClientMessage = done.value
            return message


def unpacked(message: ServerMessage) -> dict[str, Any]:
    encoded = MSGPACK.encode(message)
    assert isinstance(encoded, bytes)
    return dict(msgspec.msgpack.decode(encoded))


def refused(codec: Codec, what: Frame) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        read(codec, what)
    assert caught.value.failure.code == "INVALID_MESSAGE"
    return caught.value


def with_schema(schema: object) -> dict[str, Any]:
    return {**SEND, "tools": [{"name": "t", "description": "", "inputSchema": schema}]}


def nested(levels: int) -> object:
    value: object = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


# --- both ways ---------------------------------------------------------------------------------


@BOTH
@given(message=values(AnyClientMessage))
def test_every_client_message_comes_back(codec: Codec, message: AnyClientMessage) -> None:
    """What is encoded is decoded, to the last field."""
    assert read(codec, frame(codec, message)) == without_blanks(message)


@BOTH
@given(message=values(AnyServerMessage))
def test_every_server_message_is_the_same_in_both_codecs(
    codec: Codec, message: AnyServerMessage
) -> None:
    """The same map, whatever carries it."""
    as_json = json.loads(JSON.encode(message))
    assert unpacked(message) == as_json
    assert as_json["type"] == message.__struct_config__.tag


@BOTH
@given(noise=st.text() | st.text(st.characters(categories=["Cs"])) | st.binary())
def test_noise_is_an_invalid_message(codec: Codec, noise: Frame) -> None:
    """Never any other exception."""
    refused(codec, noise)


@FEW
@given(noise=JSON_VALUES | st.dictionaries(st.sampled_from(["type", "id"]), JSON_VALUES))
def test_json_that_is_no_message_is_an_invalid_message(noise: object) -> None:
    """Whatever its shape."""
    for codec in CODECS.values():
        refused(codec, frame(codec, noise))


@BOTH
@given(data=st.data(), message=values(AnyClientMessage))
def test_a_damaged_frame_is_a_message_or_an_invalid_one(
    codec: Codec, data: st.DataObject, message: AnyClientMessage
) -> None:
    """One part of a good frame is replaced by anything."""
    whole = frame(codec, message)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    noise: Any = data.draw(st.text(max_size=9) if codec is JSON else st.binary(max_size=9))
    try:
        read(codec, whole[:start] + noise + whole[end:])
    except InvalidMessage as error:
        explanation = error.failure.message
    else:
        explanation = ""
    assert explanation.isprintable()


@FEW
@given(fields=st.dictionaries(st.text(max_size=9), JSON_VALUES))
def test_a_field_of_any_kind_may_be_wrong(fields: dict[str, object]) -> None:
    """Extra fields are ignored, wrong ones refused."""
    names = ["content", "tools", "thinking", "maxCost", "sessionId"]
    for name, value in zip(names, fields.values(), strict=False):
        try:
            answered = read(JSON, frame(JSON, {**fields, **SEND, name: value})).id
        except InvalidMessage as error:
            answered = error.request_id or ""
        assert answered == "1"


# --- what is refused, and how it is said -------------------------------------------------------


@BOTH
def test_the_request_id_is_echoed_when_it_can_be_read(codec: Codec) -> None:
    """Wrong in another field, a message can still be answered."""
    assert refused(codec, frame(codec, {"type": "chat.send", "id": "7"})).request_id == "7"
    assert refused(codec, frame(codec, {"type": "none", "id": "7"})).request_id == "7"
    assert refused(codec, frame(codec, {"id": "7"})).request_id == "7"
    assert refused(codec, frame(codec, {"id": "7", "type": 5})).request_id == "7"


@BOTH
@pytest.mark.parametrize("bad", ["", "a b", "a\n", "x" * 65, "é", None, 5, ["1"], {}])
def test_a_bad_id_is_no_request_id(codec: Codec, bad: object) -> None:
    """1 to 64 of `A-Za-z0-9_.:-`, and nothing else is echoed."""
    assert refused(codec, frame(codec, {"type": "ping", "id": bad})).request_id is None
    assert refused(codec, frame(codec, {"type": "none", "id": bad})).request_id is None


@BOTH
def test_an_unknown_type_is_answered_with_the_known_ones(codec: Codec) -> None:
    """The explanation says what would have been right."""
    message = refused(codec, frame(codec, {"type": "chat.sned", "id": "1"})).failure.message
    assert "`chat.sned`" in message
    assert "chat.send" in message
    assert len(CLIENT_TYPES) == 14


@BOTH
def test_an_ill_typed_field_is_named(codec: Codec) -> None:
    """By its path."""
    broken = {**SEND, "content": [{"type": "text", "text": 5}]}
    message = refused(codec, frame(codec, broken)).failure.message
    assert message == "`content[0].text`: Expected `str`, got `int`"
    assert refused(codec, frame(codec, {"type": "ping"})).failure.message == (
        "Object missing required field `id`"
    )


@pytest.mark.parametrize("what", ["null", "[]", "5", '"text"', "[" * 5_000 + "]" * 5_000])
def test_what_is_no_object_is_no_message(what: str) -> None:
    """The explanation says what a message is."""
    assert refused(JSON, what).failure.message in (
        "A message is one object with `id` and `type`.",
        "This message is nested too deeply.",
    )


@pytest.mark.parametrize(
    "what", ["", " ", "{", "hello", "\ufeff{}", "{'id':1}", '{"id":"1","type":"ping"}}', "NaN"]
)
def test_what_is_not_json_is_said_to_be_none(what: str) -> None:
    """An empty frame and a byte order mark included."""
    assert refused(JSON, what).failure.message.startswith("This is not JSON in text frames: ")


@pytest.mark.parametrize("what", [b"", b"\xc1", b"{}", b"\x81\xa2id\xa2\xff\xfe", b"\xa1\xed"])
def test_what_is_not_messagepack_is_no_message(what: bytes) -> None:
    """Invalid UTF-8 included."""
    refused(MSGPACK, what)


def test_text_and_bytes_are_not_mixed_up() -> None:
    """A connection speaks one subprotocol."""
    said = refused(JSON, b'{"type":"ping","id":"1"}').failure.message
    assert said == "This connection speaks JSON in text frames."
    said = refused(MSGPACK, '{"type":"ping","id":"1"}').failure.message
    assert said == "This connection speaks MessagePack in binary frames."


def test_a_long_or_unprintable_quotation_is_cut_and_cleaned() -> None:
    """A client's own text comes back harmless."""
    said = refused(JSON, frame(JSON, {"type": "\n\x1b[31mé" * 500, "id": "1"})).failure.message
    assert said.isprintable()
    assert "…" in said
    assert len(said) < 700


def test_of_duplicate_keys_the_last_one_wins() -> None:
    """As in most readers of JSON."""
    assert read(JSON, '{"type":"ping","id":"1","id":"2"}') == Ping(id="2")


def test_unknown_extra_fields_are_ignored() -> None:
    """Whatever they hold."""
    assert read(JSON, '{"type":"ping","id":"1","x":{"y":[1e99,"\\u0000"]}}') == Ping(id="1")
    carrier = {"type": "ping", "id": "1", "x": msgspec.msgpack.Ext(5, b"\0"), "y": math.nan}
    assert read(MSGPACK, msgspec.msgpack.encode(carrier)) == Ping(id="1")


@pytest.mark.parametrize("cost", [math.nan, math.inf, -math.inf, -1.0, 0.0, 1e300])
def test_a_limit_on_cost_is_a_positive_amount(cost: float) -> None:
    """MessagePack can say NaN and infinity."""
    said = refused(MSGPACK, msgspec.msgpack.encode({**SEND, "maxCost": cost}))
    assert "`maxCost`" in said.failure.message


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5_000, "1e999", "-0.5", "NaN", "true"])
def test_a_number_that_cannot_be_is_refused(number: str) -> None:
    """However long it is."""
    refused(JSON, '{"type":"chat.send","id":"1","content":"x","maxTokens":' + number + "}")


# --- texts -------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "fields",
    [
        {"content": "a\0b"},
        {"content": [{"type": "text", "text": "\0"}]},
        {"system": "\0"},
        {"tools": [{"name": "t", "description": "\0", "inputSchema": {}}]},
        {"tools": [{"name": "t", "description": "", "inputSchema": {"a": [{"\0": 1}]}}]},
    ],
    ids=["content", "block", "system", "description", "key"],
)
def test_a_nul_character_is_refused_wherever_it_is(codec: Codec, fields: dict[str, object]) -> None:
    """A database may refuse it later: refused at entry, under the request's id."""
    error = refused(codec, frame(codec, {**SEND, **fields}))
    assert "NUL" in error.failure.message
    assert error.request_id == "1"


@BOTH
def test_what_only_looks_like_a_nul_passes(codec: Codec) -> None:
    """An escaped backslash before `u0000`, a zero byte in a number."""
    message = {**SEND, "content": "\\u0000", "maxTokens": 256}
    assert read(codec, frame(codec, message)) == ChatSend(id="1", content="\\u0000", max_tokens=256)


@pytest.mark.parametrize("before", ["", "x" * LARGE], ids=["small", "large"])
@pytest.mark.parametrize("escape", [r"\ud83d", r"\udc00\ud800", r"\uD83Dx", r"\ud83d\n"])
def test_half_a_surrogate_pair_is_refused(escape: str, before: str) -> None:
    """It is no character, and UTF-8 cannot say it. The request is named, and the reason."""
    error = refused(JSON, '{"type":"chat.send","id":"1","content":"' + before + escape + '"}')
    assert "half a surrogate pair" in error.failure.message
    assert error.request_id == "1"


@pytest.mark.parametrize("before", ["", "x" * LARGE], ids=["small", "large"])
def test_a_surrogate_in_the_frame_itself_is_refused(before: str) -> None:
    """No WebSocket delivers it; a fake one might."""
    refused(JSON, '{"type":"ping","id":"\ud800' + before + '"}')


@BOTH
def test_a_broken_frame_is_answered_by_the_id_that_it_had(codec: Codec) -> None:
    """Cut off, of another kind, or with a fault after the id."""
    whole = frame(codec, {"id": "7", "type": "chat.send", "content": "x" * 20})
    assert refused(codec, whole[:-5]).request_id == "7"
    other: Frame = b'{"id":"7","type":"ping"}' if codec is JSON else '{"id":"7","type":"ping"}'
    assert refused(codec, other).request_id == "7"
    deep: Any = '{"id":"7","x":' + "[" * 9_000 if codec is JSON else b"\x82\xa2id\xa17\xa1x"
    assert refused(codec, deep if codec is JSON else deep + b"\x91" * 9_000).request_id == "7"
    assert refused(codec, frame(codec, {"x": {"id": "7"}})).request_id is None


def test_invalid_utf8_is_answered_by_the_id_that_stands_next_to_it() -> None:
    """MessagePack can carry it; in JSON the WebSocket itself refuses it."""
    error = refused(MSGPACK, b"\x83\xa4type\xa9chat.send\xa7content\xa2\xff\xfe\xa2id\xa17")
    assert error.request_id == "7"


# --- blanks ------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("kind", ["chat.send", "context.inspect", "tool.output"])
def test_a_blank_text_next_to_something_is_left_out(codec: Codec, kind: str) -> None:
    """Many a client sends a picture with an empty caption; the provider refuses that."""
    blank, text = {"type": "text", "text": " \n"}, {"type": "text", "text": "x"}
    ids = {"id": "1", "sessionId": "s", "toolCallId": "c"}
    for content, left in (([blank, text, blank], [text]), ([blank], [blank]), ([], [])):
        message: Any = read(codec, frame(codec, {"type": kind, **ids, "content": content}))
        assert msgspec.to_builtins(message.content) == left


@BOTH
@pytest.mark.parametrize("kind", ["chat.send", "session.create"])
def test_a_blank_system_is_none(codec: Codec, kind: str) -> None:
    """The provider refuses blanks; to nothing it has no objection."""
    said = {"type": kind, "id": "1", "content": "x"}
    for system, left in ((" \n\t", ""), ("", ""), (" x ", " x ")):
        message: Any = read(codec, frame(codec, {**said, "system": system}))
        assert message.system == left


# --- heavy frames ------------------------------------------------------------------------------


def steps_of(codec: Codec, message: object) -> int:
    """How many steps it takes to decode a frame, or to refuse it."""
    steps = codec.steps(frame(codec, message))
    number = 0
    try:
        for number, _ in enumerate(steps, 1):  # noqa: B007
            pass
    except InvalidMessage:
        pass
    return number


@BOTH
def test_a_small_frame_takes_one_step_and_a_large_one_many(codec: Codec) -> None:
    """Nobody has to wait for the whole of a large one."""
    assert steps_of(codec, SEND) == 0
    assert steps_of(codec, {**SEND, "content": "x" * 1_000_000}) > 3


@BOTH
def test_a_large_message_comes_back_like_a_small_one(codec: Codec) -> None:
    """Long texts and short ones, wherever they are."""
    tools = [
        {"name": f"t{n}", "description": "d" * 9_000, "inputSchema": {"x": "\\"}} for n in (1, 2)
    ]
    said = {**SEND, "content": 'é"\\' * LARGE, "system": "s" * LARGE, "tools": tools}
    assert msgspec.to_builtins(read(codec, frame(codec, said))) == said
    said = {**SEND, "content": [{"type": "text", "text": "x" * 90}] * 1_000}
    assert msgspec.to_builtins(read(codec, frame(codec, said))) == said


@BOTH
def test_a_long_text_that_is_no_name_is_not_quoted(codec: Codec) -> None:
    """What is wrong with a large frame is said in a few words."""
    long = "x" * 1_000_000
    error = refused(codec, frame(codec, {"type": long, "id": "7"}))
    assert error.failure.message.startswith("The type `(a long text)` is not known.")
    assert error.request_id == "7"
    error = refused(codec, frame(codec, {**SEND, "effort": long}))
    assert error.failure.message == "`effort`: Invalid enum value '(a long text)'"
    tool = {"name": "t", "description": long, "inputSchema": {}}
    error = refused(codec, frame(codec, {**SEND, "tools": [tool]}))
    assert error.failure.message.startswith("`tools[0].description`: Expected `str` of length")
    assert error.request_id == "1"


@BOTH
def test_too_many_values_are_refused_by_the_request_s_id(codec: Codec) -> None:
    """Whatever they are a part of."""
    error = refused(codec, frame(codec, {**SEND, "x": [[]] * 70_000}))
    assert error.failure.message == "This message has more than 50000 values."
    assert error.request_id == "1"


@BOTH
def test_a_content_has_a_thousand_blocks_and_a_schema_ten_thousand_values(codec: Codec) -> None:
    """One more is refused, by name."""
    block = {"type": "text", "text": "x"}
    read(codec, frame(codec, {**SEND, "content": [block] * 1_000}))
    error = refused(codec, frame(codec, {**SEND, "content": [block] * 1_001}))
    assert error.failure.message == "`content`: Expected `array` of length <= 1000"
    read(codec, frame(codec, with_schema({"a": [0] * 9_999})))
    error = refused(codec, frame(codec, with_schema({"a": [0] * 10_000})))
    assert error.failure.message == "`tools[0].inputSchema`: it has more than 10,000 values."


@BOTH
def test_a_nul_in_a_large_frame_is_refused(codec: Codec) -> None:
    """However long the text is."""
    error = refused(codec, frame(codec, {**SEND, "content": "x" * LARGE + "\0"}))
    assert "NUL" in error.failure.message
    large = {**with_schema({}), "content": "x" * LARGE + "\\u0000"}
    read(codec, frame(codec, large))


# --- the one free-form part --------------------------------------------------------------------


@BOTH
def test_a_tools_schema_is_kept_as_it_is(codec: Codec) -> None:
    """Numbers of 64 bits and deep nesting included."""
    schema = {"type": "object", "n": [2**64 - 1, -(2**63), 0.5], "deep": nested(DEEPEST - 1)}
    decoded = read(codec, frame(codec, with_schema(schema)))
    assert isinstance(decoded, ChatSend)
    assert decoded.tools == [ToolDeclaration(name="t", description="", input_schema=schema)]


@BOTH
@pytest.mark.parametrize("levels", [DEEPEST + 1, 300, 600, 900])
def test_a_tools_schema_that_nests_too_deeply_is_refused(codec: Codec, levels: int) -> None:
    """Later codecs recurse too, in actors that must not fail."""
    error = refused(codec, frame(codec, with_schema(nested(levels))))
    assert error.failure.message == "`tools[0].inputSchema`: it nests deeper than 64 levels."
    assert error.request_id == "1"


@BOTH
@pytest.mark.parametrize("kind", ["chat.send", "context.inspect"])
def test_every_free_form_part_is_held_to_that(codec: Codec, kind: str) -> None:
    """Examples of a tool's arguments, and the schema of an answer."""
    said = {"type": kind, "id": "1", "content": "x", "sessionId": "s"}
    deep = nested(DEEPEST + 1)
    error = refused(codec, frame(codec, {**said, "outputFormat": {"schema": deep}}))
    assert error.failure.message.startswith("`outputFormat.schema`: it nests deeper")
    tool = {"name": "t", "description": "", "inputSchema": {}, "inputExamples": [{"a": deep}]}
    if kind == "chat.send":
        error = refused(codec, frame(codec, {**said, "tools": [tool]}))
        assert error.failure.message.startswith("`tools[0].inputExamples`: it nests deeper")


@BOTH
def test_nesting_beyond_all_recursion_is_refused(codec: Codec) -> None:
    """Anywhere in a message."""
    deep = "[" * 20_000 if codec is JSON else b"\x91" * 20_000
    start: Any = '{"type":"ping","id":"1","x":' if codec is JSON else b"\x83\xa4type\xa4ping\xa1x"
    error = refused(codec, start + deep)
    assert error.failure.message == "This message is nested too deeply."
    assert error.request_id == ("1" if codec is JSON else None)


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        b"bytes",
        msgspec.msgpack.Ext(5, b"\0"),
        datetime.now(UTC),
        {1: 2},
        {None: 1},
        {b"k": 1},
        {1.5: "\0"},
        [{"a": [math.nan]}],
    ],
    ids=repr,
)
def test_a_tools_schema_is_plain_json(value: object) -> None:
    """MessagePack could carry more; upstream could not."""
    error = refused(MSGPACK, msgspec.msgpack.encode(with_schema({"a": value})))
    assert error.failure.message.startswith("`tools[0].inputSchema`: it is no JSON")
    assert error.request_id == "1"


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**300])
def test_an_integer_beyond_64_bits_is_refused(number: int) -> None:
    """Mailboxes are MessagePack, and that has no longer ones."""
    refused(JSON, json.dumps(with_schema({"a": number})))


# --- what goes out -----------------------------------------------------------------------------


@BOTH
def test_money_is_a_number(codec: Codec) -> None:
    """Exact in JSON, a double in MessagePack."""
    amount = Decimal("0.10000000000000000001")
    encoded = codec.encode(
        ContextInspection(
            request_id="1",
            model="m",
            sections=[],
            totals=Totals(byte_count=0, token_estimate=0, cost_estimate=amount),
            window=Window(limit=1, used=0, free=1),
            calibration=Calibration(ratio=1.0, samples=0),
        )
    )
    if codec.is_text:
        assert b'"costEstimate":0.10000000000000000001}' in encoded
    else:
        assert msgspec.msgpack.decode(encoded)["totals"]["costEstimate"] == 0.1


def test_absent_fields_are_left_out() -> None:
    """What is UNSET costs no bytes."""
    delta = ChatStreamDelta(request_id="1", delta="é", seq=0)
    assert JSON.encode(delta) == (
        '{"type":"chat.stream.delta","requestId":"1","delta":"é","seq":0}'.encode()
    )


def test_a_models_enormous_integer_still_goes_out() -> None:
    """MessagePack has 64 bits: beyond them it is a double; all else stays as it is."""
    args = {"big": 10**30, "small": -(10**30), "exact": 2**64 - 1, "text": "é"}
    call = ToolCall(request_id="1", tool_call_id="c", tool_name="t", args=args, seq=3)
    assert unpacked(call)["args"] == {"big": 1e30, "small": -1e30, "exact": 2**64 - 1, "text": "é"}
    assert json.loads(JSON.encode(call))["args"] == args


def test_blocks_come_typed() -> None:
    """A list of content blocks is told from a text."""
    message = {**SEND, "content": [{"type": "text", "text": "Hi", "cache_control": None}]}
    assert read(JSON, frame(JSON, message)) == ChatSend(id="1", content=[TextBlock("Hi")])
