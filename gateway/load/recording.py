"""Client messages with their times, as lines of JSON: written by a load, played back by another.

    {"at": 0.0, "client": "c1", "message": {"type": "chat.send", "id": "1", "content": "Hello"}}

`at` is in seconds after the start. Each `client` is a connection of its own. Ids of the gateway's
are not known before, so these texts stand for what the client was told last: `$session`, `$turn`
and `$call`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec

from gateway.load.asking import Sendable
from protocol.client import AnyClientMessage

SESSION: Final = "$session"
TURN: Final = "$turn"
CALL: Final = "$call"

_PLACES: Final = {"sessionId": SESSION, "turnId": TURN, "toolCallId": CALL}
LARGEST_FILE: Final = 256 * 1024 * 1024

_SAMPLES: Final = {SESSION: "session", TURN: "turn", CALL: "call"}


class Recorded(msgspec.Struct, frozen=True):
    """One line of a recording."""

    at: float
    client: str
    message: dict[str, Any]


class BadRecording(ValueError):
    """A file that cannot be played, or written; one line, for a person."""


_decode: Final = msgspec.json.Decoder(Recorded).decode
_check: Final = msgspec.json.Decoder(AnyClientMessage).decode
_encoder: Final = msgspec.json.Encoder()


@contextmanager
def open_recorder(path: Path) -> Iterator[Recorder]:
    """Writes what is sent to this file. Raises BadRecording when it cannot be."""
    try:
        with path.open("w", encoding="utf-8") as file:
            yield Recorder(file)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: object, error: OSError) -> BadRecording:
    return BadRecording(f"{path} cannot be written: {error.strerror}.")


class Recorder:
    """Writes what is sent to a file."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._began: float | None = None

    def take(self, client: str, message: Sendable) -> None:
        """Write a message that is sent now. Raises BadRecording."""
        fields = msgspec.to_builtins(message)
        fields.update({name: place for name, place in _PLACES.items() if fields.get(name)})
        now = time.perf_counter()
        if self._began is None:
            self._began = now
        at = round(now - self._began, 6)
        try:
            self._file.write(_encoder.encode(Recorded(at, client, fields)).decode() + "\n")
        except OSError as error:
            raise _unwritable(self._file.name, error) from error


def read_recording(path: Path) -> list[Recorded]:
    """The lines of a file, by their time. Raises BadRecording."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise BadRecording(f"{path} is larger than {LARGEST_FILE:,} bytes.")
        with path.open("rb") as file:
            lines = [_line(line, f"{path}, line {number}") for number, line in _numbered(file)]
    except OSError as error:
        raise BadRecording(f"{path} cannot be read: {error.strerror}.") from error
    if not lines:
        raise BadRecording(f"{path} holds no message.")
    return sorted(lines, key=lambda line: line.at)


def _numbered(file: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty, with their numbers."""
    return ((number, line) for number, line in enumerate(file, 1) if line.strip())


def _line(line: bytes, where: str) -> Recorded:
    """One line, whose message a gateway would take. Raises BadRecording."""
    try:
        read = _decode(line)
        _check(_encoder.encode(placed(read.message, _SAMPLES)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecording(f"{where} is no recorded message: {error}.") from error
    if not 0 <= read.at < float("inf"):
        raise BadRecording(f"{where}: `at` is in seconds after the start.")
    return read


def placed(message: dict[str, Any], told: dict[str, str]) -> dict[str, Any]:
    """The message with what was told in place of the texts that stand for it.

    A field whose text stands for something that was never told is left out.
    """
    made: dict[str, Any] = {}
    for name, value in message.items():
        if name not in _PLACES or not isinstance(value, str) or value not in _SAMPLES:
            made[name] = value
        elif told.get(value):
            made[name] = told[value]
    return made
