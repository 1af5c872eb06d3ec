"""A value that fits a JSON schema, taken from a text where that is possible."""

import re
from typing import Any

from gateway.simulator.reply import Json

DEPTH = 5


def sample(schema: Json, text: str, depth: int = DEPTH) -> Any:
    """A value for `schema`: an object's required properties, or all of them when none is."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf"):
        if schema.get(choice):
            return sample(schema[choice][0], text, depth)
    kind = schema.get("type")
    return _of_type(kind[0] if isinstance(kind, list) and kind else kind, schema, text, depth)


def _of_type(kind: Any, schema: Json, text: str, depth: int) -> Any:
    match kind:
        case "string":
            return _string(text)
        case "integer":
            return int(_number(text))
        case "number":
            return _number(text)
        case "boolean":
            return True
        case "array":
            items = schema.get("items")
            return [sample(items, text, depth - 1)] if isinstance(items, dict) and depth else []
        case "null":
            return None
        case _:
            return _object(schema, text, depth)


def _object(schema: Json, text: str, depth: int) -> Json:
    properties = schema.get("properties") or {}
    if not depth:
        return {}
    names = [name for name in schema.get("required") or [] if name in properties]
    return {name: sample(properties[name], text, depth - 1) for name in names or properties}


def _string(text: str) -> str:
    quoted = re.search(r'"([^"]+)"|\'([^\']+)\'|`([^`]+)`', text)
    if quoted:
        return next(part for part in quoted.groups() if part)
    return " ".join(text.split()[-3:]).strip(" ?!.") or "example"


def _number(text: str) -> float:
    found = re.search(r"-?\d+(\.\d+)?", text)
    return float(found.group()) if found else 1.0
