"""What a client may send, field by field."""

from typing import Any, get_args

import msgspec
import pytest

from protocol.client import AnyClientMessage, ChatSend, ClientMessage
from protocol.codec import CLIENT_TYPES, JSON
from protocol.errors import InvalidMessage
from protocol.provider.thinking import ThinkingBudget

# The contract: each type's fields, `?` for those that may be left out.
MESSAGES = {
    "chat.send": "id content sessionId? model? agentId? system? maxTokens? thinking? effort? "
    "onDisconnect? maxCost? tools? serverTools? toolChoice? stopSequences? outputFormat? "
    "temperature? topP? topK? cacheTtl? userId?",
    "chat.cancel": "id requestId? turnId?",
    "chat.resume": "id turnId after?",
    "context.inspect": "id sessionId content? model? exact? turnId? outputFormat?",
    "usage.query": "id sessionId? since? until?",
    "session.create": "id model? agentId? system? title?",
    "session.list": "id limit? before?",
    "session.history": "id sessionId limit? before?",
    "session.delete": "id sessionId",
    "model.list": "id",
    "tool.approval.response": "id toolCallId approved sessionApprove?",
    "tool.output": "id toolCallId content isError?",
    "gateway.status": "id",
    "ping": "id",
}

# For every field a good value, and bad ones.
GOOD: dict[str, Any] = {
    "id": "A-z_0.9:",
    "content": [{"type": "text", "text": "Hi"}],
    "sessionId": "s",
    "model": "anthropic/claude-opus-4-1@20250805",
    "agentId": "_agent",
    "system": "Be kind.",
    "maxTokens": 1,
    "thinking": {"budgetTokens": 1024},
    "effort": "xhigh",
    "onDisconnect": "cancel",
    "maxCost": 0.01,
    "tools": [{"name": "a-b_C", "description": "", "inputSchema": {"type": "object"}}],
    "serverTools": [
        "code_execution",
        {"name": "web_search", "maxUses": 3, "allowedDomains": ["example.com/docs"]},
    ],
    "toolChoice": {"name": "brew"},
    "stopSequences": ["END"],
    "outputFormat": {"schema": {"type": "object"}},
    "temperature": 0.5,
    "topP": 1,
    "topK": 40,
    "cacheTtl": "1h",
    "userId": "u-4711",
    "requestId": "r",
    "turnId": "t",
    "after": -1,
    "exact": True,
    "since": "2026-11-21T12:00:00Z",
    "until": "2026-11-22",
    "title": "A title",
    "limit": 200,
    "before": "b",
    "toolCallId": "c",
    "approved": False,
    "sessionApprove": True,
    "isError": True,
}
BAD: dict[str, list[Any]] = {
    "id": ["", "a b", "a\n", "x" * 65, 5, None],
    "content": [5, [5], [{"type": "video"}], [{"type": "text"}], {"type": "text"}],
    "sessionId": ["", "../etc", "é", 5],
    "model": ["", "a b", "x" * 129, "m\n"],
    "agentId": ["", ".hidden", "..", "a/b", "a\n"],
    "system": [5, ["x"]],
    "maxTokens": [0, -1, 1.5, 1.0, "1", 10**7 + 1],
    "thinking": ["on", True, {}, {"budgetTokens": 1023}, {"budgetTokens": 10**6 + 1}],
    "effort": ["extreme", 1],
    "onDisconnect": ["stop", None],
    "maxCost": [0, -1, "1", 10**7],
    "tools": [
        {},
        [{}],
        [{**GOOD["tools"][0], "name": "a b"}],
        [{**GOOD["tools"][0], "inputSchema": []}],
        GOOD["tools"] * 129,
    ],
    "serverTools": [
        "web_search",
        ["bash"],
        ["web_search"] * 9,
        [{"name": "web_search", "maxUses": 0}],
        [{"name": "web_search", "allowedDomains": []}],
        [{"name": "web_search", "allowedDomains": ["https://example.com"]}],
        [{"name": "web_search", "userLocation": {"country": "Norway"}}],
    ],
    "toolChoice": ["some", {}, {"name": "a b"}],
    "stopSequences": [[], [""], ["x"] * 17, ["x" * 257], "END"],
    "outputFormat": [{}, {"schema": []}, "json"],
    "temperature": [-0.1, 1.1, "0"],
    "topP": [-0.1, 1.1],
    "topK": [0, 1.5],
    "cacheTtl": ["10m", 5],
    "userId": ["", "me@example.com", "Ann Lee", "x" * 257],
    "requestId": ["", 5],
    "turnId": ["", 5],
    "after": [-2, 1.5, "0"],
    "exact": [0, "true"],
    "since": ["", "x" * 41, 5],
    "until": ["", 5],
    "title": ["x" * 201, 5],
    "limit": [0, 201, "9"],
    "before": ["", 5],
    "toolCallId": ["", "a b", 5],
    "approved": [1, "yes", None],
    "sessionApprove": [1],
    "isError": [0],
}
KINDS = {str(kind.__struct_config__.tag): kind for kind in get_args(AnyClientMessage)}
EVERY_TYPE = pytest.mark.parametrize("type_name", MESSAGES)


def fields_of(type_name: str) -> dict[str, bool]:
    """Every field of a message by its wire name, and whether it is required."""
    return {name.removesuffix("?"): not name.endswith("?") for name in MESSAGES[type_name].split()}


def decode(type_name: str, fields: dict[str, Any]) -> AnyClientMessage:
    return JSON.decode(msgspec.json.encode({"type": type_name, **fields}).decode())


def test_the_types_are_the_contracts() -> None:
    """None more, none less; and every message is a part of the union."""
    assert set(MESSAGES) == set(KINDS) == CLIENT_TYPES
    assert set(ClientMessage.__subclasses__()) == set(KINDS.values())


@EVERY_TYPE
def test_the_fields_are_the_contracts(type_name: str) -> None:
    """Their wire names, and which of them are required."""
    fields = msgspec.structs.fields(KINDS[type_name])
    assert {field.encode_name: field.required for field in fields} == fields_of(type_name)


@EVERY_TYPE
def test_a_message_with_every_field_is_taken(type_name: str) -> None:
    """And comes out with every field as it was sent."""
    fields = {name: GOOD[name] for name in fields_of(type_name)}
    message = decode(type_name, fields)
    assert type(message) is KINDS[type_name]
    sent = msgspec.to_builtins(message)
    assert sent == {"type": type_name, **fields}


@EVERY_TYPE
def test_a_message_with_its_required_fields_alone_is_taken(type_name: str) -> None:
    """The others have defaults, and are not sent on."""
    fields = {name: GOOD[name] for name, required in fields_of(type_name).items() if required}
    assert msgspec.to_builtins(decode(type_name, fields)) == {"type": type_name, **fields}


@EVERY_TYPE
def test_each_required_field_is_missed(type_name: str) -> None:
    """By its name."""
    fields = {name: GOOD[name] for name in fields_of(type_name)}
    for name, required in fields_of(type_name).items():
        if required:
            rest = {other: value for other, value in fields.items() if other != name}
            with pytest.raises(InvalidMessage, match=f"`{name}`"):
                decode(type_name, rest)


@EVERY_TYPE
def test_each_bad_value_is_refused_with_its_fields_name(type_name: str) -> None:
    """Types, lengths, ranges and alphabets."""
    fields = {name: GOOD[name] for name in fields_of(type_name)}
    for name in fields:
        for value in BAD[name]:
            with pytest.raises(InvalidMessage, match=f"`{name}"):
                decode(type_name, {**fields, name: value})


def test_a_plain_question_has_the_defaults() -> None:
    """Thinking is the model's best, a lost connection detaches."""
    message = decode("chat.send", {"id": "1", "content": "Hi"})
    assert isinstance(message, ChatSend)
    assert (message.thinking, message.on_disconnect, message.content) == ("auto", "detach", "Hi")
    assert message.effort is None


@pytest.mark.parametrize("thinking", ["auto", "off", {"budgetTokens": 8000}])
def test_thinking_is_a_word_or_a_budget(thinking: object) -> None:
    """In tokens."""
    message = decode("chat.send", {"id": "1", "content": "Hi", "thinking": thinking})
    assert isinstance(message, ChatSend)
    assert message.thinking == (
        thinking if isinstance(thinking, str) else ThinkingBudget(budget_tokens=8000)
    )


@EVERY_TYPE
def test_an_optional_field_may_be_null_where_it_has_no_default(type_name: str) -> None:
    """As clients say that write every field they know."""
    fields = {name: GOOD[name] for name, required in fields_of(type_name).items() if required}
    for field in msgspec.structs.fields(KINDS[type_name]):
        if field.default is None:
            decode(type_name, {**fields, field.encode_name: None})
