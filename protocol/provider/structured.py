"""JSON Schema as structured output and strict tools take it: what is refused, what an answer is.

The provider compiles such a schema into a grammar, so it takes a part of JSON Schema alone, and
only so much of it. Source: its page "Structured outputs" (limitations, complexity limits, invalid
outputs), November 2026. Its limits on patterns are left to the provider.
"""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

import msgspec

from protocol.provider.json_schema import Object

MOST_NODES = 2_000
"""Schemas in one schema."""

MOST_DEPTH = 32
"""Schemas within each other."""

MOST_STRICT = 20
"""Strict tools of a request."""

MOST_OPTIONAL = 24
"""Properties that are not required, in all strict schemas of a request."""

MOST_UNIONS = 16
"""Properties with several types, in all strict schemas of a request."""

FORMATS = (
    *("date-time", "time", "date", "duration"),
    *("email", "hostname", "uri", "ipv4", "ipv6", "uuid"),
)
_REFUSED = {
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "maxItems", "uniqueItems", "prefixItems", "contains"),
    *("minContains", "maxContains", "unevaluatedItems", "unevaluatedProperties"),
    *("minProperties", "maxProperties", "patternProperties", "propertyNames"),
    *("dependentSchemas", "dependentRequired", "oneOf", "not", "if", "then", "else"),
    *("$dynamicRef", "$recursiveRef"),
}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
_DEFINITIONS = ("$defs", "definitions")
_BY_NAME = ("properties", *_DEFINITIONS)
_BY_NUMBER = ("anyOf", "allOf")
_LONGEST_SHOWN = 60
"""Characters of a name that a person is told: a client's names may be megabytes long."""


class Figures(NamedTuple):
    """What counts towards the limits of all strict schemas of a request."""

    optional: int = 0
    unions: int = 0

    def plus(self, other: Figures) -> Figures:
        """Both together."""
        return Figures(self.optional + other.optional, self.unions + other.unions)

    @property
    def fault(self) -> str | None:
        """What is too much, as a clause."""
        if self.optional > MOST_OPTIONAL:
            return f"{self.optional} properties are not `required`; at most {MOST_OPTIONAL} may be"
        if self.unions > MOST_UNIONS:
            return f"{self.unions} properties have a union type; at most {MOST_UNIONS} may"
        return None


class Unfitting(Exception):
    """A schema that the provider refuses; the text is a clause with its place."""


def measure(schema: Object) -> Figures:
    """The figures of a schema that the provider takes. Raises Unfitting."""
    figures, nodes = Figures(), 0
    waiting: list[tuple[str, Any, int]] = [("", schema, 0)]
    while waiting:
        place, node, depth = waiting.pop()
        nodes += 1
        if nodes > MOST_NODES or depth > MOST_DEPTH:
            raise Unfitting(
                f"it is too large: at most {MOST_NODES:,} schemas, {MOST_DEPTH} within each other"
            )
        if not isinstance(node, dict):
            raise Unfitting(f"`{place or '/'}` is no object")
        _check(place, node)
        figures = figures.plus(_figures(node))
        waiting += (
            (f"{place}/{name[:_LONGEST_SHOWN]}", inner, depth + 1) for name, inner in _inner(node)
        )
    _check_references(schema)
    return figures


def _check(place: str, node: Object) -> None:
    fault = _fault_of_kind(node) or _fault_of_values(node)
    if fault is not None:
        raise Unfitting(f"`{place or '/'}` {fault}")


def _fault_of_kind(node: Object) -> str | None:
    if not _REFUSED.isdisjoint(node):
        keyword = next(keyword for keyword in node if keyword in _REFUSED)
        return f"has `{keyword}`, which is not supported"
    if not all(kind is None or (isinstance(kind, str) and kind in _TYPES) for kind in _kinds(node)):
        return "has a `type` that is none of JSON Schema's"
    if node.get("format") not in (None, *FORMATS):
        return "has a `format` that is not supported"
    if any("$ref" in part for part in _listed(node, "allOf") if isinstance(part, dict)):
        return "has `allOf` with `$ref`, which is not supported"
    return None


def _fault_of_values(node: Object) -> str | None:
    if _is_object(node) and node.get("additionalProperties") is not False:
        return "is an object and needs `additionalProperties: false`"
    if node.get("minItems", 0) not in (0, 1):
        return "has a `minItems` other than 0 or 1"
    values = node.get("enum", [])
    if not isinstance(values, list) or any(isinstance(value, dict | list) for value in values):
        return "has an `enum` of other things than texts, numbers and the like"
    if not all(isinstance(name, str) for name in _listed(node, "required")):
        return "has a `required` with other things than names"
    return None


def _is_object(node: Object) -> bool:
    return "object" in _kinds(node) or "properties" in node


def _kinds(node: Object) -> list[Any]:
    kinds = node.get("type")
    return kinds if isinstance(kinds, list) else [kinds]


def _listed(node: Object, keyword: str) -> list[Any]:
    found = node.get(keyword, [])
    if not isinstance(found, list):
        raise Unfitting(f"`{keyword}` is no list")
    return found


def _mapped(node: Object, keyword: str) -> dict[str, Any]:
    found = node.get(keyword, {})
    if not isinstance(found, dict):
        raise Unfitting(f"`{keyword}` is no object")
    return found


def _inner(node: Object) -> Iterator[tuple[str, Any]]:
    """The schemas in a schema, by their places in it."""
    for keyword in node:
        if keyword in _BY_NAME:
            for name, inner in _mapped(node, keyword).items():
                yield f"{keyword}/{name}", inner
        elif keyword in _BY_NUMBER:
            for number, inner in enumerate(_listed(node, keyword)):
                yield f"{keyword}/{number}", inner
        elif keyword == "items":
            yield keyword, node[keyword]


def _figures(node: Object) -> Figures:
    properties = _mapped(node, "properties")
    required = _listed(node, "required")
    unions = (
        inner
        for inner in properties.values()
        if isinstance(inner, dict) and ("anyOf" in inner or isinstance(inner.get("type"), list))
    )
    return Figures(len(properties.keys() - set(required)), sum(1 for _ in unions))


def _check_references(schema: Object) -> None:
    """Every `$ref` must lead to a definition, and none to itself in the end."""
    targets = {place: set(_references(inner)) for place, inner in _definitions(schema)}
    for place in [*_references(schema), *(one for found in targets.values() for one in found)]:
        if place not in targets and place != "#":
            raise Unfitting(
                f"`$ref` leads to `{place[:_LONGEST_SHOWN]}`, which is no definition of its own"
            )
    if "#" in {*_references(schema)} or any("#" in found for found in targets.values()):
        raise Unfitting("it is recursive, which is not supported")
    try:
        TopologicalSorter(targets).prepare()
    except CycleError:
        raise Unfitting("it is recursive, which is not supported") from None


def _definitions(schema: Object) -> Iterator[tuple[str, Any]]:
    for keyword in _DEFINITIONS:
        for name, inner in _mapped(schema, keyword).items():
            yield f"#/{keyword}/{name}", inner


def _references(schema: Any) -> Iterator[str]:
    """Where the references in a schema lead, those of its definitions not counted."""
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if "$ref" in node:
            yield str(node["$ref"])
        waiting += [inner for name, inner in _inner(node) if not name.startswith(_DEFINITIONS)]


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
        self._named = dict(_definitions(schema))
        self._allowed: dict[int, set[Any]] = {}
        self._steps = 0

    def mistake(self, value: Any, node: Object, place: str) -> str | None:
        """What is wrong with the value, as a clause."""
        self._steps += 1
        if self._steps > self.STEPS:
            raise _TooLong
        if "$ref" in node:
            return self.mistake(value, self._named[str(node["$ref"])], place)
        kinds = [kind for kind in _kinds(node) if kind is not None]
        if kinds and not any(_is_of(value, kind) for kind in kinds):
            return f"{place} is not of the type {' or '.join(kinds)}"
        if (node.get("enum") or "const" in node) and not self._may_be(value, node):
            return f"{place} is none of the values that it may have"
        branches = node.get("anyOf", [])
        if branches and all(self.mistake(value, one, place) for one in branches):
            return f"{place} follows none of `anyOf`"
        parts = (self.mistake(value, part, place) for part in node.get("allOf", []))
        return next((one for one in parts if one), None) or self._inside(value, node, place)

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
        if isinstance(value, dict) and _is_object(node):
            return self._in_object(value, node, place)
        if isinstance(value, list):
            if len(value) < node.get("minItems", 0):
                return f"{place} is empty"
            items = value if "items" in node else []
            found = (self.mistake(item, node["items"], f"a part of {place}") for item in items)
            return next((one for one in found if one), None)
        return None

    def _in_object(self, value: dict[str, Any], node: Object, place: str) -> str | None:
        properties = node.get("properties", {})
        for name in node.get("required", []):
            if name not in value:
                return f"{place} lacks `{name}`"
        for name, inner in value.items():
            if name not in properties:
                return f"{place} has `{name[:_LONGEST_SHOWN]}`, which is not in the schema"
            if (
                found := self.mistake(inner, properties[name], f"`{name[:_LONGEST_SHOWN]}`")
            ) is not None:
                return found
        return None


def _is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[kind])


def _folded(value: Any) -> tuple[type, Any]:
    """What two values that are no lists or objects have in common if they are the same."""
    return type(value), value.casefold() if isinstance(value, str) else value
