"""Whatever is done to a message, the published schema and the codec judge it alike."""

from __future__ import annotations

import json
from itertools import product
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import inspect

from protocol.client import AnyClientMessage
from protocol.codec import JSON
from protocol.schema import json_schema
from protocol.server import AnyServerMessage
from tests.protocol.strategies import values

ROOT = json_schema()
DEFINITIONS = ROOT["$defs"]
GATEWAY = Draft202012Validator({**ROOT, "anyOf": [{"$ref": "#/$defs/ServerMessage"}]})
MESSAGES = [*get_args(AnyClientMessage), *get_args(AnyServerMessage)]

# What stands in the place of each field: every type, the borders of every bound, every alphabet.
_LENGTHS = (1, 2, 3, 40, 41, 64, 65, 128, 129, 200, 201, 253, 254, 255, 256, 257, 16_384, 16_385)
_BOUNDS = (-2, -1, 0, 1, 2, 200, 201, 1_000, 1_001, 1_024, 10**6, 10**6 + 1, 10**7, 10**7 + 1)
_VALUES: list[Any] = [
    *(None, True, False, {}, 1_023, 2**53, 2**53 + 1, 0.5, 1.5, 1e-9, *_BOUNDS),
    *("", "a b", ".a", "_", "*", "a/b", "a@b", "a:b", "a.b", "a-b", "a\n", "é", "~", " "),
    *("x" * length for length in _LENGTHS),
    *("auto", "off", "any", "none", "low", "max", "detach", "cancel", "5m", "1h", "web_search"),
    *({"name": "a"}, {"name": "web_search"}, {"budgetTokens": 1_024}, {"budgetTokens": 1_023}),
    *({"schema": {}}, {"schema": []}, {"enabled": True}, {"type": "text"}, {"city": "a"}),
    *({"type": "text", "text": "a"}, {"type": "image", "source": {"type": "url", "url": "a"}}),
    *({"type": "url", "url": "a"}, {"type": "text", "data": "a"}, {"type": "base64", "data": "a"}),
    {"type": "base64", "data": "a", "media_type": "a"},
    {"type": "document", "source": {"type": "text", "data": "a"}},
    {"name": "a", "description": "a", "inputSchema": {}},
]
STRANGE = [*_VALUES, [], *([value] for value in _VALUES), ["x"] * 16, ["x"] * 17, ["x"] * 65]
LEFT_OUT = object()


def structs_of(*kinds: Any) -> dict[str, type[msgspec.Struct]]:
    """By name, every struct that these are made of."""
    found = {}
    waiting: list[Any] = [inspect.type_info(kind) for kind in kinds]
    while waiting:
        info = waiting.pop()
        if isinstance(info, inspect.StructType):
            found[info.cls.__name__] = info.cls
            waiting += (field.type for field in info.fields)
        waiting += getattr(info, "types", ())
        waiting += filter(None, [getattr(info, "item_type", None)])
    return found


class Other(msgspec.Struct, tag_field="type", tag="other"):
    """Next to it a tagged struct must have its tag, as it must in the wire's unions."""


CLIENT_STRUCTS = structs_of(AnyClientMessage)


@pytest.mark.parametrize("name", CLIENT_STRUCTS)
def test_the_schema_and_the_codec_judge_every_field_alike(name: str) -> None:
    """Whatever stands there, and when nothing does."""
    kind: Any = CLIENT_STRUCTS[name]
    decode = msgspec.json.Decoder(kind | Other if kind.__struct_config__.tag else kind).decode
    validator = Draft202012Validator({**ROOT, "anyOf": [{"$ref": f"#/$defs/{name}"}]})

    def is_taken(sent: Any) -> bool:
        try:
            return isinstance(decode(json.dumps(sent)), kind)
        except msgspec.ValidationError:
            return False

    @settings(max_examples=1, phases=[Phase.generate])  # the simplest message is enough
    @given(values(kind))
    def judge(message: Any) -> None:
        sent = json.loads(msgspec.json.encode(message))
        verdicts = set()
        for field, value in product(DEFINITIONS[name]["properties"], [LEFT_OUT, *STRANGE]):
            changed = {**sent, field: value}
            if value is LEFT_OUT:
                changed.pop(field)
            verdict = is_taken(changed)
            assert validator.is_valid(changed) == verdict, changed
            verdicts.add(verdict)
        assert verdicts == {True, False}

    judge()


@settings(max_examples=200)
@given(values(AnyServerMessage), st.data())
def test_the_schema_misses_what_the_gateway_always_says(message: Any, data: st.DataObject) -> None:
    """A field is required exactly when it is never left out."""
    sent = json.loads(JSON.encode(message))
    key = data.draw(st.sampled_from(sorted(sent)))
    (field,) = (
        (one for one in msgspec.structs.fields(message) if one.encode_name == key)
        if key != "type"
        else (None,)
    )
    del sent[key]
    assert GATEWAY.is_valid(sent) == (field is not None and not field.required)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: str(kind.__name__))
def test_fields_are_required_and_have_defaults_alike(kind: Any) -> None:
    """By their names on the wire; a default stands as it would be sent."""
    schema = DEFINITIONS[kind.__name__]
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    assert {*fields, "type"} == set(schema["properties"])
    assert {name for name, field in fields.items() if field.required} | {"type"} == set(
        schema["required"]
    )
    for name, field in fields.items():
        told = schema["properties"][name].get("default", msgspec.UNSET)
        default = None if field.default is msgspec.NODEFAULT else field.default
        if told is msgspec.UNSET:
            assert default in (None, msgspec.UNSET)
        else:
            assert told == msgspec.to_builtins(default)
