"""Logging, to stderr and nowhere else.

A parent may never read our stderr: when its pipe is full a write blocks. So lines go through a
bounded queue to a thread of their own, and what does not fit is dropped: logging never stalls the
gateway.
"""

from __future__ import annotations

import atexit
import json
import logging
import logging.handlers
import os
import queue
import threading
from datetime import UTC, datetime
from typing import TypeAlias

LONGEST_QUEUE = 10_000
"""Lines."""

FLUSH_SECONDS = 0.5

_Lines: TypeAlias = queue.Queue[logging.LogRecord | threading.Event]
"""What is to be written; an event asks for a sign that all before it is."""


class _Dropping(logging.handlers.QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return  # the reader of stderr is slower than the log: the lines are lost, not the work


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        return json.dumps(line)


def start_logging(level: str, form: str) -> None:
    """Log at `level` and above, as `text` or `json` lines."""
    formatter = (
        _Json()
        if form == "json"
        else logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    )
    lines: _Lines = queue.Queue(LONGEST_QUEUE)
    root = logging.getLogger()
    root.handlers = [_Dropping(lines)]
    root.setLevel(level.upper())
    writer = threading.Thread(target=_write, args=(lines, formatter), name="log", daemon=True)
    writer.start()
    atexit.register(_flush, lines)


def _write(lines: _Lines, formatter: logging.Formatter) -> None:
    """Write line after line, straight to the descriptor.

    Logging and the interpreter flush what they know at their end, and would wait there for a write
    that is stuck in a full pipe: the process would drain, and then never exit.
    """
    while True:
        match lines.get():
            case threading.Event() as written:
                written.set()
            case record:
                _write_line(formatter.format(record))


def _write_line(line: str) -> None:
    rest = (line + "\n").encode(errors="replace")
    try:
        while rest:
            rest = rest[os.write(2, rest) :]
    except OSError:
        return  # nobody can read it any more


def _flush(lines: _Lines) -> None:
    """Give the last lines half a second; a reader that is stuck does not keep us.

    No thread may be started here: the interpreter is about to end (python/cpython#113964).
    """
    written = threading.Event()
    try:
        lines.put(written, timeout=FLUSH_SECONDS)
    except queue.Full:
        return
    written.wait(FLUSH_SECONDS)
