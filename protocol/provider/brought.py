"""How much the provider's own tools bring to a prompt, for an estimate of what it costs to read.

The provider tells it with the end of the answer, when the money is spent. So it is estimated from
the size of what came, in characters of English, of which about four are a token:

- What can be read counts with the JSON around it, for the model reads titles and addresses, too.
- What cannot be read (encrypted text, a file) is in base64, of which four characters are three
  bytes. Such a byte counts as a character of text: the provider's page "Web fetch tool" (November
  2026) takes a page of 10 kB for 2,500 tokens, and a PDF of 500 kB for 125,000.

It is rather too much than too little: what the provider leaves out of it is not told.
"""

from __future__ import annotations

from typing import Any

from protocol.sizes import JSON_DENSITY, size_of

FOUND = 2_500
"""Tokens that a search or a fetch brings, about: as many as an average page has (the same page)."""

SEALED = 3 / 4
"""Bytes of a character in base64."""

AROUND = 6
"""Quotes, colon and comma around a name and its value in JSON."""


def size_brought(value: Any) -> float:
    """Characters of a block that one of the provider's own tools has brought, or of a part of it.

    It is not nested deeply, or it would not be taken.
    """
    match value:
        case str():
            return size_of(value)
        case list():
            return sum(map(size_brought, value))
        case {"type": "base64", "data": str(data), **rest}:
            return len(data) * SEALED + size_brought(rest)
        case dict():
            return sum(map(_member, value, value.values()))
    return AROUND


def _member(name: str, value: Any) -> float:
    is_sealed = name.startswith("encrypted_") and isinstance(value, str)
    around = (len(name) + AROUND) * JSON_DENSITY
    return around + (len(value) * SEALED if is_sealed else size_brought(value))
