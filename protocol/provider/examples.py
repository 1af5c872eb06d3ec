"""Examples of a tool's arguments: the provider refuses those that do not follow the tool's schema.

Source: its page "Define tools" (tool use examples), November 2026. What is looked at here is what a
person gets wrong; references that are not to definitions, patterns and rarer keywords are left to
the provider.
"""

from __future__ import annotations

from typing import Any

from protocol.provider.following import is_of_type
from protocol.provider.json_schema import Object

STEPS = 100_000
"""Parts of an example and of its schema that are looked at; after that it is taken."""


def example_fault(example: Object, schema: Object) -> str | None:
    """Why an example does not follow a schema that the provider takes, as a clause."""
    try:
        return _ExampleJudge(schema).mistake(example, schema, "it")
    except (_TooLarge, RecursionError):
        return None


class _TooLarge(Exception):
    """More was looked at than is worth it."""


class _ExampleJudge:
    def __init__(self, schema: Object) -> None:
        self._named = {
            f"#/{keyword}/{name}": inner
            for keyword in ("$defs", "definitions")
            for name, inner in schema.get(keyword, {}).items()
        }
        self._steps = 0

    def mistake(self, value: Any, node: Any, place: str) -> str | None:
        self._steps += 1
        if self._steps > STEPS:
            raise _TooLarge
        if not isinstance(node, dict):
            return f"{place} may not be there" if node is False else None
        if not _is_of(value, node.get("type", [])):
            return f"{place} is not of the type {_words(node['type'])}"
        values = [*node.get("enum", []), *([node["const"]] if "const" in node else [])]
        if values and not any(_is_same(value, one) for one in values):
            return f"{place} is none of the values that it may have"
        return self._in_parts(value, node, place) or self._inside(value, node, place)

    def _in_parts(self, value: Any, node: Object, place: str) -> str | None:
        parts = [self._named.get(str(node.get("$ref")), True), *node.get("allOf", [])]
        for part in parts:
            if (found := self.mistake(value, part, place)) is not None:
                return found
        for keyword in ("anyOf", "oneOf"):
            branches = node.get(keyword, [])
            if branches and all(self.mistake(value, one, place) for one in branches):
                return f"{place} follows none of `{keyword}`"
        return None

    def _inside(self, value: Any, node: Object, place: str) -> str | None:
        if isinstance(value, dict):
            return self._in_object(value, node, place)
        if isinstance(value, list) and "items" in node and "prefixItems" not in node:
            for item in value:
                if (found := self.mistake(item, node["items"], f"a part of {place}")) is not None:
                    return found
        return None

    def _in_object(self, value: Object, node: Object, place: str) -> str | None:
        for name in node.get("required", []):
            if name not in value:
                return f"{place} lacks `{name}`"
        more = node.get("additionalProperties", True)
        properties = node.get("properties", {})
        for name, inner in value.items():
            rule = properties.get(name, True if "patternProperties" in node else more)
            if rule is False:
                return f"{place} has `{name[:60]}`, which is not in the schema"
            if (found := self.mistake(inner, rule, f"`{name[:60]}`")) is not None:
                return found
        return None


def _is_of(value: Any, kinds: str | list[str]) -> bool:
    named = [kinds] if isinstance(kinds, str) else kinds
    return not named or any(is_of_type(value, kind) for kind in named)


def _is_same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _words(kinds: str | list[str]) -> str:
    return kinds if isinstance(kinds, str) else " or ".join(kinds)
