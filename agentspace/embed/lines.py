"""What a gateway says: from its lines into the parent's logging."""

from __future__ import annotations

import logging
import re
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

_TEXT: Final = re.compile(
    r"[0-9-]{10} [0-9:]{8},[0-9]{3} (?P<level>[A-Z]+) +(?P<logger>[^ :]+): (?P<message>.*)"
)
"""A line of the log in the format `text`."""


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
    """The line that tells best why the gateway ended.

    That is the command's own line, whatever comes after it. Without one it is the very last line,
    if that is an error of the log or no line of the log at all: a library's last word, say. What
    the log says on the side has nothing to do with the end.
    """

    def __init__(self) -> None:
        self._line = ""

    def take(self, line: str) -> None:
        """A further line."""
        if line.strip() and not self._line.startswith(LAST_WORD):
            self._line = line

    def __str__(self) -> str:
        said = _read(self._line)
        if said is None:
            return self._line.strip()
        level = LEVELS.get(said.level.upper(), logging.WARNING)
        return said.message.partition("\n")[0] if level >= logging.ERROR else ""


def _read(line: str) -> LogLine | None:
    """A line of the log in either format; `None` for any other line."""
    try:
        return _decode(line)
    except (msgspec.DecodeError, RecursionError):
        found = _TEXT.fullmatch(line)
        return None if found is None else LogLine(**found.groupdict())
