"""Whether an answer follows its schema."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.provider.following import _Judge, answer_fault
from tests.protocol.provider.test_structured import PERSON, of

ANN = {
    "name": "Ann",
    "age": 5,
    "day": "2026-11-30",
    "mood": "good day",
    "kind": "person",
    "tags": ["x", None],
    "home": {"city": "Oslo"},
    "size": 2,
}


def test_many_values_are_looked_up_among_many() -> None:
    """Not each compared with each: that were minutes."""
    schema = of({"a": {"type": "array", "items": {"enum": [f"v{one}" for one in range(5_000)]}}})
    began = time.process_time()
    assert answer_fault(json.dumps({"a": ["V4999"] * 20_000}), schema) is None
    assert time.process_time() - began < 2


def test_a_constant_may_be_a_list_or_an_object() -> None:
    """Then letters count."""
    schema = of({"a": {"const": {"b": ["C"]}}})
    assert answer_fault('{"a": {"b": ["C"]}}', schema) is None
    for other in ('{"b": ["c"]}', "[]", "1", '"C"'):
        assert answer_fault(f'{{"a": {other}}}', schema) == (
            "`a` is none of the values that it may have"
        )


def test_an_answer_that_follows_has_no_fault() -> None:
    """Case apart, and a whole number may be written as a fraction."""
    assert answer_fault(json.dumps(ANN), PERSON) is None
    assert answer_fault(json.dumps({**ANN, "age": 5.0, "home": None}), PERSON) is None
    assert answer_fault(json.dumps({**ANN, "day": 5}), PERSON) is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"name": None}, "`name` is not of the type string"),
        ({"age": 5.5}, "`age` is not of the type integer"),
        ({"age": True}, "`age` is not of the type integer"),
        ({"mood": "so so"}, "`mood` is none of the values that it may have"),
        ({"mood": 3.0}, "`mood` is none of the values that it may have"),
        ({"kind": "robot"}, "`kind` is none of the values that it may have"),
        ({"tags": []}, "`tags` is empty"),
        ({"tags": [1]}, "a part of `tags` is not of the type string or null"),
        ({"home": {"city": 1}}, "`home` follows none of `anyOf`"),
        ({"day": "Monday"}, "`day` is not of the format date"),
        ({"size": 3}, "`size` is none of the values that it may have"),
        ({"more": 1}, "the answer has `more`, which is not in the schema"),
    ],
)
def test_an_answer_that_does_not_follow_says_where(change: dict[str, Any], fault: str) -> None:
    """The first thing that is wrong."""
    assert answer_fault(json.dumps(ANN | change), PERSON) == fault


def test_an_answer_may_be_no_json_at_all() -> None:
    """Or lack what is required."""
    for text in ("", "Here it is: {}", "[" * 100_000, "\ud800"):
        assert answer_fault(text, PERSON) == "it is no JSON"
    assert answer_fault("{}", PERSON) == "the answer lacks `name`"
    assert answer_fault("[]", PERSON) == "the answer is not of the type object"


def test_a_schema_is_followed_only_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that branches without end must not hold the gateway."""
    monkeypatch.setattr(_Judge, "STEPS", 50)
    node: dict[str, Any] = {"type": "string"}
    for _ in range(10):
        node = {"anyOf": [node, node]}
    assert answer_fault("5", node) is None


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_no_answer_is_too_strange(value: Any) -> None:
    """Whatever the model writes."""
    assert answer_fault(json.dumps(value), PERSON) is not None
