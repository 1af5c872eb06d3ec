"""What a gateway says: from its lines into the parent's logging."""

from __future__ import annotations

import logging
from typing import Final

import msgspec

LAST_WORD: Final = "agentspace: "
"""How the one line begins that says why the gateway ends; log lines may come after it."""

LEVELS: Final = logging.getLevelNamesMapping()

log = logging.getLogger("agentspace.gateway")


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
