"""The published schema says what the codecs do."""

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from protocol.client import AnyClientMessage
from protocol.codec import JSON
from protocol.named import NAMED
from protocol.schema import MESSAGES, json_schema, message_schema, type_of
from protocol.server import AnyServerMessage
from tests.protocol.documents import parts
from tests.protocol.strategies import values

CLIENT = [str(kind.__struct_config__.tag) for kind in get_args(AnyClientMessage)]
GATEWAY = [str(kind.__struct_config__.tag) for kind in get_args(AnyServerMessage)]
ROOT = json_schema()
EVERY = Draft202012Validator(ROOT)
VALIDATORS = {
    **{("client", name): Draft202012Validator(message_schema(name, "client")) for name in CLIENT},
    **{("gateway", n): Draft202012Validator(message_schema(n, "gateway")) for n in GATEWAY},
}


@given(values(AnyClientMessage))
def test_every_message_of_a_client_is_valid(message: AnyClientMessage) -> None:
    """What the codec takes, the schema takes."""
    sent = msgspec.json.decode(msgspec.json.encode(message))
    VALIDATORS["client", sent["type"]].validate(sent)
    EVERY.validate(sent)


@given(values(AnyServerMessage))
def test_every_message_of_the_gateway_is_valid(message: AnyServerMessage) -> None:
    """Decimals as the numbers they are written as."""
    sent = json.loads(JSON.encode(message))
    VALIDATORS["gateway", sent["type"]].validate(sent)
    EVERY.validate(sent)


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


# --- all messages in one document ---------------------------------------------------------------


def test_the_root_is_two_unions() -> None:
    """What a client sends, and what the gateway does; `type` tells their members apart."""
    assert ROOT["anyOf"] == [{"$ref": "#/$defs/ClientMessage"}, {"$ref": "#/$defs/ServerMessage"}]
    for name, types in (("ClientMessage", CLIENT), ("ServerMessage", GATEWAY)):
        members = [one["$ref"].removeprefix("#/$defs/") for one in ROOT["$defs"][name]["oneOf"]]
        tags = [ROOT["$defs"][member]["properties"]["type"] for member in members]
        assert [tag["const"] for tag in tags] == types
        assert all("type" in ROOT["$defs"][member]["required"] for member in members)


def test_every_definition_has_its_name_as_title_and_a_description() -> None:
    """Generators name types by the title."""
    for name, schema in ROOT["$defs"].items():
        assert schema["title"] == name
        assert schema["description"]


def test_every_field_is_described() -> None:
    """By the docstring below it, or by what it always means."""
    silent = [
        f"{name}.{field}"
        for name, schema in ROOT["$defs"].items()
        for field, one in schema.get("properties", {}).items()
        if not one.get("description")
    ]
    assert silent == []


def test_a_description_is_that_of_the_field_itself() -> None:
    """Inherited ones included; a class may say more than the fields of that name usually do."""
    ping = ROOT["$defs"]["Ping"]["properties"]
    assert ping["id"]["description"] == "Chosen by the client; answers echo it as `requestId`."
    pong, error = (ROOT["$defs"][one]["properties"] for one in ("Pong", "ErrorMessage"))
    assert pong["requestId"]["description"] == "The `id` of the request that this answers."
    assert error["requestId"]["description"] != pong["requestId"]["description"]


@pytest.mark.parametrize(("sender", "name"), VALIDATORS)
def test_every_message_has_valid_examples(sender: Any, name: str) -> None:
    """They are what the codecs write."""
    (kind,) = (kind for kind in MESSAGES[sender] if type_of(kind) == name)
    examples = ROOT["$defs"][kind.__name__]["examples"]
    assert examples
    for one in examples:
        VALIDATORS[sender, name].validate(one)


def test_an_enumeration_is_a_definition() -> None:
    """So it has one name, wherever it is used."""
    listed = [part for part in parts(ROOT) if "enum" in part]
    assert all(part["title"] in ROOT["$defs"] for part in listed)
    assert len(listed) == len({part["title"] for part in listed})


def test_values_stand_as_they_are_sent() -> None:
    """Descriptions call fields as the wire does; a value is no field."""
    described = ROOT["$defs"]["ChatStreamEnd"]["description"]
    assert "`max_steps`" in described
    assert "`maxCost`" in described
    assert "`media_type`" in ROOT["$defs"]["PlainTextSource"]["description"]
    assert "system_prompt" in ROOT["$defs"]["SectionName"]["enum"]


def test_values_keep_their_order() -> None:
    """It means something: from little to much, or as they are sent."""
    for name, (kind, _) in NAMED.items():
        if "enum" in ROOT["$defs"][name]:
            assert ROOT["$defs"][name]["enum"] == list(get_args(kind))


def test_a_reference_stands_alone() -> None:
    """Draft 07, and with it AsyncAPI, ignores what stands next to one."""
    assert all(set(part) == {"$ref"} for part in parts(ROOT) if "$ref" in part)
