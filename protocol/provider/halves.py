"""Halves of characters in JSON.

A character beyond the first 65,536 may be written in JSON as two escapes, `\\ud83d\\ude00`: a
surrogate pair. Whoever cuts texts by UTF-16 units tears some apart, and no codec of ours takes one
half, nor does the provider in a request. A half whose other half is nowhere becomes U+FFFD.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

LONGEST = 256 * 1024
"""Bytes of JSON that are looked through for halves; it costs some ten times as much as decoding."""

REPLACEMENT = "\ufffd"


def loads(text: bytes) -> Any:
    """The value in a JSON text that may hold halves. Raises msgspec.DecodeError."""
    if len(text) > LONGEST:
        raise msgspec.DecodeError("too long to look for halves of characters")
    try:
        return json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise msgspec.DecodeError("no JSON") from error


def dumps(value: Any) -> bytes:
    """A value of `loads` as JSON, with whole characters only: two halves in a row become one."""
    text = json.dumps(value, ensure_ascii=False)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def is_first_half(character: str) -> bool:
    """Whether the second half of a pair may follow."""
    return "\ud800" <= character <= "\udbff"
