"""What a gateway says: from bytes to lines, and on into the parent's logging."""

from __future__ import annotations

import logging
from typing import Final

import msgspec

LONGEST_LINE: Final = 16_384
"""Bytes; what a line has beyond is dropped."""

LAST_WORD: Final = "agentspace: "
"""How the one line begins that says why the gateway ends; log lines may come after it."""

LEVELS: Final = logging.getLevelNamesMapping()

log = logging.getLogger("agentspace.gateway")


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


class LogLine(msgspec.Struct, frozen=True):
    """A line of the gateway's log in the format `json`."""

    level: str
    logger: str
    message: str
    error: str = ""


_decode = msgspec.json.Decoder(LogLine).decode


def log_line(line: str) -> None:
    """Log a line of the gateway, at its own level; one that is no log line, as a warning."""
    try:
        said = _decode(line)
    except (msgspec.DecodeError, RecursionError):
        log.warning("%s", line)
        return
    level = LEVELS.get(said.level.upper(), logging.WARNING)
    log.log(level, "%s: %s%s", said.logger, said.message, f"\n{said.error}" if said.error else "")


class LastLine:
    """The line that tells best why the gateway ended."""

    def __init__(self) -> None:
        self._line = ""

    def take(self, line: str) -> None:
        """A further line."""
        if line.strip() and not self._line.startswith(LAST_WORD):
            self._line = line

    def __str__(self) -> str:
        try:
            return _decode(self._line).message
        except (msgspec.DecodeError, RecursionError):
            return self._line.strip()
