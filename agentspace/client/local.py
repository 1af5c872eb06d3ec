"""This machine's own gateway: its address and its token, found by the data folder."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import platformdirs

from agentspace.client.address import reachable, shown
from agentspace.client.errors import ConnectError
from agentspace.client.tokens import Call, choose_token, exported_token
from agentspace.running import find_gateway

DEFAULT_URL: Final = "ws://127.0.0.1:3271/gateway"
TOKEN_FILE: Final = "token"
FOLDER_VARIABLE: Final = "AGENTSPACE_DATA_DIR"


class Target(msgspec.Struct, frozen=True):
    """Where a gateway is, and what opens it."""

    url: str
    token: str | None

    def __repr__(self) -> str:
        return f"Target({shown(self.url)!r})"


def find_target(url: str | None, token: str | None, data_dir: Path | None) -> Target:
    """The gateway that is meant: `url`, else the one that runs from the data folder.

    A folder that somebody named means its own gateway and no other one. Raises ConnectError when
    none runs from it. `tokens` says which token goes where.
    """
    folder = data_dir or default_folder()
    running = find_gateway(folder)
    own = None if running is None else reachable(running.url)
    if url is None and own is None and (data_dir or os.environ.get(FOLDER_VARIABLE)):
        raise ConnectError(
            "refused",
            f"no gateway runs from {folder}. Start one with `agentspace serve`, or give its `url`.",
            passes=True,
        )
    call = Call(url or own or DEFAULT_URL, is_named=url is not None, own=own)
    kept = partial(_kept_token, folder)
    return Target(call.url, choose_token(call, given=token, exported=exported_token(), kept=kept))


def default_folder() -> Path:
    """The user's data folder: `AGENTSPACE_DATA_DIR`, else where the system has it."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_data_path("agentspace")


def _kept_token(folder: Path) -> str | None:
    try:
        return (folder / TOKEN_FILE).read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None
