"""Markdown cut where it can be cut, while it is still being written.

A terminal cannot take back what has scrolled away, and rendering a whole answer again for every
delta costs the square of its length. So what is finished is printed once and for good, and only
the last, unfinished block is rendered again. Blocks end at blank lines, headings and fences; what
is indented belongs to the list item above it. A block that grows too long is cut between the lines
of a list, inside a fence (which is opened again) or, at last, between words: the cost of a delta
has a bound whatever the model writes.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

LONGEST_LINES: Final = 24
LONGEST_TEXT: Final = 4_000
"""Characters."""

_FENCE = re.compile(r"^( *)(`{3,}|~{3,})(.*)$")
_ITEM = re.compile(r"^([-*+]|\d{1,9}[.)])\s")
_HEADING = re.compile(r"^#{1,6}\s")


class Cut(msgspec.Struct, frozen=True):
    """A finished piece of Markdown; `joined` when no blank line belongs above it."""

    source: str
    joined: bool


class Blocks:
    """Takes text as it comes, gives blocks as they are finished."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._partial = ""
        self._size = 0
        self._fence: re.Match[str] | None = None
        self._gap = False
        self._joined = False
        self._finished: list[Cut] = []

    def add(self, text: str) -> list[Cut]:
        """The blocks that this text has finished."""
        *lines, self._partial = (self._partial + text).split("\n")
        for line in lines:
            self._add_line(line)
        if len(self._partial) + self._size > LONGEST_TEXT:
            self._cut_partial()
        return self._taken()

    def end(self) -> list[Cut]:
        """What is left: nothing more will come."""
        if self._partial:
            self._add_line(self._partial)
            self._partial = ""
        self._finish()
        return self._taken()

    @property
    def rest(self) -> Cut:
        """The unfinished block so far."""
        return Cut("\n".join([*self._lines, self._partial]), self._joined)

    def _taken(self) -> list[Cut]:
        finished, self._finished = self._finished, []
        return finished

    def _add_line(self, line: str) -> None:
        if self._fence is not None:
            self._add_code(line, self._fence)
        elif not line.strip():
            self._gap = bool(self._lines)
            self._append("")
        else:
            self._add_text(line)

    def _add_text(self, line: str) -> None:
        fence = _FENCE.match(line)
        if self._ends_before(line):
            self._finish(joined=self._is_list and bool(_ITEM.match(line)))
        self._gap = False
        self._append(line)
        self._fence = fence
        if _HEADING.match(line) or (self._size > LONGEST_TEXT and not fence):
            self._finish()

    def _ends_before(self, line: str) -> bool:
        if line.startswith((" ", "\t")) and self._is_list:
            return False
        if self._gap or _HEADING.match(line) or _FENCE.match(line):
            return True
        return len(self._lines) >= LONGEST_LINES and bool(_ITEM.match(line))

    def _add_code(self, line: str, fence: re.Match[str]) -> None:
        mark = fence[2]
        self._append(line)
        text = line.strip()
        if len(text) >= len(mark) and set(text) == {mark[0]}:
            self._fence = None
            if not fence[1]:
                self._finish()
        elif len(self._lines) > LONGEST_LINES:
            self._divide()

    def _cut_partial(self) -> None:
        """A line without an end is cut between words, or where it is if it has none."""
        head, _, tail = self._partial.rpartition(" ")
        if not head or self._fence is not None:
            head, tail = self._partial, ""
        self._append(head)
        self._partial = tail
        self._divide()

    def _divide(self) -> None:
        """Finish a part of a block that goes on; a fence is closed, and opened again."""
        if self._fence is None:
            return self._finish(joined=True)
        self._append(self._fence[2])
        self._finish(joined=True)
        self._append(self._fence[0])
        return None

    @property
    def _is_list(self) -> bool:
        return bool(self._lines and _ITEM.match(self._lines[0]))

    def _append(self, line: str) -> None:
        if line or self._lines:
            self._lines.append(line)
            self._size += len(line) + 1

    def _finish(self, *, joined: bool = False) -> None:
        """The block is done; the next one is `joined` to it or not."""
        source = "\n".join(self._lines)
        if source.strip():
            self._finished.append(Cut(source, self._joined))
            self._joined = joined
        self._lines, self._size, self._gap = [], 0, False
