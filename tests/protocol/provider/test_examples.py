"""Which examples of a tool's arguments follow its schema."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.provider import examples
from protocol.provider.examples import example_fault

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "drink": {"type": "string"},
        "cups": {"type": ["integer", "null"]},
        "size": {"enum": ["small", 2, ["x"]]},
        "kind": {"const": True},
        "notes": {"type": "array", "items": {"type": "string"}},
        "pair": {"prefixItems": [{"type": "string"}], "items": False},
        "to": {"$ref": "#/$defs/person"},
        "or": {"anyOf": [{"type": "string"}, {"type": "boolean"}]},
        "both": {"allOf": [{"type": "number"}, {"enum": [1.5]}]},
        "never": False,
        "free": {"patternProperties": {"^x": {}}, "additionalProperties": False},
        "open": {"properties": {"a": {}}, "additionalProperties": {"type": "number"}},
        "round": {"$ref": "#/$defs/round"},
    },
    "required": ["drink"],
    "additionalProperties": False,
    "$defs": {
        "person": {"type": "object", "required": ["name"]},
        "round": {"anyOf": [{"$ref": "#/$defs/round"}, {"$ref": "#/$defs/round"}]},
    },
}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"cups": 2, "size": 2},
        {"cups": 2.0, "size": ["x"]},
        {"cups": None, "kind": True, "notes": ["a"], "pair": ["a"]},
        {"to": {"name": "Ann", "age": 5}, "or": False, "both": 1.5},
        {"free": {"y": 1}, "open": {"a": "b", "c": 1}},
        {"round": 5},
    ],
)
def test_an_example_that_follows_has_no_fault(more: dict[str, Any]) -> None:
    """And what would take too long is taken."""
    assert example_fault({"drink": "tea", **more}, SCHEMA) is None


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"drink": 5}, "`drink` is not of the type string"),
        ({"cups": True}, "`cups` is not of the type integer or null"),
        ({"cups": 1.5}, "`cups` is not of the type integer or null"),
        ({"size": "large"}, "`size` is none of the values that it may have"),
        ({"kind": 1}, "`kind` is none of the values that it may have"),
        ({"notes": ["a", 1]}, "a part of `notes` is not of the type string"),
        ({"to": {}}, "`to` lacks `name`"),
        ({"or": 5}, "`or` follows none of `anyOf`"),
        ({"both": 2}, "`both` is none of the values that it may have"),
        ({"never": 1}, "it has `never`, which is not in the schema"),
        ({"open": {"b": "c"}}, "`b` is not of the type number"),
        ({"milk": 1}, "it has `milk`, which is not in the schema"),
    ],
)
def test_an_example_that_does_not_follow_says_where(more: dict[str, Any], fault: str) -> None:
    """The first thing that is wrong."""
    assert example_fault({"drink": "tea", **more}, SCHEMA) == fault


def test_an_example_must_have_what_is_required() -> None:
    """No part of a list may be where none may be."""
    assert example_fault({}, SCHEMA) == "it lacks `drink`"
    assert example_fault({"a": [1]}, {"properties": {"a": {"items": False}}}) == (
        "a part of `a` may not be there"
    )


def test_an_example_is_followed_only_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """A schema that branches without end must not hold the gateway."""
    monkeypatch.setattr(examples, "STEPS", 50)
    node: dict[str, Any] = {"type": "string"}
    for _ in range(10):
        node = {"anyOf": [node, node]}
    assert example_fault({"a": 5}, {"properties": {"a": node}}) is None
