"""Text from elsewhere, made harmless for a terminal.

What a model, a tool or a page writes may hold escape sequences, which a terminal obeys: they move
the cursor, hide text, change the title, fill the clipboard. Marks that turn the direction of text
around make a command look like another. Neither reaches the screen: every message is cleaned
where it comes in, before anything measures or draws it.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar

import msgspec

Value = TypeVar("Value")

_RETURN: Final = "\r"
_DRIVES: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(value: Value) -> Value:
    """A text, or whatever holds texts, in which nothing but tabs and line ends is a control."""
    return _cleaned(value)  # type: ignore[no-any-return]


def _cleaned(value: Any) -> Any:
    match value:
        case str():
            return _DRIVES.sub("\N{REPLACEMENT CHARACTER}", value.replace(_RETURN, ""))
        case list():
            return [_cleaned(item) for item in value]
        case dict():
            return {_cleaned(name): _cleaned(item) for name, item in value.items()}
        case msgspec.Struct():
            names = value.__struct_fields__
            return msgspec.structs.replace(
                value, **{name: _cleaned(getattr(value, name)) for name in names}
            )
        case _:
            return value
