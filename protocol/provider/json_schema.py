"""JSON Schema as the provider checks it: draft 2020-12, made of older drafts where that is exact.

`straightened` gives a schema that says the same in draft 2020-12, or raises `Unfit`. What it
rewrites is what servers send and the provider refuses (public reports, November 2026):

| in the schema                            | what it becomes                                      |
|------------------------------------------|------------------------------------------------------|
| a keyword that is `null`                 | nothing: it was not set                              |
| `exclusiveMinimum: true` with `minimum`  | `exclusiveMinimum` with that number (draft 4)        |
| `required: true` in a property           | the property's name in its owner's `required` (3)    |
| `items` that is a list                   | `prefixItems`, `additionalItems` becomes `items` (7) |
| `dependencies`                           | `dependentSchemas` and `dependentRequired` (7)       |
| `$schema` and `$id` of the whole         | nothing: this is draft 2020-12, and has no address   |
| a note of the wrong type (`title: 5`)    | nothing: notes demand nothing                        |

Unknown keywords stay: they demand nothing. Patterns are not looked into.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from protocol.free_form import size_fault

Schema = dict[str, Any] | bool
Object = dict[str, Any]

ONE: Final = frozenset(
    {
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
"""Keywords with one schema."""
SOME: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
"""Keywords with a list of schemas."""
NAMED: Final = frozenset(
    {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
)
"""Keywords with schemas by name."""

_NOTES: Final[Mapping[str, type]] = {
    "$comment": str,
    "contentEncoding": str,
    "contentMediaType": str,
    "deprecated": bool,
    "description": str,
    "examples": list,
    "format": str,
    "readOnly": bool,
    "title": str,
    "writeOnly": bool,
}
"""Keywords that demand nothing of a value, and the type of each."""
_COUNTS: Final = frozenset(
    {
        f"{bound}{what}"
        for bound in ("max", "min")
        for what in ("Contains", "Items", "Length", "Properties")
    }
)
_BOUNDS: Final = frozenset(
    {"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"}
)
_TYPES: Final = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_MAY_BE_NULL: Final = frozenset({"const", "default"})
_BY_ADDRESS: Final = frozenset({"$dynamicRef", "$recursiveRef"})


class Unfit(Exception):
    """A schema that cannot be sent; the text is a clause for a person on the tool."""


def straightened(schema: Object) -> Object:
    """The schema in draft 2020-12, its references checked. Raises Unfit."""
    if (fault := size_fault(schema)) is not None:
        raise Unfit(f"its schema {fault}")
    whole = {name: value for name, value in schema.items() if name not in ("$schema", "$id")}
    straight = _straight_object(whole)
    check_references(straight)
    return straight


def each(schema: Object, change: Callable[[Schema], Schema]) -> Object:
    """A straight schema in which `change` was applied to each schema right inside it."""
    changed: Object = {}
    for keyword, value in schema.items():
        if keyword in ONE:
            changed[keyword] = change(value)
        elif keyword in SOME:
            changed[keyword] = [change(one) for one in value]
        elif keyword in NAMED:
            changed[keyword] = {name: change(one) for name, one in value.items()}
        else:
            changed[keyword] = value
    return changed


def all_schemas(schema: Schema) -> Iterator[Object]:
    """A straight schema and every one inside it, those that are `true` or `false` left out."""
    waiting = [schema]

    def found(one: Schema) -> Schema:
        waiting.append(one)
        return one

    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            each(one, found)


# --- one schema --------------------------------------------------------------------------------


def _straight(schema: Any) -> Schema:
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict):
        raise Unfit("its schema has something in the place of a schema that is none")
    return _straight_object(schema)


def _straight_object(schema: Object) -> Object:
    now = {
        keyword: value
        for keyword, value in schema.items()
        if (value is not None or keyword in _MAY_BE_NULL) and _is_note_or_demand(keyword, value)
    }
    _lift_required(now)
    _number_the_items(now)
    _split_dependencies(now)
    _loosen_bounds(now)
    for keyword, value in now.items():
        _check(keyword, value)
    if isinstance(now.get("required"), list):
        now["required"] = [*dict.fromkeys(now["required"])]
    if isinstance(now.get("type"), list):
        now["type"] = [*dict.fromkeys(now["type"])]
    if now.get("allOf") == []:
        del now["allOf"]
    return each(now, _straight)


def _is_note_or_demand(keyword: str, value: Any) -> bool:
    """Whether the keyword is anything but a note of the wrong type."""
    return keyword not in _NOTES or isinstance(value, _NOTES[keyword])


def _lift_required(now: Object) -> None:
    """Draft 3: a property says itself whether it is required. At the top that means nothing."""
    if isinstance(now.get("required"), bool):
        del now["required"]
    properties = now.get("properties")
    if not isinstance(properties, dict):
        return
    names = [
        name
        for name, one in properties.items()
        if isinstance(one, dict) and one.get("required") is True
    ]
    if names and isinstance(own := now.get("required", []), list):
        now["required"] = [*own, *names]


def _number_the_items(now: Object) -> None:
    """Draft 7: a list of `items` has a schema for each place."""
    further = now.pop("additionalItems", None)
    if isinstance(now.get("items"), list):
        places = now.pop("items")
        if places:
            now["prefixItems"] = places
        if further is not None:
            now["items"] = further


def _split_dependencies(now: Object) -> None:
    """Draft 7: `dependencies` has names that are required, or a schema, for each property.

    They are two keywords in draft 2020-12, which ignores `dependencies` next to either of them.
    """
    given = now.pop("dependencies", None)
    if not isinstance(given, dict) or now.keys() & {"dependentRequired", "dependentSchemas"}:
        return
    names = {name: one for name, one in given.items() if isinstance(one, list)}
    schemas = {name: one for name, one in given.items() if name not in names}
    now.update({"dependentRequired": names} if names else {})
    now.update({"dependentSchemas": schemas} if schemas else {})


def _loosen_bounds(now: Object) -> None:
    """Draft 4: `exclusiveMinimum: true` says that the `minimum` itself is not allowed."""
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        word = now.get(exclusive)
        if isinstance(word, bool):
            del now[exclusive]
            if word and bound in now:
                now[exclusive] = now.pop(bound)


def _check(keyword: str, value: Any) -> None:
    """Raises Unfit for what draft 2020-12 does not allow."""
    if keyword == "type":
        fits = _is_type(value)
    elif keyword in _COUNTS:
        fits = _is_number(value) and value >= 0 and value == int(value)
    elif keyword in _BOUNDS:
        fits = _is_number(value) and (keyword != "multipleOf" or value > 0)
    elif keyword in SOME:
        fits = isinstance(value, list) and (bool(value) or keyword == "allOf")
    elif keyword in NAMED:
        fits = isinstance(value, dict)
    else:
        fits = _is_other(keyword, value)
    if not fits:
        raise Unfit(
            f"the keyword `{keyword}` of its schema has a value that JSON Schema does not allow"
        )


def _is_other(keyword: str, value: Any) -> bool:
    match keyword:
        case "required":
            return _are_names(value)
        case "dependentRequired":
            return isinstance(value, dict) and all(_are_names(names) for names in value.values())
        case "enum":
            return isinstance(value, list)
        case "uniqueItems":
            return isinstance(value, bool)
        case "pattern" | "$ref":
            return isinstance(value, str)
        case "$id":
            raise Unfit("a part of its schema has an address of its own (`$id`)")
    if keyword in _BY_ADDRESS:
        raise Unfit(f"its schema has a reference that cannot be followed (`{keyword}`)")
    return True


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in _TYPES for name in names)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


# --- references --------------------------------------------------------------------------------

_PLACE: Final = re.compile(r"0|[1-9][0-9]{0,5}")
"""A place in a list, as JSON Pointer has it (RFC 6901, section 4)."""


def steps(pointer: str) -> list[str]:
    """The steps of a reference into its own schema, such as `#/$defs/tree`. Raises Unfit."""
    if pointer == "#":
        return []
    if not pointer.startswith("#/"):
        raise Unfit("its schema has a reference to something outside of it")
    parts = unquote(pointer[2:]).split("/")
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]


def check_references(whole: Object) -> None:
    """Raises Unfit for one that leads nowhere, or round in a circle of mere references."""
    leads: dict[str, str | None] = {}
    for schema in all_schemas(whole):
        if "$ref" in schema and schema["$ref"] not in leads:
            further = target(whole, schema["$ref"]).get("$ref")
            leads[schema["$ref"]] = further if isinstance(further, str) else None
    ends: set[str] = set()
    for start in leads:
        way: set[str] = set()
        here: str | None = start
        while here is not None and here not in ends:
            if here in way:
                raise Unfit("the references of its schema lead round in a circle")
            way.add(here)
            here = leads.get(here)  # there is none for a part that is no schema
        ends |= way


def target(whole: Object, pointer: str) -> Object:
    """The schema to which a reference in the `whole` one leads; one that is a truth has no demands.

    Raises Unfit.
    """
    here: Any = whole
    try:
        for step in steps(pointer):
            is_place = isinstance(here, list) and _PLACE.fullmatch(step)
            here = here[int(step)] if is_place else here[step]
    except (KeyError, IndexError, TypeError):
        here = None
    if isinstance(here, bool):
        return {}
    if not isinstance(here, dict):
        raise Unfit("its schema has a reference that leads nowhere")
    return here
