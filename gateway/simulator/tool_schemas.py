"""What the Messages API refuses about the schema of a tool's input.

One such tool refuses the whole request. The rules are from the pages "Define tools" and "Custom
tools in self-hosted sandboxes", November 2026. They do not say whether names of properties inside
of others are looked at; strictly, they are. Nor do they speak of references that lead nowhere, or
of a schema's depth; strictly, it has no more levels than the gateway sends.
"""

import re
from functools import lru_cache

import msgspec

from gateway.simulator.errors import invalid
from gateway.simulator.reply import Json
from protocol.free_form import is_too_deep
from protocol.provider.json_schema import Unfit, all_schemas, check_references

_AT_NO_TOP = ("oneOf", "allOf", "anyOf")
_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


def check_schema(schema: Json, place: str) -> None:
    """The schema at `place`, which is of an object, must be one that the API takes."""
    if any(keyword in schema for keyword in _AT_NO_TOP):
        raise invalid(
            f"{place}: input_schema does not support oneOf, allOf, or anyOf at the top level"
        )
    if is_too_deep(schema) or not _is_valid(msgspec.json.encode(schema)):
        raise invalid(
            f"{place}: JSON schema is invalid. It must match JSON Schema draft 2020-12 "
            "(https://json-schema.org/draft/2020-12)."
        )
    names = (name for one in all_schemas(schema) for name in one.get("properties", ()))
    if not all(_NAME.fullmatch(name) for name in names):
        raise invalid(
            f"{place}.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{{1,64}}$'"
        )


def check_examples(examples: object, schema: Json, place: str) -> None:
    """Each example of a tool's arguments must follow its schema (the page "Define tools")."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - it takes 0.1 s

    if not isinstance(examples, list):
        raise invalid(f"{place}.input_examples: Input should be a valid list")
    for at, example in enumerate(examples):
        if not isinstance(example, dict):
            raise invalid(f"{place}.input_examples.{at}: Input should be a valid dictionary")
        try:
            is_valid = Draft202012Validator(schema).is_valid(example)
        except (RecursionError, re.error):  # a schema without end, or a pattern of JavaScript's
            continue
        if not is_valid:
            raise invalid(f"{place}.input_examples.{at}: does not match the tool's input_schema")


@lru_cache(maxsize=1_024)
def _is_valid(schema: bytes) -> bool:
    from jsonschema import (  # noqa: PLC0415 - it takes 0.1 s
        Draft202012Validator,
        FormatChecker,
        SchemaError,
    )

    decoded = msgspec.json.decode(schema)
    try:
        # A pattern is one of JavaScript's: nothing here can tell whether it is one.
        Draft202012Validator.check_schema(decoded, format_checker=FormatChecker(()))
        check_references(decoded)
    except (SchemaError, Unfit):
        return False
    return True
