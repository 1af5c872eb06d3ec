"""Free-form JSON, and its bounds."""

import math

import msgspec
import pytest
from hypothesis import given

from protocol.bounds import MOST_SCHEMA_NODES
from protocol.free_form import DEEPEST, is_json, is_larger, is_too_deep, size_fault
from tests.protocol.strategies import JSON_VALUES


@given(JSON_VALUES)
def test_what_json_can_say_is_json(value: object) -> None:
    """And both codecs take it."""
    assert is_json(value)
    for codec in (msgspec.json, msgspec.msgpack):
        assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, 2**64, -(2**63) - 1, b"x", {1: 2}, {"a": [b"x"]}, (1,), object()]
)
def test_what_json_cannot_say_is_not(value: object) -> None:
    """Nor an integer that MessagePack lacks."""
    assert not is_json(value)


@given(JSON_VALUES)
def test_depth_counts_lists_and_objects(value: object) -> None:
    """As many levels as there are brackets around the innermost value."""

    def depth(inner: object) -> int:
        items = inner.values() if isinstance(inner, dict) else inner
        return (
            1 + max(map(depth, items), default=0)
            if isinstance(items, list | type({}.values()))
            else 0
        )

    assert not is_too_deep(value, depth(value))
    assert depth(value) == 0 or is_too_deep(value, depth(value) - 1)


def test_there_is_a_deepest_level() -> None:
    """Nothing recurses further."""
    value: object = []
    for _ in range(DEEPEST - 1):
        value = [value]
    assert not is_too_deep(value)
    assert is_too_deep([value])


def test_values_are_counted_no_further_than_asked() -> None:
    """A value is an element of a list or a member of an object."""
    assert is_larger([[]] * MOST_SCHEMA_NODES, MOST_SCHEMA_NODES)
    assert not is_larger([[], {"a": 1}], 4)


def deep(levels: int, bottom: object) -> object:
    """Lists in lists, with something in the innermost."""
    value = bottom
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({}, None),
        ({"a": [1, -1.5, None, True, "x", {}]}, None),
        (deep(DEEPEST, 1), None),
        (deep(DEEPEST, math.nan), "is no JSON"),
        (deep(DEEPEST, []), "deeper than 64"),
        (deep(DEEPEST + 1, 1), "deeper than 64"),
        ({"a": [2**64]}, "is no JSON"),
        ({"a": {1: 2}}, "is no JSON"),
        ({"a": [0] * (MOST_SCHEMA_NODES - 1)}, None),
        ({"a": [0] * MOST_SCHEMA_NODES}, "more than 10,000 values"),
        (deep(500, [[]] * MOST_SCHEMA_NODES), "deeper than 64"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_schema_is_json_of_a_bounded_size_and_depth(schema: object, fault: str | None) -> None:
    """Whatever it holds, it is not walked any further than that."""
    found = size_fault(schema)
    assert found is None if fault is None else fault in str(found)
