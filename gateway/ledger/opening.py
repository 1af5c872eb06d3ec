"""Why a ledger cannot be opened, in words for a person; and the lock that one gateway has on it."""

from __future__ import annotations

import errno
import fcntl
import sqlite3
from pathlib import Path
from typing import IO

from gateway.ledger.unusable import LedgerUnusable
from gateway.remedies import what_to_do

_SYSTEM_S = {
    "full": errno.ENOSPC,
    "readonly": errno.EACCES,
    "unable to open": errno.EACCES,
}
"""SQLite's words for what the system has said."""


def lock(path: Path) -> IO[str]:
    """Take the data folder for this process; the lock goes with it, however it ends."""
    try:
        file = path.open("w")
    except OSError as error:
        raise unusable(path, error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise LedgerUnusable(
            f"the data folder {path.parent} is in use by another gateway. Stop that one, or "
            "choose another folder with --data-dir or AGENTSPACE_DATA_DIR."
        ) from None
    return file


def unusable(path: Path, error: BaseException) -> LedgerUnusable:
    """What is wrong with the ledger's file at `path`, and what to do."""
    what = f"the database {path} cannot be used"
    if isinstance(error, OSError):
        return LedgerUnusable(f"{what}: {what_to_do(path, error)}")
    words = str(error)
    if isinstance(error, sqlite3.OperationalError):
        for word, number in _SYSTEM_S.items():
            if word in words:
                return LedgerUnusable(f"{what}: {what_to_do(path, OSError(number, words))}")
        if "locked" in words:
            return LedgerUnusable(f"{what}: another program has locked it. End that program first.")
    return LedgerUnusable(
        f"{what}: {words}. Move it away to begin a new one, or restore it from a backup."
    )
