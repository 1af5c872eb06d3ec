"""Telling fenced code from prose in text that arrives in pieces.

Problem: a fence is a line, a delta is any piece of text. Trick: what cannot yet be decided (the
beginning of a line that may still become a fence) is held back; all else passes at once. The
pieces that come out, put together, are the text that went in, to the character, and their kinds do
not depend on how the text was cut. Fences are those of CommonMark 0.31, section 4.5: three or more
backticks or tildes after at most three spaces; the info string of a backtick fence holds no
backtick; a closing fence is at least as long and stands alone. Limits: a line is judged by its
first `_LONGEST_LINE` characters, and no more are ever held; a lone carriage return ends no line;
the fences of a quotation (`> `) are prose.
"""

from __future__ import annotations

import re

from protocol.server import ContentType
from protocol.turn import Text

_LONGEST_LINE = 256
# A line, whole or not, that opens a fence; group 1 is the fence.
_OPENING = re.compile(r" {0,3}(`{3,}(?=[^`]*\Z)|~{3,})")
# The beginning of a line that may still become an opening fence.
_MAYBE_OPENING = re.compile(r" {0,3}(?:`{0,2}|~{0,2}|`{3,}[^`]*|~{3,}.*)\Z")
# A line, whole or not, that closes a fence of group 1's character, or may still do so.
_CLOSING = re.compile(r" {0,3}(`+|~+)[ \t\r]*\n?\Z")
_MAYBE_CLOSING = re.compile(r" {0,3}(?:`*|~*)[ \t\r]*\Z")


class FenceSplitter:
    """Splits a stream of text into prose and fenced code.

    `feed` returns the pieces that are decided, neighbours of one kind joined; `flush` what was
    still held when the text ended.
    """

    def __init__(self) -> None:
        self._fence = ""  # the opening fence, while inside code
        self._held = ""  # the current line from its start, undecided
        self._mid_line = False  # the current line is decided and not over

    def feed(self, text: str) -> list[Text]:
        """The pieces that `text` decides."""
        if self._mid_line and "\n" not in text:
            return [Text(text, self._kind)] if text else []
        pieces: list[Text] = []
        data = self._held + text
        self._held = ""
        start = 0
        while start < len(data):
            end = data.find("\n", start) + 1 or len(data)
            if not self._mid_line:
                end = min(end, start + _LONGEST_LINE)
            line = data[start:end]
            start = end
            if self._mid_line:
                _join(pieces, self._kind, line)
                self._mid_line = not line.endswith("\n")
            elif line.endswith("\n") or len(line) == _LONGEST_LINE or not self._is_open(line):
                self._decide(line, pieces)
            else:
                self._held = line
        return pieces

    def flush(self) -> list[Text]:
        """What is left; the text is over."""
        pieces: list[Text] = []
        if self._held:
            self._decide(self._held, pieces)
        self._held = ""
        return pieces

    @property
    def _kind(self) -> ContentType:
        return "code" if self._fence else "text"

    def _is_open(self, line: str) -> bool:
        undecided = _MAYBE_CLOSING if self._fence else _MAYBE_OPENING
        return undecided.match(line) is not None

    def _decide(self, line: str, pieces: list[Text]) -> None:
        self._mid_line = not line.endswith("\n")
        if not self._fence:
            opening = _OPENING.match(line)
            self._fence = opening[1] if opening else ""
            _join(pieces, self._kind, line)
        elif self._closes(line):
            # The newline after a closing fence is prose again.
            fence = line.removesuffix("\n")
            _join(pieces, "code", fence)
            self._fence = ""
            _join(pieces, "text", line[len(fence) :])
        else:
            _join(pieces, "code", line)

    def _closes(self, line: str) -> bool:
        closing = _CLOSING.match(line)
        return closing is not None and closing[1].startswith(self._fence)


class NoFences:
    """For a text that is data: all of it is of one kind, and nothing is held back."""

    def feed(self, text: str) -> list[Text]:
        """The text as it is."""
        return [Text(text, "text")] if text else []

    def flush(self) -> list[Text]:
        """Nothing is left."""
        return []


def _join(pieces: list[Text], kind: ContentType, text: str) -> None:
    if not text:
        return
    if pieces and pieces[-1].kind == kind:
        pieces[-1] = Text(pieces[-1].text + text, kind)
    else:
        pieces.append(Text(text, kind))
