"""How many characters of English a text counts for, where its tokens are estimated."""

from __future__ import annotations

CHARACTERS_A_TOKEN = 4
"""Of the tokenizer, for English."""

JSON_DENSITY = 1.5
"""Tokens of a character of JSON over those of a character of English prose, about."""
BYTES_DENSITY = 4 / 3
"""Tokens of a byte of another script over those of a character of English: about one for the three
bytes of a Japanese character."""


def size_of(text: str) -> float:
    """Characters; those of other scripts count for as many as they are likely to take tokens."""
    if text.isascii():
        return len(text)
    plain = len(text.encode("ascii", "ignore"))
    return plain + (len(text.encode()) - plain) * BYTES_DENSITY
