"""The data folder: made for its owner alone, and tried before anything is kept there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from gateway.config import ConfigError
from gateway.ledger.unusable import LedgerUnusable
from gateway.remedies import is_full, what_to_do

TRIAL_BYTES: Final = 262_144
"""What a start writes itself is less than this."""


def prepare_folder(folder: Path) -> None:
    """Make the folder, and see whether it can be written.

    Raises ConfigError, and LedgerUnusable for a full disk.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _refusal(f"the data folder {folder} cannot be made", folder.parent, error) from error
    _try(folder, f"the data folder {folder} cannot be written")


def check_folder(folder: Path) -> None:
    """See whether a start could use the folder, and leave everything as it is.

    Of a folder that is not there yet, the nearest one above it that is there must be writable.
    Raises ConfigError, and LedgerUnusable for a full disk.
    """
    place = nearest(folder)
    lacks = "written" if place == folder else "made"
    _try(place, f"the data folder {folder} cannot be {lacks}")


def nearest(folder: Path) -> Path:
    """The folder, else the nearest one above it that is there."""
    # Not `exists`: a link that leads nowhere is in the way of a folder, too.
    return next(place for place in (folder, *folder.parents) if os.path.lexists(place))


def _try(folder: Path, what: str) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder) as trial:
            trial.write(bytes(TRIAL_BYTES))
    except OSError as error:
        raise _refusal(what, folder, error) from error


def _refusal(what: str, path: Path, error: OSError) -> Exception:
    text = f"{what}: {what_to_do(path, error)}"
    return LedgerUnusable(text) if is_full(error) else ConfigError(text)
