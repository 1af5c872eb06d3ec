"""A tool's schema, made to fit, and the way of a call's arguments back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from protocol.provider.json_schema import Unfit, all_schemas
from protocol.provider.tool_schema import fit, of_an_object

FITTING = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


def own_names(schema: dict[str, Any]) -> dict[str, str]:
    """The fitted names by the tool's own."""
    return {own: new for new, own in fit(schema).names.items()}


def test_a_schema_that_fits_stays_as_it_is() -> None:
    """And so do the arguments."""
    schema = {"type": "object", "properties": {"a": {"oneOf": [{}]}}, "additionalProperties": True}
    found = fit(schema)
    assert (found.schema, found.difference) == (schema, None)
    assert found.own_arguments({"a": 1}) == {"a": 1}


@pytest.mark.parametrize("given_type", [None, "object", ["object", "null"]])
def test_what_can_only_be_an_object_is_said_to_be_one(given_type: Any) -> None:
    """Arguments are nothing else."""
    assert of_an_object({"type": given_type})["type"] == "object"
    assert fit({})[0] == {"type": "object"}


@pytest.mark.parametrize("given_type", ["string", ["string", "null"], [], 5])
def test_a_schema_of_something_else_does_not_fit(given_type: Any) -> None:
    """Nobody could call that."""
    with pytest.raises(Unfit, match="not of an object"):
        fit({"type": given_type})


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf", "allOf"])
def test_what_may_not_stand_at_the_top_is_wrapped(keyword: str) -> None:
    """References lead to where they led."""
    own = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/n"}, "b": {"items": {"$ref": "#"}}},
        keyword: [{"required": ["a"]}, {"required": ["b"]}, *([True] * (keyword == "allOf"))],
        "$defs": {"n": {"type": "number"}},
    }
    found = fit(own)
    assert found.schema.keys() == {"type", "properties", "required", "additionalProperties"}
    check = Draft202012Validator(found.schema)
    given: dict[str, Any]
    for given in ({"a": 1}, {"a": "x"}, {"b": []}, {"a": 1, "b": [{"a": "x"}]}, {}):
        own_check = Draft202012Validator(own)
        assert check.is_valid({"arguments": given}) == own_check.is_valid(given)
        assert found.own_arguments({"arguments": given}) == given


@pytest.mark.parametrize("given", [{"arguments": 5}, {"arguments": {}, "a": 1}, {"a": 1}])
def test_a_call_that_does_not_keep_to_the_wrapping_is_told(given: dict[str, Any]) -> None:
    """It cannot be known what was meant."""
    with pytest.raises(ValueError, match="`arguments`"):
        fit({"anyOf": [{}]}).own_arguments(given)


def test_a_call_without_any_argument_has_none() -> None:
    """Though they are wrapped."""
    assert fit({"anyOf": [{}]}).own_arguments({}) == {}


@pytest.mark.parametrize(
    "name", ["filter[id]", "$top", "a b", "x:y", "имя", "", "a" * 65, "@odata.type", "a/b~c%"]
)
def test_an_odd_name_is_changed_wherever_it_stands(name: str) -> None:
    """In objects of objects, in lists, in references; the model is told what it truly is."""
    pointer = name.replace("~", "~0").replace("/", "~1").replace("%", "%25")
    own = {
        "type": "object",
        "properties": {
            name: {"type": "integer", "description": "How many."},
            "list": {"type": "array", "items": {"properties": {name: True}, "required": [name]}},
            "same": {"$ref": f"#/properties/{pointer}"},
            "none": {"properties": {name: False}},
        },
        "required": [name],
        "dependentRequired": {name: ["list"], "list": [name]},
        "dependentSchemas": {name: {}},
        "default": {name: 1},
        "enum": [{name: 2, "list": [{name: "x"}], "same": 3}],
    }
    found = fit(own)
    (new,) = found.names
    assert FITTING.fullmatch(new)
    properties = found.schema["properties"]
    assert properties[new]["description"] == f"({name}) How many."
    assert properties["list"]["items"]["properties"][new] == {"description": f"({name})"}
    assert properties["none"]["properties"] == {new: False}
    given = {new: 2, "list": [{new: "x"}], "same": 3}
    assert Draft202012Validator(found.schema).is_valid(given)
    assert found.own_arguments(given) == {name: 2, "list": [{name: "x"}], "same": 3}
    assert name[:100] in (found.difference or "")


def test_a_name_is_changed_the_same_way_in_every_tool() -> None:
    """What else a server offers does not change the prompt."""
    alone = own_names({"properties": {"a b": {}}})
    assert own_names({"properties": {"a b": {}, "a_b": {}, "a:b": {}}})["a b"] == alone["a b"]


def test_a_reference_through_a_property_that_is_called_as_a_keyword_is() -> None:
    """A step is a name only where names stand."""
    inner: dict[str, Any] = {"properties": {"a b": {"anyOf": [{"items": {}}]}}}
    own = {
        "properties": {
            "properties": {**inner, "a b": 1},
            "r": {"$ref": "#/properties/properties/properties/a%20b/anyOf/0/items"},
        }
    }
    found = fit(own)
    (new,) = found.names
    there = f"#/properties/properties/properties/{new}/anyOf/0/items"
    assert found.schema["properties"]["r"]["$ref"] == there


@pytest.mark.parametrize("rule", [{"patternProperties": {"^x": {}}}, {"propertyNames": False}])
def test_where_names_are_ruled_none_can_be_changed(rule: dict[str, Any]) -> None:
    """It would not be exact. A rule that every name keeps is none."""
    with pytest.raises(Unfit, match="has rules on names"):
        fit({"properties": {"a b": {}, "c": rule}})
    fit({"properties": {"a b": {}, "c": {"propertyNames": {"type": "string"}}}})
    fit({"properties": {"a": {}, "c": rule}})


def test_a_name_that_is_taken_cannot_be_given() -> None:
    """Nobody could tell the two apart again."""
    new = own_names({"properties": {"a b": {}}})["a b"]
    with pytest.raises(Unfit, match="another one"):
        fit({"properties": {"a b": {}, new: {}}})


def test_wrapped_and_renamed_at_once() -> None:
    """One way back for both."""
    found = fit(
        {"oneOf": [{"$ref": "#/properties/a b"}], "properties": {"a b": {"type": "object"}}}
    )
    (new,) = found.names
    assert found.schema["properties"]["arguments"]["oneOf"] == [
        {"$ref": f"#/properties/arguments/properties/{new}"}
    ]
    assert found.own_arguments({"arguments": {new: 1}}) == {"a b": 1}


names = st.sampled_from(["a", "a b", "a_b", "ä", "$x", "b" * 70]) | st.text(max_size=5)
leaves = st.sampled_from([{}, {"type": "string"}, {"type": "integer", "exclusiveMinimum": True}])


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas of objects and lists."""
    properties = st.dictionaries(names, inner, max_size=3)
    return st.one_of(
        properties.map(lambda one: {"type": "object", "properties": one, "required": [*one]}),
        inner.map(lambda one: {"type": "array", "items": one}),
        inner.map(lambda one: {"anyOf": [one, {"type": "null"}]}),
    )


schemas = st.recursive(leaves, objects, max_leaves=8)
data = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(schema=st.dictionaries(names, schemas, max_size=3), given=st.dictionaries(names, data))
def test_every_rewriting_is_exact(schema: dict[str, Any], given: dict[str, Any]) -> None:
    """The provider takes it, and it has the same calls: each is the other's, and comes back."""
    own = {"type": "object", "properties": schema}
    found = fit(own)
    Draft202012Validator.check_schema(found.schema)
    for one in all_schemas(found.schema):
        assert all(FITTING.fullmatch(name) for name in one.get("properties", ()))

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {own_names(own).get(name, name): renamed(one) for name, one in value.items()}
        return [renamed(one) for one in value] if isinstance(value, list) else value

    assert found.own_arguments(renamed(given)) == given


KEYWORDS = (
    *("type", "properties", "required", "items", "additionalItems", "dependencies", "enum"),
    *("dependentRequired", "dependentSchemas", "anyOf", "allOf", "not", "minimum", "maxLength"),
    *("exclusiveMinimum", "patternProperties", "$ref", "$defs", "title", "uniqueItems", "const"),
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 2)
    | st.floats(allow_nan=True)
    | st.sampled_from(["object", "string", "#", "#/$defs/a", "a b", "a", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "a b"]), inner, max_size=2)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(KEYWORDS), anything, max_size=5))
def test_whatever_a_server_sends_fits_or_is_left_out(schema: dict[str, Any]) -> None:
    """Nothing else is raised, and what fits is what the provider demands."""
    try:
        found = fit(schema)
    except Unfit:
        return
    Draft202012Validator.check_schema(found.schema)
    assert found.schema["type"] == "object"
    assert found.schema.keys().isdisjoint({"anyOf", "oneOf", "allOf"})
    assert fit(found.schema).schema == found.schema
