"""stdin, stdout and stderr, whatever a parent has left of them: closed, full, or without a reader.

Problem: a descriptor that the parent has closed is the next one that the process opens, and a log
line for stderr would land in a client's socket. And a disk that is full under stdout or stderr
raises in the middle of an answer, where it passes for a mistake of the command's own.

Trick: closed descriptors are filled before anything else is opened: stdin with nothing to read,
stdout with a file that cannot be written, stderr with one that takes everything. Then the two
streams for output write through files of ours. What stdout does not take raises `OutputLost`,
which nothing but a write to stdout raises. What stderr does not take is dropped: a command does its
work, and has its exit code, whether or not anybody can read its notes.

Limit: on Windows, where a console is no file, the streams stay as they are.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, Final, TextIO

from gateway.cli.streams import SPELLED

_FILLED_WITH: Final = (os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)
"""How the null device is opened in the place of stdin, stdout and stderr."""


class OutputLost(Exception):
    """stdout takes no more. `has_no_reader` when it is a pipe that nobody reads any more."""

    def __init__(self, error: OSError) -> None:
        reason = "it is closed" if error.errno == errno.EBADF else error.strerror
        super().__init__(f"nothing can be written to stdout: {reason}. Direct it elsewhere.")
        self.has_no_reader = error.errno == errno.EPIPE


class _Stdout(io.FileIO):
    """Waits while a pipe is full, also where somebody has made it not wait (O_NONBLOCK)."""

    def write(self, piece: Any, /) -> int:
        try:
            written: int | None
            while (written := super().write(piece)) is None:
                select.select([], [self], [])
        except OSError as error:
            if error.errno == errno.EIO:  # the terminal is gone, and the person with it
                raise
            raise OutputLost(error) from error
        return written


class _Stderr(io.FileIO):
    """Drops what cannot be written."""

    def write(self, piece: Any, /) -> int:
        try:
            written: int | None = super().write(piece)
        except OSError:
            written = None
        return len(piece) if written is None else written


def prepare_streams() -> None:
    """Let the three streams be there, and the two for output take every text.

    It is called first of all, before anything is opened.
    """
    if sys.platform != "win32":
        _fill_the_closed()
        sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
        sys.stdout = _rewired(sys.stdout, _Stdout(1, "w", closefd=False))
        sys.stderr = _rewired(sys.stderr, _Stderr(2, "w", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=SPELLED)


def let_go_of_stdout() -> None:
    """What is still to be written to stdout goes nowhere; the interpreter's last flush, too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fill_the_closed() -> None:
    for descriptor, flags in enumerate(_FILLED_WITH):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is taken, which is this one: those below are there by now.
            os.set_inheritable(os.open(os.devnull, flags), True)


def _rewired(stream: TextIO | None, file: io.FileIO) -> TextIO:
    """`stream` as it was, which now writes to `file`."""
    if stream is None:
        return io.TextIOWrapper(io.BufferedWriter(file), "utf-8", line_buffering=True)
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    buffer: Any = file if stream.write_through else io.BufferedWriter(file)
    return io.TextIOWrapper(
        buffer,
        stream.encoding,
        stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
