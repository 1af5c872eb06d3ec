"""Schemas for structured output: what is refused, and what is counted."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import pytest

from protocol.provider.following import answer_fault
from protocol.provider.structured import (
    MOST_NODES,
    Figures,
    Unfitting,
    measure,
)


def of(properties: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An object's schema, with all properties required."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        **fields,
    }


PERSON = of(
    {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "mood": {"enum": ["Good Day", "bad", 3, None]},
        "kind": {"const": "person"},
        "tags": {"type": "array", "items": {"type": ["string", "null"]}, "minItems": 1},
        "home": {"anyOf": [{"$ref": "#/$defs/place"}, {"type": "null"}]},
        "day": {"format": "date"},
        "size": {"allOf": [{"type": "number"}, {"enum": [1.5, 2]}]},
    },
    **{"$defs": {"place": of({"city": {"type": "string", "format": "hostname"}})}},
)


def test_a_schema_that_is_taken_is_measured() -> None:
    """Optional properties and union types count, wherever they are."""
    assert measure(PERSON) == Figures(optional=0, unions=1)
    loose = of({"a": {"type": ["string", "null"]}, "b": of({"c": {}}, required=[])}, required=[])
    assert measure(loose) == Figures(optional=3, unions=1)
    assert Figures(20, 10).plus(Figures(5, 0)).fault == (
        "25 properties are not `required`; at most 24 may be"
    )
    assert Figures(0, 17).fault == "17 properties have a union type; at most 16 may"
    assert Figures(24, 16).fault is None


@pytest.mark.parametrize(
    ("schema", "refusal"),
    [
        ({"type": "object"}, "`/` is an object and needs `additionalProperties: false`"),
        (of({"a": {"properties": {}}}), "`/properties/a` is an object and needs"),
        (of({"a": {"minimum": 1}}), "`/properties/a` has `minimum`, which is not supported"),
        (of({"a": {"maxLength": 1}}), "has `maxLength`"),
        (of({"a": {"oneOf": []}}), "has `oneOf`"),
        (of({"a": {"type": "date"}}), "has a `type` that is none of JSON Schema's"),
        (of({"a": {"type": [["string"]]}}), "has a `type` that is none of JSON Schema's"),
        (of({"a": {"type": "array", "minItems": 2}}), "has a `minItems` other than 0 or 1"),
        (of({"a": {"type": "string", "format": "color"}}), "has a `format` that is not supported"),
        (of({"a": {"format": []}}), "has a `format` that is not supported"),
        ({"required": [[]]}, "`/` has a `required` with other things than names"),
        (of({"n" * 5_000: {"not": {}}}), f"`/properties/{'n' * 49}` has `not`"),
        (of({"a": {"enum": [{}]}}), "has an `enum` of other things"),
        (of({"a": {"enum": "x"}}), "has an `enum` of other things"),
        (of({"a": {"allOf": [{"$ref": "#/$defs/b"}]}}), "has `allOf` with `$ref`"),
        (of({"a": {"anyOf": {}}}), "`anyOf` is no list"),
        (of({"a": 5}), "`/properties/a` is no object"),
        ({"properties": [], "additionalProperties": False}, "`properties` is no object"),
        (of({"a": {"$ref": "http://x"}}), "`$ref` leads to `http://x`, which is no definition"),
        (of({"a": {"$ref": "#"}}), "it is recursive"),
        (
            of({"a": {"$ref": "#/$defs/b"}}, **{"$defs": {"b": {"items": {"$ref": "#/$defs/b"}}}}),
            "it is recursive",
        ),
        (of({"a": {}}, **{"$defs": {"b": {"items": {"$ref": "#"}}}}), "it is recursive"),
        ({"items": {"anyOf": [{}] * MOST_NODES}}, "it is too large"),
    ],
)
def test_what_the_grammar_cannot_have_is_refused(schema: dict[str, Any], refusal: str) -> None:
    """With its place, as a clause."""
    with pytest.raises(Unfitting) as caught:
        measure(schema)
    assert refusal in str(caught.value)


def test_a_schema_has_a_depth() -> None:
    """However few schemas it is of."""
    schema: dict[str, Any] = {}
    for _ in range(40):
        schema = {"type": "array", "items": schema}
    with pytest.raises(Unfitting, match="within each other"):
        measure(schema)


def test_definitions_may_lead_to_each_other() -> None:
    """As long as none leads to itself."""
    chain = of(
        {"a": {"$ref": "#/definitions/b"}},
        definitions={"b": {"items": {"$ref": "#/definitions/c"}}, "c": {"type": "string"}},
    )
    assert measure(chain) == Figures()
    assert answer_fault('{"a": ["x"]}', chain) is None
    assert answer_fault('{"a": [5]}', chain) == "a part of `a` is not of the type string"


def test_a_long_name_is_not_repeated_for_all_that_is_in_it() -> None:
    """Seen: half a gigabyte for a name of 300,000 characters, with 1,900 properties in it."""
    inner = of({f"p{number}": {} for number in range(1_900)})
    tracemalloc.start()
    try:
        assert measure(of({"n" * 300_000: inner})) == Figures()
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_long_chain_of_definitions_is_followed_in_one_walk() -> None:
    """Seen: 0.2 s, in which nothing else could run."""
    last = MOST_NODES - 10
    links = {str(number): {"$ref": f"#/$defs/{number + 1}"} for number in range(last)}
    schema = of({"a": {"$ref": "#/$defs/0"}}, **{"$defs": {**links, str(last): {}}})
    took = []
    for _ in range(3):
        began = time.process_time()
        assert measure(schema) == Figures()
        took.append(time.process_time() - began)
    assert min(took) < 0.15
    schema["$defs"][str(last)] = {"items": {"$ref": "#/$defs/0"}}
    with pytest.raises(Unfitting, match="it is recursive"):
        measure(schema)
