"""JSON Schema of older drafts, made new, and what cannot be sent."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from protocol.free_form import DEEPEST
from protocol.provider.json_schema import Unfit, all_schemas, straightened

MADE_NEW: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"$schema": "http://json-schema.org/draft-07/schema#", "$id": "x", "type": "object"}, {}),
    ({"properties": None, "required": None, "enum": None}, {}),
    ({"title": 5, "description": None, "deprecated": "no", "examples": "x"}, {}),
    ({"properties": {"a": {"const": None, "default": None}}}, {}),
    ({"properties": {"a": {"minimum": 1, "exclusiveMinimum": True}}}, {"exclusiveMinimum": 1}),
    ({"properties": {"a": {"maximum": 1, "exclusiveMaximum": False}}}, {"maximum": 1}),
    ({"properties": {"a": {"exclusiveMaximum": True}}}, {}),
    ({"properties": {"a": {"items": [{}, True]}}}, {"prefixItems": [{}, True]}),
    (
        {"properties": {"a": {"items": [{}], "additionalItems": False}}},
        {"prefixItems": [{}], "items": False},
    ),
    ({"properties": {"a": {"items": [], "additionalItems": False}}}, {"items": False}),
    ({"properties": {"a": {"items": {}, "additionalItems": False}}}, {"items": {}}),
    (
        {"properties": {"a": {"dependencies": {"b": ["c"], "d": {}, "e": True}}}},
        {"dependentRequired": {"b": ["c"]}, "dependentSchemas": {"d": {}, "e": True}},
    ),
    ({"properties": {"a": {"dependencies": {}}}}, {}),
    ({"properties": {"a": {"allOf": [], "type": ["null", "null"]}}}, {"type": ["null"]}),
    ({"properties": {"a": {"x-own": {"type": 5}, "nullable": True}}}, {}),
]


@pytest.mark.parametrize(("old", "inside"), MADE_NEW)
def test_what_older_drafts_say_is_said_anew(old: dict[str, Any], inside: dict[str, Any]) -> None:
    """The meta-schema of draft 2020-12 takes it, and what it already said stays."""
    new = straightened(old)
    Draft202012Validator.check_schema(new)
    if inside:
        assert new["properties"]["a"] == inside
    assert straightened(new) == new


def test_a_property_that_says_itself_that_it_is_required() -> None:
    """Draft 3, and many who write by hand."""
    old = {
        "required": ["a", "a"],
        "properties": {"a": {}, "b": {"required": True}, "c": {"required": False}, "d": True},
    }
    new = straightened(old)
    assert new == {"required": ["a", "b"], "properties": {"a": {}, "b": {}, "c": {}, "d": True}}
    assert straightened({"properties": {"b": {"required": True}}})["required"] == ["b"]


WRONG: list[dict[str, Any]] = [
    {"properties": []},
    {"properties": {"a": 5}},
    {"properties": {"a": None}},
    {"properties": {"a": {"type": "int"}}},
    {"properties": {"a": {"type": []}}},
    {"properties": {"a": {"type": [["string"]]}}},
    {"properties": {"a": {"minLength": -1}}},
    {"properties": {"a": {"minLength": 1.5}}},
    {"properties": {"a": {"minLength": "1"}}},
    {"properties": {"a": {"minimum": True}}},
    {"properties": {"a": {"multipleOf": 0}}},
    {"properties": {"a": {"anyOf": []}}},
    {"properties": {"a": {"anyOf": {}}}},
    {"properties": {"a": {"enum": "abc"}}},
    {"properties": {"a": {"uniqueItems": "yes"}}},
    {"properties": {"a": {"pattern": 5}}},
    {"properties": {"a": {"dependentRequired": {"b": "c"}}}},
    {"properties": {"a": {"dependentRequired": []}}},
    {"required": "a", "properties": {"b": {"required": True}}},
    {"required": [1]},
    {"items": 5},
    {"additionalProperties": "no"},
    {"dependencies": {"a": 5}},
]


@pytest.mark.parametrize("schema", WRONG)
def test_what_no_draft_means_cannot_be_sent(schema: dict[str, Any]) -> None:
    """As the meta-schema has it too."""
    with pytest.raises(Unfit):
        straightened(schema)
    if "dependencies" not in schema:
        assert not Draft202012Validator(Draft202012Validator.META_SCHEMA).is_valid(schema)


@pytest.mark.parametrize(
    "ref",
    [
        "#",
        "#/$defs/a",
        "#/$defs/true",
        "#/properties/x/items",
        "#/properties/a%20b",
        "#/$defs/s~1t",
    ],
)
def test_a_reference_that_leads_to_a_schema_stays(ref: str) -> None:
    """Round and back to itself too, as a tree does."""
    schema = {
        "$defs": {"a": {"properties": {"again": {"$ref": "#"}}}, "true": True, "s/t": {}},
        "properties": {"x": {"items": {}}, "a b": {}, "y": {"$ref": ref}, "z": {"$ref": ref}},
    }
    assert straightened(schema) == schema


def test_a_reference_may_lead_into_what_is_not_known() -> None:
    """Some write their definitions where OpenAPI has them."""
    schema = {"components": {"a": {"$ref": "#/x"}}, "not": {"$ref": "#/components/a"}}
    assert straightened(schema) == schema


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"not": {"$ref": "#/nowhere"}}, "leads nowhere"),
        ({"not": {"$ref": "#/allOf/1"}, "allOf": [{}]}, "leads nowhere"),
        ({"not": {"$ref": "#/allOf/x"}, "allOf": [{}]}, "leads nowhere"),
        ({"not": {"$ref": "#/allOf/-1"}, "allOf": [{}]}, "leads nowhere"),
        ({"not": {"$ref": "#/title/x"}, "title": "x"}, "leads nowhere"),
        ({"not": {"$ref": "#/title"}, "title": "x"}, "leads nowhere"),
        ({"not": {"$ref": "http://x.example/y"}}, "outside of it"),
        ({"not": {"$ref": "#anchor"}}, "outside of it"),
        ({"not": {"$ref": 5}}, r"keyword `\$ref`"),
        ({"not": {"$dynamicRef": "#x"}}, "cannot be followed"),
        ({"not": {"$id": "x"}}, "an address of its own"),
        ({"$ref": "#"}, "in a circle"),
        ({"$defs": {"a": {"$ref": "#/not"}}, "not": {"$ref": "#/$defs/a"}}, "in a circle"),
    ],
)
def test_a_reference_that_leads_to_none_cannot_be_sent(schema: dict[str, Any], words: str) -> None:
    """Nowhere, out of the schema, or round in a circle."""
    with pytest.raises(Unfit, match=words):
        straightened(schema)


def test_a_property_may_be_called_as_a_reference_is() -> None:
    """A reference to the map of properties finds a schema where it looks for a text."""
    schema = {"properties": {"$ref": {"type": "string"}, "a": {"$ref": "#/properties"}}}
    assert straightened(schema) == schema


def test_what_is_too_large_or_too_deep_is_not_walked() -> None:
    """Nor is what is no JSON sent."""
    with pytest.raises(Unfit, match="more than 10,000 values"):
        straightened({"x": [[]] * 5_000_000})
    deep: dict[str, Any] = {}
    for _ in range(DEEPEST + 1):
        deep = {"not": deep}
    with pytest.raises(Unfit, match="deeper than 64 levels"):
        straightened(deep)
    with pytest.raises(Unfit, match="is no JSON"):
        straightened({"maximum": 10**30})


def test_every_schema_inside_is_found() -> None:
    """By whatever keyword; what is data is none."""
    inner = {"items": {"anyOf": [{"not": {}}, True]}, "$defs": {"a": {"enum": [{"not": {}}]}}}
    assert sum(1 for _ in all_schemas(inner)) == 5
