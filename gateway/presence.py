"""The note that a running gateway keeps in its data folder: where it listens.

Problem: after a crash the note would stay, and a command that read it would show the folder's
token to whoever has the port now. Trick: a gateway holds a lock on its note for as long as it
lives, and the system takes that away with the process, however it ends. So a note counts only as
long as somebody holds its lock. The note is locked before it gets its name, so that a reader's own
look at the lock is never in the way. Limits: where the system has no such locks (Windows) every
note counts.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec

from agentspace.running import NOTE, GatewayReady
from gateway import __version__

if sys.platform != "win32":
    import fcntl

log = logging.getLogger(__name__)


class Presence:
    """One gateway's note, which is gone at the end of the block."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NOTE
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is None:
            return
        with suppress(OSError):
            if os.path.samestat(os.fstat(self._descriptor), self._path.stat()):
                self._path.unlink()
        os.close(self._descriptor)

    def show(self, url: str) -> GatewayReady:
        """Write the note, for the folder's owner alone. Where that fails, the log says so."""
        ready = GatewayReady(url=url, pid=os.getpid(), version=__version__)
        try:
            self._descriptor = _write(self._path, msgspec.json.encode(ready) + b"\n")
        except OSError as error:
            log.warning("commands need --url to find this gateway: %s", error)
        return ready


def _write(path: Path, note: bytes) -> int:
    """Write the file whole or not at all; its descriptor, locked."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        _lock(descriptor)
        os.write(descriptor, note)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int) -> None:
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
