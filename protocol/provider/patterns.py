"""Patterns of texts, as structured output has them: what they say, and what of it is refused.

The provider takes a small part of regular expressions: anchors, `*`, `+`, `?`, `{n,m}`, classes and
groups. It refuses references back to a group, looking around, and word boundaries (its page
"Structured outputs", pattern support, November 2026). That part needs no backtracking, so
`protocol.provider.automaton` matches it in linear time.

The page does not say whether `\\d`, `\\w` and `\\s` mean the characters of ASCII or of Unicode, nor
whether `.` may be the end of a line. A text that fits in either reading fits. A pattern that
JavaScript and Python do not read alike is not read at all, and no answer is held against it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

LONGEST = 300
"""Characters of a pattern that is read."""

DEEPEST = 20
"""Groups within each other."""

Edge = Literal["begin", "end"]

_HARMLESS = re.compile(r"(?:\\[^bBk1-9]|\[(?:\\.|[^\]\\])*\]?)+", re.DOTALL)
"""Other escapes, and classes: in a class `\b` is a character."""
_REFUSED = re.compile(r"\\(?P<escaped>[bBk1-9])|\(\?<?(?P<looks>[=!])")
_QUANTIFIER = re.compile(
    r"(?:(?P<sign>[*+?])|\{(?P<least>\d{1,4})(?P<more>,(?P<most>\d{0,4}))?\})\??"
)
_SIGNS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_GROUP = re.compile(r"\?(?::|P?<[A-Za-z_]\w{0,50}>)", re.ASCII)
_CODE = re.compile(r"u(?!d[89a-f])[0-9a-f]{4}|x[0-9a-f]{2}", re.IGNORECASE)
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}
_KINDS: dict[str, Callable[[str], bool]] = {
    "d": str.isdecimal,
    "w": lambda one: one.isalnum() or one == "_",
    "s": str.isspace,
}


class Unread(Exception):
    """A pattern of which it is not known what it says."""


class Chars(NamedTuple):
    """One character, in one of the ranges or of one of the kinds, as `d` or `D`; or in none."""

    ranges: tuple[tuple[str, str], ...] = ()
    kinds: str = ""
    negated: bool = False

    def may_be(self, one: str) -> bool:
        """Whether it is this character, in one of the readings."""
        in_range = any(low <= one <= high for low, high in self.ranges)
        return any(
            (in_range or any(_is_of(kind, one, wide=wide) for kind in self.kinds)) != self.negated
            for wide in (False, True)
        )


class Repeat(NamedTuple):
    """A part so many times; `most` may be any number."""

    part: PatternPart
    least: int
    most: int | None


class Ways(NamedTuple):
    """One of several sequences."""

    ways: tuple[tuple[PatternPart, ...], ...]


PatternPart: TypeAlias = "Chars | Repeat | Ways | Edge"


def refusal(pattern: str) -> str | None:
    """What the provider refuses in a pattern, as a clause; `None` where nothing is found."""
    found = _REFUSED.search(_HARMLESS.sub(" ", pattern[:LONGEST]))
    if found is None:
        return None
    if found["looks"]:
        return "looks ahead or behind, which is not supported"
    if found["escaped"] in "bB":
        return "has a word boundary, which is not supported"
    return "refers back to a group, which is not supported"


def read(pattern: str) -> Ways:
    """What a pattern says. Raises Unread."""
    if len(pattern) > LONGEST:
        raise Unread
    return _Reader(pattern).whole()


def _is_of(kind: str, one: str, *, wide: bool) -> bool:
    is_kind = _KINDS[kind.lower()](one) and (wide or one.isascii())
    return is_kind == kind.islower()


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0

    def whole(self) -> Ways:
        found = self._choice(0)
        if self._at < len(self._text):
            raise Unread
        return found

    def _choice(self, depth: int) -> Ways:
        if depth > DEEPEST:
            raise Unread
        ways = [self._sequence(depth)]
        while self._take("|"):
            ways.append(self._sequence(depth))
        return Ways(tuple(ways))

    def _sequence(self, depth: int) -> tuple[PatternPart, ...]:
        parts: list[PatternPart] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated(self._part(depth)))
        return tuple(parts)

    def _repeated(self, part: PatternPart) -> PatternPart:
        found = self._match(_QUANTIFIER)
        if found is None:
            return part
        if found["sign"]:
            return Repeat(part, *_SIGNS[found["sign"]])
        least = int(found["least"])
        if not found["more"]:
            return Repeat(part, least, least)
        most = int(found["most"]) if found["most"] else None
        if most is not None and most < least:
            raise Unread
        return Repeat(part, least, most)

    def _part(self, depth: int) -> PatternPart:
        match one := self._pop():
            case "(":
                return self._group(depth)
            case "[":
                return self._class()
            case "\\":
                return self._escaped()
            case ".":
                return Chars(negated=True)
            case "^":
                return "begin"
            case "$":
                return "end"
            case "*" | "+" | "?" | "{":
                raise Unread
        return Chars(((one, one),))

    def _group(self, depth: int) -> Ways:
        if self._match(_GROUP) is None and self._text.startswith("?", self._at):
            raise Unread
        found = self._choice(depth + 1)
        if not self._take(")"):
            raise Unread
        return found

    def _class(self) -> Chars:
        negated = self._take("^")
        ranges: list[tuple[str, str]] = []
        kinds = ""
        if self._text.startswith("]", self._at):
            raise Unread
        while not self._take("]"):
            low = self._member()
            if not self._spans():
                ranges += low.ranges
                kinds += low.kinds
                continue
            high = self._member()
            kinds += low.kinds + high.kinds
            ranges += _range(low, high)
        return Chars(tuple(ranges), kinds, negated)

    def _spans(self) -> bool:
        """Whether a member of a class is the first of a range: a `-` at the end is itself."""
        is_range = self._text.startswith("-", self._at) and self._text[self._at + 1 :][:1] != "]"
        return is_range and self._take("-")

    def _member(self) -> Chars:
        one = self._pop()
        if one == "\\":
            return self._escaped()
        if one == "[" and self._text.startswith(":", self._at):
            raise Unread
        return Chars(((one, one),))

    def _escaped(self) -> Chars:
        if (code := self._match(_CODE)) is not None:
            one = chr(int(code[0][1:], 16))
            return Chars(((one, one),))
        one = self._pop()
        if one.lower() in _KINDS:
            return Chars(kinds=one)
        if one not in _CONTROLS and (one.isalnum() or not one.isascii()):
            raise Unread
        one = _CONTROLS.get(one, one)
        return Chars(((one, one),))

    def _pop(self) -> str:
        if self._at == len(self._text):
            raise Unread
        self._at += 1
        return self._text[self._at - 1]

    def _take(self, sign: str) -> bool:
        is_next = self._text.startswith(sign, self._at)
        self._at += is_next
        return is_next

    def _match(self, shape: re.Pattern[str]) -> re.Match[str] | None:
        found = shape.match(self._text, self._at)
        self._at = self._at if found is None else found.end()
        return found


def _range(low: Chars, high: Chars) -> tuple[tuple[str, str], ...]:
    """From one member of a class to another; where one is a kind, the `-` is itself."""
    if low.kinds or high.kinds:
        return (*low.ranges, ("-", "-"), *high.ranges)
    (first, _), (last, _) = (*low.ranges, *high.ranges)
    if first > last:
        raise Unread
    return ((first, last),)
