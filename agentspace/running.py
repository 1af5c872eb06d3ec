"""The gateway that runs from a data folder: what its note says, and whether it still counts.

A gateway holds a lock on its note for as long as it lives, and the system takes that away with the
process, however it ends. So a note that nobody has locked is an old one. Where the system has no
such locks (Windows) every note counts.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import msgspec

if sys.platform != "win32":
    import fcntl

NOTE: Final = "gateway.json"
"""The note's name in the data folder."""


class GatewayReady(msgspec.Struct, frozen=True, tag="gateway.ready"):
    """What a gateway says when it can serve: its one line on stdout, and its note."""

    url: str
    pid: int
    version: str = ""
    protocol: int = 1


def find_gateway(folder: Path) -> GatewayReady | None:
    """What the gateway that runs from this folder says of itself; `None` when none does."""
    try:
        with (folder / NOTE).open("rb") as note:
            if not _is_locked(note.fileno()):
                return None
            return msgspec.json.decode(note.read(), type=GatewayReady)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _is_locked(descriptor: int) -> bool:
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
