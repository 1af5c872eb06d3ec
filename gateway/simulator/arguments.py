"""How the value of a directive is read: one function for each kind of value."""

import re
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from gateway.simulator.errors import ApiError, invalid
from gateway.simulator.reply import ErrorReply, Fault, Json, ToolUse

LIMIT = 64 * 1024 * 1024
"""The largest number, and the most characters, that a directive may ask for."""

Reader: TypeAlias = Callable[[str, str, Json | None], Any]
"""Takes key, value and the object that follows them, if one does; ApiError for nonsense."""

_FAULT = re.compile(
    r"(?P<kind>\w+)(?:@(?:(?P<at>-?\d{1,9})|(?P<results>\d{1,3})results?))?(?::(?P<arg>[\w.]+))?"
)


def number(kind: type[int] | type[float], least: int = 0, most: int = LIMIT) -> Reader:
    """A number between these two."""

    def read(key: str, value: str, given: Json | None) -> float:
        try:
            found = kind(plain(key, value, given))
        except ValueError:
            raise invalid(f"sim: {key} takes a number, not {value!r}") from None
        if not least <= found <= most:
            raise invalid(f"sim: {key} is out of range: {value}")
        return found

    return read


def plain(key: str, value: str, given: Json | None) -> str:
    """A word; an object has no place next to it."""
    if given is not None or not value:
        raise unknown(f"{key}={value}")
    return value


def switch(key: str, value: str, given: Json | None) -> bool:
    """`on` or `off`."""
    if plain(key, value, given) not in {"on", "off"}:
        raise invalid(f"sim: {key} takes on or off, not {value!r}")
    return value == "on"


def one_of(*words: str) -> Reader:
    """One of these words."""

    def read(key: str, value: str, given: Json | None) -> str:
        if plain(key, value, given) not in words:
            raise invalid(f"sim: {key} takes one of {', '.join(words)}, not {value!r}")
        return value

    return read


def figures(key: str, value: str, given: Json | None) -> Json:
    """An object, and nothing else."""
    if given is None or value:
        raise invalid(f"sim: {key} takes an object: {key}={{…}}")
    return given


def call(key: str, value: str, given: Json | None) -> ToolUse:
    """A tool's name and, after it, its input."""
    return ToolUse(plain(key, value, None), given or {})


def status(key: str, value: str, given: Json | None) -> ErrorReply:
    """The status of an error and, after it, what its body says."""
    found = int(number(int, 300, 599)(key, value, None))
    try:
        return msgspec.convert({**(given or {}), "status": found}, ErrorReply)
    except msgspec.ValidationError as error:
        raise invalid(f"sim: {key} takes type, message and code as texts: {error}") from None


def fault(key: str, value: str, given: Json | None) -> Fault:
    """`KIND`, `KIND@AT` or `KIND@AT:ARG`; AT may be a number of results."""
    match = _FAULT.fullmatch(plain(key, value, given))
    if match is None:
        raise invalid(f"sim: there is no fault {value!r}")
    asked: Json = {"kind": match["kind"], "at": int(match["at"] or 0)}
    if match["results"] is not None:
        asked["results"] = int(match["results"])
    if match["arg"] is not None:
        asked["error_type" if match["kind"].endswith("error") else "seconds"] = match["arg"]
    try:
        return msgspec.convert(asked, Fault, strict=False)
    except msgspec.ValidationError:
        raise invalid(f"sim: there is no fault {value!r}") from None


def unknown(word: str) -> ApiError:
    """What is said of a word that is no directive."""
    return invalid(f"sim: there is no directive {word!r}")
