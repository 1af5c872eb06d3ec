"""The generated messages are the wire's: the gateway and its clients understand each other."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from msgspec import UNSET

from agentspace import messages
from agentspace.messages import (
    REPLIES,
    ChatSend,
    ChatStreamEnd,
    ClientMessage,
    ErrorMessage,
    OneTool,
    Ping,
    Pong,
    Request,
    ServerMessage,
    SessionList,
)
from protocol.client import AnyClientMessage
from protocol.codec import JSON, MSGPACK
from protocol.replies import replies
from protocol.server import AnyServerMessage
from tests.protocol.strategies import values

DECODE_JSON = msgspec.json.Decoder(ServerMessage).decode
DECODE_CLIENT = msgspec.json.Decoder(ClientMessage).decode
DECODE_GATEWAY = msgspec.json.Decoder(AnyClientMessage).decode
DECODE_MSGPACK = msgspec.msgpack.Decoder(ServerMessage).decode
PAIRS = [
    (kind, getattr(messages, kind.__name__))
    for union in (AnyClientMessage, AnyServerMessage)
    for kind in get_args(union)
]


def plain(message: Any) -> Any:
    """A message as dicts, with money as it is."""
    return msgspec.to_builtins(message, builtin_types=(Decimal,))


@given(values(AnyServerMessage))
def test_a_client_reads_whatever_the_gateway_writes(message: Any) -> None:
    """Every field of every message, in both notations, with money to the last digit."""
    assert plain(DECODE_JSON(JSON.encode(message))) == plain(message)
    # A model's arguments may hold whole numbers that MessagePack has only as doubles.
    packed = MSGPACK.encode(message)
    assert isinstance(packed, bytes)
    assert type(DECODE_MSGPACK(packed)) is getattr(messages, type(message).__name__)


@given(values(AnyClientMessage))
def test_the_gateway_reads_whatever_a_client_writes(message: Any) -> None:
    """Exactly what was meant, defaults included."""
    written = msgspec.json.encode(DECODE_CLIENT(msgspec.json.encode(message)))
    assert DECODE_GATEWAY(written) == message


@pytest.mark.parametrize(("theirs", "ours"), PAIRS, ids=lambda kind: kind.__name__)
def test_both_have_the_same_fields(theirs: Any, ours: Any) -> None:
    """By the same names, on the wire and in Python, with the same ones required."""

    def fields(kind: Any) -> set[tuple[str, str, bool]]:
        return {
            (field.name, field.encode_name, field.required)
            for field in msgspec.structs.fields(kind)
        }

    assert fields(ours) == fields(theirs)
    assert ours.__struct_config__.tag == theirs.__struct_config__.tag


def test_a_request_knows_its_reply() -> None:
    """As a type, and at run time."""
    answers = {kind.__name__: replies(kind) for kind in get_args(AnyClientMessage)}
    expected = {name: found[0].__name__ for name, found in answers.items() if len(found) == 1}
    assert {kind.__name__: reply.__name__ for kind, reply in REPLIES.items()} == expected
    question: Request[Pong] = Ping(id="1")
    assert REPLIES[type(question)] is Pong


def test_a_message_says_only_what_is_not_the_default() -> None:
    """And calls fields as the wire does."""
    assert msgspec.json.decode(msgspec.json.encode(SessionList(id="1", limit=5))) == {
        "type": "session.list",
        "id": "1",
        "limit": 5,
    }
    sent = ChatSend(id="1", content="Hi", tool_choice=OneTool(name="look"))
    assert msgspec.json.decode(msgspec.json.encode(sent)) == {
        "type": "chat.send",
        "id": "1",
        "content": "Hi",
        "toolChoice": {"name": "look"},
    }


def test_a_newer_gateway_is_understood() -> None:
    """Fields that are not known here are ignored, and unknown values come through as text."""
    frame = b'{"type":"error","code":"FORBIDDEN","message":"No.","retryable":false,"new":{"a":1}}'
    error = DECODE_JSON(frame)
    assert error == ErrorMessage(code="FORBIDDEN", message="No.", retryable=False)


def test_what_is_left_out_is_unset_and_null_is_none() -> None:
    """An unknown cost is no cost of nothing."""
    frame = (
        b'{"type":"chat.stream.end","requestId":"1","turnId":"t","seq":3,"stopReason":"end_turn",'
        b'"usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2,"inputDetails":{"uncached":1,'
        b'"cacheRead":0,"cacheWrite5m":0,"cacheWrite1h":0},"outputDetails":{"thinking":0},'
        b'"webSearches":0,"estimated":false},"cost":null}'
    )
    end = DECODE_JSON(frame)
    assert isinstance(end, ChatStreamEnd)
    assert (end.cost, end.steps, end.usage.input_details.cache_write5m) == (None, UNSET, 0)


def test_the_page_s_client_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """As it stands in docs/schema.md."""
    page = (Path(__file__).parents[2] / "docs" / "schema.md").read_text("utf-8")
    (client,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(client, {})
    assert capsys.readouterr().out == "again later: DRAINING\nPong\n"
