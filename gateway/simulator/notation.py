"""How directives are written in a text: `[[sim: key=value key=value {"json": "of the last"} ]]`.

Words are apart by blanks; an object belongs to the word before it and may hold blanks and brackets.
"""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

OPENING, CLOSING = "[[sim:", "]]"

_decoder = json.JSONDecoder()


class Word(msgspec.Struct, frozen=True):
    """One word, and the object that follows it."""

    text: str
    given: dict[str, Any] | None = None


class Directive(msgspec.Struct, frozen=True):
    """A directive, and where in the text it stands."""

    words: tuple[Word, ...]
    start: int
    end: int


def directives(text: str) -> Iterator[Directive]:
    """The directives in a text, in order; one that does not end is none."""
    start = text.find(OPENING)
    while start >= 0:
        read = _read(text, start + len(OPENING))
        if read is None:
            start = text.find(OPENING, start + len(OPENING))
            continue
        words, end = read
        yield Directive(words, start, end)
        start = text.find(OPENING, end)


def without_directives(text: str) -> str:
    """The text as its author meant it for the model."""
    kept, start = [], 0
    for directive in directives(text):
        kept.append(text[start : directive.start])
        start = directive.end
    return "".join((*kept, text[start:])).strip()


def _read(text: str, at: int) -> tuple[tuple[Word, ...], int] | None:
    words: list[Word] = []
    while at < len(text):
        if text.startswith(CLOSING, at):
            return tuple(words), at + len(CLOSING)
        if text[at].isspace():
            at += 1
        elif words and (found := _object(text, at)):
            given, at = found
            words[-1] = msgspec.structs.replace(words[-1], given=given)
        else:
            end = max(at + 1, _end_of_word(text, at))
            words.append(Word(text[at:end]))
            at = end
    return None


def _object(text: str, at: int) -> tuple[dict[str, Any], int] | None:
    """The object that begins here, if one does, and where it ends."""
    if text[at] != "{":
        return None
    try:
        return _decoder.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None


def _end_of_word(text: str, at: int) -> int:
    end = at
    while end < len(text) and not (
        text[end].isspace() or text[end] == "{" or text.startswith(CLOSING, end)
    ):
        end += 1
    return end
