"""Whether an answer follows the schema of its structured output.

Source: the provider's page "Structured outputs" (invalid outputs), November 2026. A pattern that is
not read (`protocol.provider.patterns`) is not judged.
"""

from __future__ import annotations

from typing import Any

import msgspec

from protocol.provider.automaton import Automaton
from protocol.provider.formats import is_of_format
from protocol.provider.json_schema import Object
from protocol.provider.patterns import Unread, read
from protocol.provider.structured import LONGEST_SHOWN, TYPES, definitions, is_object, types_of


def answer_fault(text: str, schema: Object) -> str | None:
    """Why an answer is not the JSON of a schema that was measured, as a clause; `None` if it is.

    Letters of `enum` and `const` may differ in case: the provider does not promise it. A schema
    that would take too long to follow is followed as far as it goes.
    """
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return "it is no JSON"
    try:
        return _Judge(schema).mistake(value, schema, "the answer")
    except (_TooLong, RecursionError):
        return None


class _TooLong(Exception):
    """More was looked at than is worth it."""


class _Judge:
    """Holds a value against a schema, in so many steps at most."""

    STEPS = 1_000_000

    def __init__(self, schema: Object) -> None:
        self._named = dict(definitions(schema))
        self._allowed: dict[int, set[Any]] = {}
        self._patterns: dict[str, Automaton | None] = {}
        self._steps = 0

    def mistake(self, value: Any, node: Object, place: str) -> str | None:
        """What is wrong with the value, as a clause."""
        self._spend(1)
        if "$ref" in node:
            return self.mistake(value, self._named[str(node["$ref"])], place)
        kinds = [kind for kind in types_of(node) if kind is not None]
        if kinds and not any(is_of_type(value, kind) for kind in kinds):
            return f"{place} is not of the type {' or '.join(kinds)}"
        if (node.get("enum") or "const" in node) and not self._may_be(value, node):
            return f"{place} is none of the values that it may have"
        branches = node.get("anyOf", [])
        if branches and all(self.mistake(value, one, place) for one in branches):
            return f"{place} follows none of `anyOf`"
        parts = (self.mistake(value, part, place) for part in node.get("allOf", []))
        return next((one for one in parts if one), None) or self._inside(value, node, place)

    def _spend(self, steps: int) -> None:
        self._steps += steps
        if self._steps > self.STEPS:
            raise _TooLong

    def _may_be(self, value: Any, node: Object) -> bool:
        """Whether the value is one of the schema's `enum`, or its `const`."""
        const = node.get("const")
        if isinstance(value, dict | list):
            return "const" in node and type(value) is type(const) and bool(value == const)
        allowed = self._allowed.get(id(node))
        if allowed is None:  # an answer may have a thousand values, and an `enum` as many
            allowed = set(map(_folded, node.get("enum", [])))
            if "const" in node and not isinstance(const, dict | list):
                allowed.add(_folded(const))
            self._allowed[id(node)] = allowed
        return _folded(value) in allowed

    def _inside(self, value: Any, node: Object, place: str) -> str | None:
        if isinstance(value, str):
            return self._in_text(value, node, place)
        if isinstance(value, dict) and is_object(node):
            return self._in_object(value, node, place)
        if isinstance(value, list):
            if len(value) < node.get("minItems", 0):
                return f"{place} is empty"
            items = value if "items" in node else []
            found = (self.mistake(item, node["items"], f"a part of {place}") for item in items)
            return next((one for one in found if one), None)
        return None

    def _in_text(self, value: str, node: Object, place: str) -> str | None:
        name = node.get("format")
        if name is not None and not is_of_format(value, name):
            return f"{place} is not of the format {name}"
        if "pattern" in node and not self._fits(value, node["pattern"]):
            return f"{place} does not fit its `pattern`"
        return None

    def _fits(self, value: str, pattern: str) -> bool:
        if pattern not in self._patterns:
            try:
                self._patterns[pattern] = Automaton(read(pattern), self._spend)
            except Unread:
                self._patterns[pattern] = None
        automaton = self._patterns[pattern]
        return automaton is None or automaton.fits(value)

    def _in_object(self, value: dict[str, Any], node: Object, place: str) -> str | None:
        properties = node.get("properties", {})
        for name in node.get("required", []):
            if name not in value:
                return f"{place} lacks `{name}`"
        for name, inner in value.items():
            if name not in properties:
                return f"{place} has `{name[:LONGEST_SHOWN]}`, which is not in the schema"
            if (
                found := self.mistake(inner, properties[name], f"`{name[:LONGEST_SHOWN]}`")
            ) is not None:
                return found
        return None


def is_of_type(value: Any, kind: str) -> bool:
    """Whether a value is of one of JSON Schema's types."""
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES[kind])


def _folded(value: Any) -> tuple[type, Any]:
    """What two values that are no lists or objects have in common if they are the same."""
    return type(value), value.casefold() if isinstance(value, str) else value
