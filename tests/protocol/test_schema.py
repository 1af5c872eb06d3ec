"""The published schema says what the codecs do."""

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from jsonschema import Draft7Validator, Draft202012Validator

from protocol.client import AnyClientMessage
from protocol.codec import CODECS, JSON
from protocol.errors import CloseCode, ErrorCode
from protocol.schema import asyncapi, message_schema
from protocol.server import AnyServerMessage
from tests.protocol.strategies import values

DOCUMENT = asyncapi()
CLIENT = [str(kind.__struct_config__.tag) for kind in get_args(AnyClientMessage)]
GATEWAY = [str(kind.__struct_config__.tag) for kind in get_args(AnyServerMessage)]
VALIDATORS = {
    **{("client", name): Draft202012Validator(message_schema(name, "client")) for name in CLIENT},
    **{("gateway", n): Draft202012Validator(message_schema(n, "gateway")) for n in GATEWAY},
}


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from parts(item)


def resolve(reference: str) -> Any:
    found: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


# --- one message -------------------------------------------------------------------------------


@given(values(AnyClientMessage))
def test_every_message_of_a_client_is_valid(message: AnyClientMessage) -> None:
    """What the codec takes, the schema takes."""
    sent = msgspec.json.decode(msgspec.json.encode(message))
    VALIDATORS["client", sent["type"]].validate(sent)


@given(values(AnyServerMessage))
def test_every_message_of_the_gateway_is_valid(message: AnyServerMessage) -> None:
    """Decimals as the numbers they are written as."""
    sent = json.loads(JSON.encode(message))
    VALIDATORS["gateway", sent["type"]].validate(sent)


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "ping"},
        {"type": "pong", "id": "1"},
        {"type": "ping", "id": 1},
        {"type": "ping", "id": ""},
        {"type": "ping", "id": "a b"},
        {"type": "ping", "id": "1\n"},
        {"type": "ping", "id": "x" * 65},
    ],
)
def test_what_the_codec_refuses_the_schema_refuses(wrong: dict[str, Any]) -> None:
    """Lengths and alphabets included."""
    assert not VALIDATORS["client", "ping"].is_valid(wrong)


def test_a_type_that_both_sides_send_is_a_request_or_an_answer() -> None:
    """Unless it is said who sends it."""
    either = Draft202012Validator(message_schema("model.list"))
    request = {"type": "model.list", "id": "1"}
    answer = {"type": "model.list", "requestId": "1", "defaultModel": "m", "models": []}
    assert either.is_valid(request)
    assert either.is_valid(answer)
    assert not VALIDATORS["client", "model.list"].is_valid(answer)
    assert not VALIDATORS["gateway", "model.list"].is_valid(request)


def test_a_type_that_nobody_sends_has_no_schema() -> None:
    """Nor one that the sender does not send."""
    with pytest.raises(LookupError):
        message_schema("chat.sned")
    with pytest.raises(LookupError):
        message_schema("pong", "client")


@pytest.mark.parametrize(("sender", "name"), VALIDATORS)
def test_a_schema_is_valid_and_needs_no_other_document(sender: Any, name: str) -> None:
    """JSON Schema 2020-12, with everything it refers to."""
    schema = message_schema(name, sender)
    Draft202012Validator.check_schema(schema)
    for part in parts(schema):
        if "$ref" in part:
            assert part["$ref"].removeprefix("#/$defs/") in schema["$defs"]


# --- the whole protocol ------------------------------------------------------------------------


def test_the_document_describes_every_message() -> None:
    """By the type's name, with a description, in the direction in which it goes."""
    operations = DOCUMENT["operations"]
    for action, names in (("receive", CLIENT), ("send", GATEWAY)):
        assert operations[action]["action"] == action
        messages = [resolve(one["$ref"]) for one in operations[action]["messages"]]
        messages = [resolve(one["$ref"]) for one in messages]
        assert [message["name"] for message in messages] == names
        assert all(message["summary"] for message in messages)


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
    """Decimals are numbers, fields have their wire names, patterns are ECMAScript's."""
    for part in parts(DOCUMENT["components"]["schemas"]):
        assert part.get("format") != "decimal"
        assert "discriminator" not in part
        assert not re.search(r"`[a-z]+_[a-z_]+`", str(part.get("description", "")))
        assert not re.search(r"\\[AZ]|\(\?P|\(\?[aiLmsux]", str(part.get("pattern", "")))


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
    codes = resolve("#/components/schemas/ErrorMessage")["properties"]["code"]["enum"]
    assert set(codes) == set(get_args(ErrorCode))
    channel = DOCUMENT["channels"]["gateway"]
    assert channel["x-error-codes"] == list(get_args(ErrorCode))
    assert list(channel["x-close-codes"]) == [str(int(code)) for code in CloseCode]
    for code in (*get_args(ErrorCode), *channel["x-close-codes"]):
        assert code in DOCUMENT["info"]["description"]


def test_the_document_is_json() -> None:
    """And making it twice makes the same."""
    assert json.loads(json.dumps(DOCUMENT)) == asyncapi()
