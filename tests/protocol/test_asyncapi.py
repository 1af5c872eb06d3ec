"""The AsyncAPI document names every message, what answers it, and how to connect."""

import json
import re
from typing import Any, get_args

from jsonschema import Draft7Validator, Draft202012Validator

from protocol.asyncapi import asyncapi
from protocol.client import AnyClientMessage
from protocol.codec import CODECS
from protocol.errors import CloseCode, ErrorCode
from protocol.server import AnyServerMessage
from tests.protocol.documents import parts

DOCUMENT = asyncapi()
CLIENT = [str(kind.__struct_config__.tag) for kind in get_args(AnyClientMessage)]
GATEWAY = [str(kind.__struct_config__.tag) for kind in get_args(AnyServerMessage)]
STREAM = {
    "chat.stream.start",
    "chat.stream.delta",
    "chat.stream.reasoning",
    "chat.stream.source",
    "chat.stream.notice",
    "chat.stream.end",
    "tool.call",
    "tool.result",
    "tool.error",
    "tool.approval.request",
}


def resolve(reference: str) -> Any:
    found: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def named(references: list[dict[str, str]]) -> list[str]:
    """The types of messages in the channel."""
    return [resolve(resolve(one["$ref"])["$ref"])["name"] for one in references]


def test_every_message_of_a_client_is_an_operation() -> None:
    """By its type, received, with all that may answer it; an error always may."""
    operations = {name: one for name, one in DOCUMENT["operations"].items() if name != "unasked"}
    assert list(operations) == CLIENT
    for name, operation in operations.items():
        assert operation["action"] == "receive"
        assert named(operation["messages"]) == [name]
        assert named(operation["reply"]["messages"])[-1] == "error"


def test_a_question_has_one_answer() -> None:
    """A turn has its frames, and what only goes right in silence has none."""
    replies = {
        name: set(named(operation["reply"]["messages"])) - {"error"}
        for name, operation in DOCUMENT["operations"].items()
        if "reply" in operation
    }
    assert replies.pop("chat.send") == STREAM | {"session.created"}
    assert replies.pop("chat.resume") == STREAM
    assert replies == {
        "chat.cancel": set(),
        "tool.approval.response": set(),
        "tool.output": set(),
        "context.inspect": {"context.inspection"},
        "usage.query": {"usage.report"},
        "session.create": {"session.created"},
        "session.list": {"session.list"},
        "session.history": {"session.history"},
        "session.delete": {"session.deleted"},
        "model.list": {"model.list"},
        "gateway.status": {"gateway.status"},
        "ping": {"pong"},
    }


def test_every_message_of_the_gateway_is_a_reply_or_unasked() -> None:
    """None is missing."""
    operations = DOCUMENT["operations"].values()
    replies = [named(one["reply"]["messages"]) for one in operations if "reply" in one]
    unasked = named(DOCUMENT["operations"]["unasked"]["messages"])
    assert DOCUMENT["operations"]["unasked"]["action"] == "send"
    assert {name for names in [unasked, *replies] for name in names} == set(GATEWAY)


def test_a_reply_is_found_by_the_id_of_its_request() -> None:
    """Both messages say where that stands."""
    messages = DOCUMENT["components"]["messages"]
    assert messages["Ping"]["correlationId"] == {"location": "$message.payload#/id"}
    assert messages["Pong"]["correlationId"] == {"location": "$message.payload#/requestId"}
    assert "correlationId" not in messages["GatewayHello"]


def test_every_message_is_described() -> None:
    """In a sentence, and more where there is more to say."""
    messages = DOCUMENT["components"]["messages"].values()
    assert all("\n" not in message["summary"] for message in messages)
    assert any("description" in message for message in messages)


def test_every_reference_leads_somewhere() -> None:
    """No message or schema is missing."""
    for part in parts(DOCUMENT):
        if "$ref" in part:
            assert resolve(part["$ref"])


def test_the_schemas_are_valid_however_they_are_read() -> None:
    """AsyncAPI reads them as draft 07; their keywords mean the same in 2020-12."""
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft7Validator.check_schema(schema)
        Draft202012Validator.check_schema(schema)
        assert schema["description"]


def test_no_schema_says_what_python_says() -> None:
    """Decimals are numbers, patterns are ECMAScript's."""
    for part in parts(DOCUMENT["components"]["schemas"]):
        assert part.get("format") != "decimal"
        assert "discriminator" not in part
        assert not re.search(r"\\[AZ]|\(\?P|\(\?[aiLmsux]", str(part.get("pattern", "")))


def test_a_word_in_a_description_is_a_field_or_a_value() -> None:
    """As the wire has it, not as Python does."""
    schemas = list(parts(DOCUMENT["components"]["schemas"]))
    known = {"max_steps"}  # a reason to stop: these are open
    known |= {name for part in schemas for name in dict(part.get("properties", {}))}
    known |= {value for part in schemas for value in part.get("enum", ())}
    for part in schemas:
        if isinstance(part.get("description"), str):
            assert set(re.findall(r"`([a-z]+_[a-z_]+)`", part["description"])) <= known


def test_the_document_says_where_and_how_to_connect() -> None:
    """Address, subprotocols, content types, tokens."""
    server = DOCUMENT["servers"]["local"]
    channel = DOCUMENT["channels"]["gateway"]
    address = f"{server['protocol']}://{server['host']}{channel['address']}"
    assert address == "ws://127.0.0.1:3271/gateway"
    assert list(channel["x-subprotocols"]) == list(CODECS)
    assert set(channel["x-subprotocols"].values()) == {
        "application/json",
        "application/vnd.msgpack",
    }
    schemes = [resolve(scheme["$ref"])["type"] for scheme in server["security"]]
    assert schemes == ["http", "httpApiKey"]
    assert (DOCUMENT["asyncapi"], DOCUMENT["info"]["version"]) == ("3.0.0", "1")


def test_the_document_names_every_code() -> None:
    """Errors and closes."""
    codes = resolve("#/components/schemas/ErrorCode")["enum"]
    assert set(codes) == set(get_args(ErrorCode))
    channel = DOCUMENT["channels"]["gateway"]
    assert channel["x-error-codes"] == list(get_args(ErrorCode))
    assert list(channel["x-close-codes"]) == [str(int(code)) for code in CloseCode]
    for code in (*get_args(ErrorCode), *channel["x-close-codes"]):
        assert code in DOCUMENT["info"]["description"]


def test_the_document_is_json() -> None:
    """And making it twice makes the same."""
    assert json.loads(json.dumps(DOCUMENT)) == asyncapi()
