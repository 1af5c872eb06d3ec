"""The data folder: made for its owner alone, and tried before anything is kept there."""

from __future__ import annotations

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
    try:
        with tempfile.TemporaryFile(dir=folder) as trial:
            trial.write(bytes(TRIAL_BYTES))
    except OSError as error:
        raise _refusal(f"the data folder {folder} cannot be written", folder, error) from error


def _refusal(what: str, path: Path, error: OSError) -> Exception:
    text = f"{what}: {what_to_do(path, error)}"
    return LedgerUnusable(text) if is_full(error) else ConfigError(text)
