"""The messages as JSON Schema (2020-12): all of them in one document, or one message alone.

It is generated from the messages' types, so it says what the codecs do. It uses only what 2020-12
shares with draft 07, which is how AsyncAPI reads a schema that names no format: so a reference
with a description next to it stands in an `allOf`.

Some rules of the codecs have no words in JSON Schema: no text holds U+0000, whole numbers are
written without a fraction, and what is free-form is bounded in nodes and depth (the hello's
`limits` tell by how much).
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import Any, Literal, TypeAlias, get_args, get_origin

import msgspec

from protocol.client import AnyClientMessage
from protocol.examples import EXAMPLES, payload
from protocol.named import NAMED
from protocol.server import AnyServerMessage

Document: TypeAlias = dict[str, Any]
Sender = Literal["client", "gateway"]

MESSAGES: dict[Sender, tuple[type[msgspec.Struct], ...]] = {
    "client": get_args(AnyClientMessage),
    "gateway": get_args(AnyServerMessage),
}
_UNIONS: dict[Sender, str] = {"client": "ClientMessage", "gateway": "ServerMessage"}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DEFINITION = "#/$defs/{name}"
_SNAKE_CASE = re.compile(r"`[a-z0-9]+(?:_[a-z0-9]+)+`")
# Fields that mean the same wherever the gateway sends them.
_COMMON = {
    "request_id": "The `id` of the request that this answers.",
    "session_id": "The session.",
    "turn_id": "The turn.",
    "seq": "The place among the turn's events, from 0; it only grows.",
    "tool_call_id": "The call.",
    "tool_name": "The tool's name.",
    "stop_details": "Why the provider refused.",
}
_ANNOTATIONS = ("title", "description", "default", "examples")


def message_schema(type_name: str, sender: Sender | None = None) -> Document:
    """A self-contained JSON Schema for the message `type_name`.

    Some types are a request and its answer: without a `sender`, either is valid. Raises
    LookupError for a type that the sender does not send.
    """
    senders = get_args(Sender) if sender is None else (sender,)
    kinds = [kind for one in senders for kind in MESSAGES[one] if type_of(kind) == type_name]
    if not kinds:
        raise LookupError(f"there is no message {type_name}")
    references = [_reference(_DEFINITION, kind.__name__) for kind in kinds]
    return {
        "$schema": _DIALECT,
        **(references[0] if len(references) == 1 else {"anyOf": references}),
        "$defs": components(kinds, _DEFINITION),
    }


def json_schema() -> Document:
    """Every message in one JSON Schema, with examples: a client's, or the gateway's."""
    definitions = all_components(_DEFINITION)
    for example in EXAMPLES:
        schema = definitions[type(example.message).__name__]
        schema.setdefault("examples", []).append(payload(example))
    return {
        "$schema": _DIALECT,
        "title": "AgentSpaceMessage",
        "description": "A message of the AgentSpace protocol, version 1.",
        "anyOf": [_reference(_DEFINITION, name) for name in _UNIONS.values()],
        "$defs": definitions,
    }


def all_components(template: str) -> Document:
    """Every message and what it is made of, by name, and the union of each side's messages."""
    unions = {name: _union(sender, name, template) for sender, name in _UNIONS.items()}
    return unions | components([*MESSAGES["client"], *MESSAGES["gateway"]], template)


def components(kinds: Collection[type[msgspec.Struct]], template: str) -> Document:
    """The schemas of `kinds` and of all that they are made of, by name.

    `template` is a reference, with `{name}` in it.
    """
    _, definitions = msgspec.json.schema_components(kinds, ref_template=template)
    fields = {field for one in definitions.values() for field in one["properties"]}
    classes = {kind.__name__: kind for kind in _structs(kinds)}
    for name, schema in definitions.items():
        _describe_fields(schema, classes[name])
    structs = {name: _as_sent(one, fields, template) for name, one in definitions.items()}
    used = set(_references(structs))
    named = {name: one for name, one in _NAMED.items() if template.format(name=name) in used}
    return structs | named


def type_of(kind: type[msgspec.Struct]) -> str:
    """A message's `type`."""
    return str(kind.__struct_config__.tag)


def _structs(kinds: Collection[Any]) -> Iterator[type[msgspec.Struct]]:
    """The structs among `kinds` and all that they are made of."""
    waiting: list[Any] = list(msgspec.inspect.multi_type_info(kinds))
    while waiting:
        match waiting.pop():
            case msgspec.inspect.StructType(cls=cls, fields=fields):
                yield cls
                waiting += (field.type for field in fields)
            case msgspec.inspect.UnionType(types=types):
                waiting += types
            case msgspec.inspect.ListType(item_type=inner):
                waiting.append(inner)
            case msgspec.inspect.DictType(value_type=inner):
                waiting.append(inner)


def _describe_fields(schema: Document, kind: type[msgspec.Struct]) -> None:
    """Give each property the docstring of its field.

    As pydantic does it (`use_attribute_docstrings`): Python keeps no docstring of an attribute, so
    the class is read as source.
    """
    meanings = _COMMON | _docstrings(kind)
    for field in msgspec.structs.fields(kind):
        schema["properties"][field.encode_name]["description"] = meanings.get(field.name, "")
    if "type" in schema["properties"]:
        schema["properties"]["type"]["description"] = "Tells what it is."


def _docstrings(kind: type) -> dict[str, str]:
    """By attribute, the text that stands below it in the source of the class or of its bases."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not issubclass(base, msgspec.Struct) or base is msgspec.Struct:
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(tree, ast.ClassDef)
        for attribute, below in pairwise(tree.body):
            match attribute, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = text
    return found


def _reference(template: str, name: str) -> Document:
    return {"$ref": template.format(name=name)}


def _union(sender: Sender, name: str, template: str) -> Document:
    return {
        "title": name,
        "description": f"What the {sender} sends. `type` tells which message it is.",
        "oneOf": [_reference(template, kind.__name__) for kind in MESSAGES[sender]],
    }


def _as_sent(schema: Document, fields: set[str], template: str) -> Document:
    """msgspec's schema, with what is ours to say.

    Decimals are written as numbers. A value with a name is a reference to it. A tag is a constant;
    OpenAPI's `discriminator` is left out, for AsyncAPI has another of that name.
    """
    notes: Document = {name: schema[name] for name in _ANNOTATIONS if name in schema}
    if "description" in notes:
        notes["description"] = _wire_names(inspect.cleandoc(notes["description"]), fields)
    if name := _NAMES.get(_key(schema)):
        notes.pop("title", None)
        schema = _reference(template, name)
    match schema:
        case {"$ref": _}:
            reference = {"$ref": schema["$ref"]}
            return {"allOf": [reference], **notes} if notes else reference
        case {"enum": [tag]}:
            return {"const": tag, **notes}
    inner = {
        name: _part(name, value, fields, template)
        for name, value in schema.items()
        if name not in {*_ANNOTATIONS, "discriminator"}
    }
    return {**notes, **inner}


def _part(name: str, value: Any, fields: set[str], template: str) -> Any:
    match name, value:
        case "properties", dict():
            return {field: _as_sent(schema, fields, template) for field, schema in value.items()}
        case "anyOf", list():
            return [_as_sent(schema, fields, template) for schema in value]
        case "items" | "additionalProperties", dict():
            return _as_sent(value, fields, template)
    return value


def _wire_names(description: str, fields: set[str]) -> str:
    """Docstrings name fields as Python does, documents as the wire does.

    A word is the name of a field when there is a field that the wire calls so; all other words are
    values, and stay as they are sent.
    """

    def renamed(found: re.Match[str]) -> str:
        name = re.sub(r"_(.)", lambda letter: letter[1].upper(), found[0])
        return name if name.strip("`") in fields else found[0]

    return _SNAKE_CASE.sub(renamed, description)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for one in schema:
            yield from _references(one)


def _key(schema: Document) -> bytes:
    """What makes two schemas the same, whatever is said about them."""
    bare = {name: value for name, value in schema.items() if name not in _ANNOTATIONS}
    return msgspec.json.encode(bare, order="deterministic")


def _named(name: str, kind: Any, meaning: str) -> Document:
    if get_origin(kind) is Literal:
        # msgspec sorts the values; their order may mean something.
        schema: Document = {"type": "string", "enum": list(get_args(kind))}
    elif name == "Usd":
        schema = {"type": "number"}
    else:
        schema = msgspec.json.schema(kind)
    return {"title": name, "description": meaning, **schema}


_NAMED = {name: _named(name, kind, meaning) for name, (kind, meaning) in NAMED.items()}
_NAMES = {_key(msgspec.json.schema(kind)): name for name, (kind, _) in NAMED.items()}
