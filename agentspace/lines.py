"""What another process says: from bytes to lines."""

from __future__ import annotations

from typing import Final

LONGEST_LINE: Final = 16_384
"""Bytes; what a line has beyond is dropped."""


class Lines:
    """Puts lines together from pieces of bytes; holds one unfinished line, bounded."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[str]:
        """The lines that `piece` completes."""
        *whole, rest = (self._rest + piece).split(b"\n")
        self._rest = rest[:LONGEST_LINE]
        return [_text(line) for line in whole]

    def end(self) -> list[str]:
        """The last line, if it had no end."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    return line[:LONGEST_LINE].decode(errors="replace")
