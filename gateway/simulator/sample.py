"""A value that fits a JSON schema, taken from a text where that is possible.

References into the schema are followed, a recursive one once. A value has so many levels and parts
at most; what is beyond is empty, whether it fits or not.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from gateway.simulator.reply import Json
from protocol.provider.json_schema import Unfit, target
from protocol.provider.patterns import LONGEST, Chars, PatternPart, Repeat, Unread, Ways, read

DEPTH = 12
MOST_PARTS = 1_000
MOST_FOLLOWED = 50

_FORMATS = {
    "date-time": "2026-11-30T12:00:00Z",
    "time": "12:00:00Z",
    "date": "2026-11-30",
    "duration": "PT5M",
    "email": "ann@example.com",
    "hostname": "example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
}


def sample(schema: Json, text: str) -> Any:
    """A value for `schema`: an object's required properties, or all of them when none is."""
    return _Sampler(schema, text).value(schema, DEPTH)


class _Sampler:
    """Makes one value for the `whole` schema."""

    def __init__(self, whole: Json, text: str) -> None:
        self._whole = whole
        self._text = text
        self._left = MOST_PARTS
        self._followed: set[str] = set()

    def value(self, schema: Any, depth: int) -> Any:
        """A value for a part of the schema, with so many levels at most."""
        self._left -= 1
        if not isinstance(schema, dict) or self._left < 0:  # `true` is a schema, too
            return {}
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        if "$ref" in schema:
            return self._referred(schema["$ref"], depth)
        for choice in ("anyOf", "oneOf") if "type" in schema else ("anyOf", "oneOf", "allOf"):
            if schema.get(choice):
                return self.value(schema[choice][0], depth)
        kind = schema.get("type")
        return self._of_type(kind[0] if isinstance(kind, list) and kind else kind, schema, depth)

    def _referred(self, pointer: str, depth: int) -> Any:
        if pointer in self._followed or len(self._followed) == MOST_FOLLOWED:
            return {}
        try:
            found = target(self._whole, pointer)
        except Unfit:
            return {}
        self._followed.add(pointer)
        value = self.value(found, depth)
        self._followed.remove(pointer)
        return value

    def _of_type(self, kind: Any, schema: Json, depth: int) -> Any:
        match kind:
            case "string" if "pattern" in schema:
                return _fitting(str(schema["pattern"])) or _string(self._text)
            case "string":
                return _FORMATS.get(str(schema.get("format"))) or _string(self._text)
            case "integer":
                return int(_number(self._text))
            case "number":
                return _number(self._text)
            case "boolean":
                return True
            case "array":
                items = schema.get("items")
                return [self.value(items, depth - 1)] if isinstance(items, dict) and depth else []
            case "null":
                return None
            case _:
                return self._object(schema, depth)

    def _object(self, schema: Json, depth: int) -> Json:
        properties = schema.get("properties") or {}
        if not depth:
            return {}
        names = [name for name in schema.get("required") or [] if name in properties]
        return {name: self.value(properties[name], depth - 1) for name in names or properties}


def _fitting(pattern: str) -> str | None:
    """A short text that fits the pattern; `None` for a pattern that is not read."""
    try:
        return "".join(islice(_written(read(pattern)), LONGEST))
    except Unread:
        return None


def _written(part: PatternPart) -> Iterator[str]:
    match part:
        case Chars(ranges):
            yield next(filter(part.may_be, (*(low for low, _ in ranges), *"a5 -")), "x")
        case Repeat(inner, least):
            for _ in range(least):
                yield from _written(inner)
        case Ways((first, *_)):
            for inner in first:
                yield from _written(inner)


def _string(text: str) -> str:
    quoted = re.search(r'"([^"]+)"|\'([^\']+)\'|`([^`]+)`', text)
    if quoted:
        return next(part for part in quoted.groups() if part)
    return " ".join(text.split()[-3:]).strip(" ?!.") or "example"


def _number(text: str) -> float:
    found = re.search(r"-?\d+(\.\d+)?", text)
    return float(found.group()) if found else 1.0
