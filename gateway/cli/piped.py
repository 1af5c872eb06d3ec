"""What is piped into a command.

A command that is given all it needs must not wait for a pipe that its parent merely left open:
agents and job runners do that, and then nothing ever ends (httpie/cli#1460,
openai/codex#20919, earendil-works/pi#5571). So what comes on top of an argument has to begin
within a few seconds; what a command cannot do without is waited for.
"""

from __future__ import annotations

import select
import sys
from typing import Final

from gateway.cli.console import can_type
from gateway.cli.options import BAD_USAGE, Stop, tell

PATIENCE_SECONDS: Final = 3.0
LONGEST: Final = 64 * 1024 * 1024
"""Bytes; more than a gateway takes in one message."""


def piped_text(*, optional: bool) -> str:
    """All of stdin, without blank ends; empty on a terminal, or when nothing `optional` came.

    Raises Stop for too much of it.
    """
    if sys.stdin is None or can_type():
        return ""
    if optional and not _has_begun():
        tell([f"nothing came on stdin within {PATIENCE_SECONDS:g} s: the question goes without."])
        return ""
    read = sys.stdin.buffer.read(LONGEST + 1)
    if len(read) > LONGEST:
        raise Stop(f"stdin has more than {LONGEST // 2**20} MiB: send less.", code=BAD_USAGE)
    return read.decode("utf-8-sig", "replace").strip()


def _has_begun() -> bool:
    """Whether there are bytes, or the end of them, before long."""
    if sys.platform == "win32":  # which can wait for sockets alone
        return True
    return bool(select.select([sys.stdin], [], [], PATIENCE_SECONDS)[0])
