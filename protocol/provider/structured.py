"""JSON Schema as structured output and strict tools take it, and what of it is refused.

The provider compiles such a schema into a grammar, so it takes a part of JSON Schema alone, and
only so much of it. Source: its page "Structured outputs" (limitations, complexity limits, pattern
support), November 2026. How large the numbers of a pattern's `{n,m}` may be, it does not say.
"""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

from protocol.provider.formats import FORMATS
from protocol.provider.json_schema import Object
from protocol.provider.patterns import refusal

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

_REFUSED = {
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "maxItems", "uniqueItems", "prefixItems", "contains"),
    *("minContains", "maxContains", "unevaluatedItems", "unevaluatedProperties"),
    *("minProperties", "maxProperties", "patternProperties", "propertyNames"),
    *("dependentSchemas", "dependentRequired", "oneOf", "not", "if", "then", "else"),
    *("$dynamicRef", "$recursiveRef"),
}
TYPES: dict[str, type | tuple[type, ...]] = {
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
LONGEST_SHOWN = 60
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
            (f"{place}/{name[:LONGEST_SHOWN]}", inner, depth + 1) for name, inner in _inner(node)
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
    if not all(
        kind is None or (isinstance(kind, str) and kind in TYPES) for kind in types_of(node)
    ):
        return "has a `type` that is none of JSON Schema's"
    if node.get("format") not in (None, *FORMATS):
        return "has a `format` that is not supported"
    if any("$ref" in part for part in _listed(node, "allOf") if isinstance(part, dict)):
        return "has `allOf` with `$ref`, which is not supported"
    return None


def _fault_of_values(node: Object) -> str | None:
    if is_object(node) and node.get("additionalProperties") is not False:
        return "is an object and needs `additionalProperties: false`"
    if node.get("minItems", 0) not in (0, 1):
        return "has a `minItems` other than 0 or 1"
    values = node.get("enum", [])
    if not isinstance(values, list) or any(isinstance(value, dict | list) for value in values):
        return "has an `enum` of other things than texts, numbers and the like"
    if not all(isinstance(name, str) for name in _listed(node, "required")):
        return "has a `required` with other things than names"
    pattern = node.get("pattern", "")
    if not isinstance(pattern, str):
        return "has a `pattern` that is no text"
    return None if (fault := refusal(pattern)) is None else f"has a `pattern` that {fault}"


def is_object(node: Object) -> bool:
    """Whether a schema is of an object, as it says or by its properties."""
    return "object" in types_of(node) or "properties" in node


def types_of(node: Object) -> list[Any]:
    """The types that a schema allows; one of them is `None` if it says nothing of them."""
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
    targets = {place: set(_references(inner)) for place, inner in definitions(schema)}
    for place in [*_references(schema), *(one for found in targets.values() for one in found)]:
        if place not in targets and place != "#":
            raise Unfitting(
                f"`$ref` leads to `{place[:LONGEST_SHOWN]}`, which is no definition of its own"
            )
    if "#" in {*_references(schema)} or any("#" in found for found in targets.values()):
        raise Unfitting("it is recursive, which is not supported")
    try:
        TopologicalSorter(targets).prepare()
    except CycleError:
        raise Unfitting("it is recursive, which is not supported") from None


def definitions(schema: Object) -> Iterator[tuple[str, Any]]:
    """The definitions of a schema, by the references that lead to them."""
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
