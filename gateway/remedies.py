"""What a person can do about a folder or a file that the system does not let us use."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_NOT_OURS: Final = frozenset({errno.EACCES, errno.EPERM})
_ANOTHER: Final = "choose another folder with --data-dir or AGENTSPACE_DATA_DIR."


def is_full(error: OSError) -> bool:
    """Whether a write failed for want of room."""
    return error.errno in _FULL


def what_to_do(path: Path, error: OSError) -> str:
    """What is wrong with `path`, and what to do, for a person."""
    if is_full(error):
        return "the disk is full. Make room there, and start again."
    if error.errno == errno.EROFS:
        return f"it is on a file system that is read only. Mount it for writing, or {_ANOTHER}"
    if error.errno in _NOT_OURS and (owner := _other_owner(path)) is not None:
        return (
            f"it belongs to user {owner}, and this is user {os.geteuid()}. Start as that user, "
            f"give it to this one (chown), or {_ANOTHER}"
        )
    return f"{error.strerror or error}. Make it usable, or {_ANOTHER}"


def _other_owner(path: Path) -> int | None:
    """The user that has `path`, if it is another one."""
    try:
        owner = path.stat().st_uid
    except OSError:
        return None
    return None if owner == os.geteuid() else owner
