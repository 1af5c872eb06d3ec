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

LONGEST_QUEUE = 10_000
"""Lines."""


class _Dropping(logging.handlers.QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return  # the reader of stderr is slower than the log: the lines are lost, not the work


class _Stderr(logging.Handler):
    """Writes straight to the descriptor, without a lock or a buffer.

    Logging and the interpreter flush both at their end, and would wait there for a write that is
    stuck in a full pipe: the process would drain, and then never exit.
    """

    def createLock(self) -> None:  # noqa: N802 - logging's name; one thread writes
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        line = (self.format(record) + "\n").encode(errors="replace")
        try:
            while line:
                line = line[os.write(2, line) :]
        except OSError:
            return  # nobody can read it any more


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        return json.dumps(line, ensure_ascii=False)


def start_logging(level: str, form: str) -> None:
    """Log at `level` and above, as `text` or `json` lines."""
    output = _Stderr()
    output.setFormatter(
        _Json()
        if form == "json"
        else logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    )
    lines: queue.Queue[logging.LogRecord] = queue.Queue(LONGEST_QUEUE)
    root = logging.getLogger()
    root.handlers = [_Dropping(lines)]
    root.setLevel(level.upper())
    listener = threading.Thread(target=_write, args=(lines, output), name="log", daemon=True)
    listener.start()
    atexit.register(_flush, lines)


def _write(lines: queue.Queue[logging.LogRecord], output: logging.Handler) -> None:
    while True:
        output.handle(lines.get())
        lines.task_done()


def _flush(lines: queue.Queue[logging.LogRecord]) -> None:
    """Give the last lines half a second; a reader that is stuck does not keep us."""
    done = threading.Thread(target=lines.join, daemon=True)
    done.start()
    done.join(0.5)
