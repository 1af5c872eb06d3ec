"""This machine's own gateway: its address and its token."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import platformdirs

DEFAULT_URL: Final = "ws://127.0.0.1:3271/gateway"
TOKEN_FILE: Final = "token"


def local_url(data_dir: Path | None) -> str:  # noqa: ARG001
    """Where the gateway of this data folder listens."""
    return DEFAULT_URL


def local_token(data_dir: Path | None) -> str | None:
    """The token of the gateway of this data folder: `AGENTSPACE_TOKEN`, else the one kept there."""
    if token := os.environ.get("AGENTSPACE_TOKEN"):
        return token
    try:
        return (_folder(data_dir) / TOKEN_FILE).read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _folder(data_dir: Path | None) -> Path:
    if data_dir is not None:
        return data_dir
    named = os.environ.get("AGENTSPACE_DATA_DIR")
    return Path(named).expanduser() if named else platformdirs.user_data_path("agentspace")
