"""JSON, looked at without decoding it: how much a frame holds, and whose it is.

Counting: within a slice of the frame, what is escaped in a text is masked by as many bytes. Then
its quotes part the slice into texts and what stands between them, and every value but the first
follows a comma or an opening bracket there. An empty list or object counts as two. Each of these
steps is one call over many bytes; a slice takes some milliseconds at worst.

This is right as far as the frame is JSON. What follows its first fault may be counted wrongly,
but no decoder gets there.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import Final

import msgspec

from protocol.bounds import LONG, MOST_STRUCTURE, MOST_VALUES, PLACEHOLDER, TooMuch

SLICE: Final = 256 * 1024
"""Bytes that are looked at in one step."""

_MOST_TOKENS = 20_000
"""Tokens, and escaped quotes, in which an id is looked for."""

_LONGEST_TOKEN = 400
"""Bytes of a key or an id: 64 characters, each of them escaped."""


def skeleton(frame: bytes) -> Generator[None, None, bytes]:
    """The frame with its long texts replaced, found in small steps. Raises TooMuch."""
    found: list[bytes] = []
    values = structure = start = 0
    inside = False  # whether the slice begins in a text, which is a long one
    while start < len(frame):
        parts, end = _parts(frame, start, inside=inside)
        between = b"".join(parts[inside::2])
        values += sum(map(between.count, (b",", b"[", b"{")))
        structure += len(between.translate(None, b" \t\r\n"))
        if values > MOST_VALUES:
            raise TooMuch(f"This message has more than {MOST_VALUES} values.")
        if structure > MOST_STRUCTURE:
            raise TooMuch("The numbers of this message are too long.")
        found.append(_without_long_texts(frame[start:end], parts, inside=inside))
        inside ^= len(parts) % 2 == 0
        start = end
        yield
    return b"".join(found)


def _parts(frame: bytes, start: int, *, inside: bool) -> tuple[list[bytes], int]:
    """The parts of the slice that begins at `start`, apart by quotes, and where it ends.

    It does not end in an escape, nor in a text that is short as far as it can be seen.
    """
    piece = frame[start : start + SLICE]
    if (len(piece) - len(piece.rstrip(b"\\"))) % 2:
        piece += frame[start + len(piece) : start + len(piece) + 1]
    end = start + len(piece)
    parts = piece.replace(b"\\\\", b"__").replace(b'\\"', b"__").split(b'"')
    if inside ^ (len(parts) % 2 == 0) and len(parts[-1]) < LONG and end < len(frame):
        end -= len(parts.pop()) + 1
    return parts, end


def _without_long_texts(piece: bytes, parts: list[bytes], *, inside: bool) -> bytes:
    texts = parts[not inside :: 2]
    if not inside and max(map(len, texts), default=0) < LONG:
        return piece
    kept: list[bytes] = []
    at = 0
    for number, part in enumerate(parts):
        original = piece[at : at + len(part)]
        if inside and number == 0:
            original = b""  # of a text that began before, and is replaced already
        elif (number % 2 == 1) ^ inside and len(part) >= LONG:
            original = PLACEHOLDER
        kept.append(original)
        at += len(part) + 1
    return b'"'.join(kept) + piece[at - 1 :]


# --- whose it is -------------------------------------------------------------------------------

_TOKEN = re.compile(rb"[ \t\r\n]{0,65536}+([\[\]{}:,\"]|[^ \t\r\n\[\]{}:,\"]{1,400}+)")
_LITERAL = re.compile(rb"-?[0-9][0-9.eE+-]*|true|false|null")

_VALUE = {"text": "end", "literal": "end", "{": "first key", "[": "first value"}
_NEXT: dict[str, dict[str, str]] = {
    "value": _VALUE,
    "first value": {**_VALUE, "]": "end"},
    "key": {"text": "colon"},
    "first key": {"text": "colon", "}": "end"},
    "colon": {":": "value"},
    "end of {": {",": "key", "}": "end"},
    "end of [": {",": "value", "]": "end"},
}
"""JSON: by what is expected, the tokens that may come, and what is expected then."""


def find_id(frame: bytes) -> str | None:
    """The `id` of a frame, as far as it is JSON: of its top level alone, and the last of several.

    Nothing is found after the first fault, nor right before it: a quote that stands in a text by
    mistake looks like the end of it.
    """
    certain = read = key = None
    nesting = ""
    expected = "value"
    for kind, text in _tokens(frame):
        after = _NEXT[expected].get(kind)
        if after is None:
            return certain
        certain = read
        if nesting == "{":
            if expected.endswith("key"):
                key = _decoded(text)
            elif expected == "value" and key == "id":
                read = _decoded(text)
        if kind in "{[":
            nesting += kind
        elif kind in "}]":
            nesting = nesting[:-1]
        if not nesting:
            break
        expected = f"end of {nesting[-1]}" if after == "end" else after
    return read


def _tokens(frame: bytes) -> Iterator[tuple[str, bytes]]:
    """Tokens by kind, a text in its quotes; the last one is a `fault` unless the frame is read."""
    at = 0
    for _ in range(_MOST_TOKENS):
        token = _TOKEN.match(frame, at)
        if token is None:
            if not frame[at:].strip(b" \t\r\n"):
                return
            break
        kind, start, at = token[1].decode("latin-1"), token.start(1), token.end()
        if kind == '"':
            at = _end_of_text(frame, at)
            if at < 0:
                break
            yield "text", frame[start:at]
        elif len(kind) == 1 and kind in "[]{}:,":
            yield kind, b""
        elif _LITERAL.fullmatch(token[1]):
            yield "literal", b""
        else:
            break
    yield "fault", b""


def _end_of_text(frame: bytes, at: int) -> int:
    """Where the text ends whose first character stands at `at`; -1 when it is not found."""
    for _ in range(_MOST_TOKENS):
        quote = frame.find(b'"', at)
        if quote < 0:
            return -1
        piece = frame[at:quote]
        if (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 0:
            return quote + 1
        at = quote + 1
    return -1


def _decoded(text: bytes) -> str | None:
    """A key or an id; `None` for what is no text, or too long for either."""
    if not 0 < len(text) <= _LONGEST_TOKEN:
        return None
    try:
        return msgspec.json.decode(text, type=str)
    except (msgspec.DecodeError, UnicodeError):
        return None
