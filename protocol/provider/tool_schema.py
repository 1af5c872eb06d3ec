"""A tool's schema as the provider takes it, and the way of a call's arguments back.

The provider refuses a whole request for one tool's schema. What it demands, from its pages on tool
use ("Define tools", "Custom tools in self-hosted sandboxes") and from public reports, November
2026:

- the schema is of an object;
- `anyOf`, `oneOf` and `allOf` do not stand at its top;
- names of properties are 1 to 64 of letters, digits, `_`, `.` and `-`;
- it is JSON Schema of draft 2020-12 (`protocol.provider.json_schema`).

`fit` rewrites what does not fit, where the arguments that the tool wants can be had exactly from
those that the model gives:

- *Wrapped.* What may not stand at the top becomes the schema of one property, `arguments`. A call's
  arguments are what is in it.
- *Renamed.* A name that does not fit is changed into one that depends on it alone, and that is
  nowhere else in the schema: `filter[id]` becomes `filter_id__0f2d3c4b`. So one table serves the
  whole schema, however deep a name stands in it, and the way back needs no schema at all. The model
  is told the true name in the property's description. Public reports have it that the provider
  looks at the uppermost names alone; those inside are renamed too, as its pages read.

Everything else raises `Unfit`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from protocol.provider.json_schema import (
    NAMED,
    SOME,
    Object,
    Schema,
    Unfit,
    all_schemas,
    each,
    steps,
    straightened,
)

WRAPPED: Final = "arguments"
"""The one property of a schema that is wrapped."""

_AT_NO_TOP: Final = ("anyOf", "oneOf", "allOf")
_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_STRANGE: Final = re.compile(r"[^a-zA-Z0-9_.-]")
_DIGEST: Final = 8
_LONGEST_KEPT: Final = 64 - _DIGEST - 1
_LONGEST_SHOWN: Final = 100
_DATA: Final = ("const", "default", "enum", "examples")


class Fitted(NamedTuple):
    """A schema that the provider takes, and how it was made of the tool's own.

    `names` has the tool's own names of properties by those that the model is given.
    """

    schema: Object
    is_wrapped: bool
    names: Mapping[str, str]

    @property
    def difference(self) -> str | None:
        """Why the model's arguments are not the tool's own, as a clause; `None` if they are."""
        if self.is_wrapped:
            return "its schema has `anyOf`, `oneOf` or `allOf` at its top"
        if self.names:
            name = next(iter(self.names.values()))[:_LONGEST_SHOWN]
            return (
                f"its property `{name}` has a name that is not 1 to 64 of letters, digits, `_`, "
                "`.` and `-`"
            )
        return None

    def own_arguments(self, given: Object) -> Object:
        """The tool's arguments, of those that the model has given. Raises ValueError."""
        own = given
        if self.is_wrapped:
            own = given.get(WRAPPED, {})
            if not isinstance(own, dict) or given.keys() - {WRAPPED}:
                raise ValueError(f"give one argument, `{WRAPPED}`, which is an object")
        if self.names:
            own = _renamed(own, self.names)
        return own


def fit(schema: Object) -> Fitted:
    """The schema as the provider takes it. Raises Unfit."""
    whole = straightened(of_an_object(schema))
    names = _odd_names(whole)
    if names:
        _check_renaming(whole, names)
        whole = _with_names(whole, whole, names)
    is_wrapped = any(keyword in whole for keyword in _AT_NO_TOP)
    return Fitted(
        schema=_wrapped(whole) if is_wrapped else whole,
        is_wrapped=is_wrapped,
        names={new: old for old, new in names.items()},
    )


def of_an_object(schema: Object) -> Object:
    """The schema with `object` as its type, if that is what it means. Raises Unfit.

    A call's arguments are an object in any case.
    """
    match schema.get("type"):
        case "object":
            return schema
        case None:
            return schema | {"type": "object"}
        case list(types) if "object" in types:
            return schema | {"type": "object"}
    raise Unfit("its schema is not of an object")


# --- renamed -----------------------------------------------------------------------------------


def _odd_names(whole: Object) -> dict[str, str]:
    """The names that do not fit, and what each becomes. Raises Unfit."""
    all_names = {name for schema in all_schemas(whole) for name in schema.get("properties", ())}
    odd = {name: _fitting(name) for name in sorted(all_names) if not _NAME.fullmatch(name)}
    if not all_names.isdisjoint(odd.values()):
        raise Unfit("its schema has a name that another one would have to be changed into")
    return odd


def _fitting(name: str) -> str:
    digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:_DIGEST]
    return f"{_STRANGE.sub('_', name)[:_LONGEST_KEPT]}_{digest}"


def _check_renaming(whole: Object, names: Mapping[str, str]) -> None:
    """Raises Unfit where something else of the schema depends on how a property is called."""
    for schema in all_schemas(whole):
        if schema.get("patternProperties") or schema.get("propertyNames", True) not in _ANY_NAME:
            name = next(iter(names))[:_LONGEST_SHOWN]
            raise Unfit(
                f"its property `{name}` has to be renamed, and its schema has rules on names"
            )


_ANY_NAME: Final[tuple[Schema, ...]] = (True, {}, {"type": "string"})
"""Rules on names that every name keeps."""


def _with_names(whole: Object, schema: Object, names: Mapping[str, str]) -> Object:
    """`schema`, which is in `whole`, with the new `names` of properties."""

    def inside(one: Schema) -> Schema:
        return _with_names(whole, one, names) if isinstance(one, dict) else one

    now = each(schema, inside)
    for keyword in _DATA:
        if keyword in now:
            now[keyword] = _renamed(now[keyword], names)
    if "required" in now:
        now["required"] = [names.get(name, name) for name in now["required"]]
    for keyword in ("dependentRequired", "dependentSchemas"):
        if keyword in now:
            now[keyword] = {names.get(name, name): one for name, one in now[keyword].items()}
    if "dependentRequired" in now:
        now["dependentRequired"] = {
            name: [names.get(other, other) for other in others]
            for name, others in now["dependentRequired"].items()
        }
    if "properties" in now:
        now["properties"] = {
            names.get(name, name): _told(one, name) if name in names else one
            for name, one in now["properties"].items()
        }
    if "$ref" in now:
        now["$ref"] = _renamed_pointer(now["$ref"], names)
    return now


def _told(schema: Schema, name: str) -> Schema:
    """A property's schema with its true name in the description."""
    if schema is False:
        return False
    rest = {} if schema is True else schema
    return rest | {"description": f"({name}) {rest.get('description', '')}".rstrip()}


def _renamed(data: Any, names: Mapping[str, str]) -> Any:
    """JSON with other names of members, however deep."""
    match data:
        case dict():
            return {names.get(name, name): _renamed(one, names) for name, one in data.items()}
        case list():
            return [_renamed(one, names) for one in data]
    return data


def _renamed_pointer(pointer: str, names: Mapping[str, str]) -> str:
    """The reference, where it leads through properties that have other names now."""
    way, keyword = [], ""
    for step in steps(pointer):
        way.append(names.get(step, step) if keyword == "properties" else step)
        keyword = "" if keyword else step if step in NAMED or step in SOME else ""
    return _pointer(way)


def _pointer(way: list[str]) -> str:
    spelt = (quote(step.replace("~", "~0").replace("/", "~1"), safe="~$") for step in way)
    return "/".join(("#", *spelt))


# --- wrapped -----------------------------------------------------------------------------------


def _wrapped(whole: Object) -> Object:
    """The schema as that of one property; its references begin there."""
    return {
        "type": "object",
        "properties": {WRAPPED: _moved(whole)},
        "required": [WRAPPED],
        "additionalProperties": False,
    }


def _moved(schema: Schema) -> Schema:
    if isinstance(schema, bool):
        return schema
    now = each(schema, _moved)
    if "$ref" in now:
        now["$ref"] = f"#/properties/{WRAPPED}{now['$ref'][1:]}"
    return now
