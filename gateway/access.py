"""The gateway's own token, and the rules of access made of the settings."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from gateway.config import ConfigError, Settings
from gateway.handshake import LOOPBACK_NAMES, AccessRules

TOKEN_FILE = "token"


def access_rules(settings: Settings) -> AccessRules:
    """Who may connect. Makes and keeps a token when none is set. Raises ConfigError."""
    return AccessRules(
        token=None if settings.auth == "none" else find_token(settings, create=True),
        origins=frozenset(settings.allowed_origins),
        hosts=LOOPBACK_NAMES | {settings.host.lower()} | set(settings.allowed_hosts),
    )


def find_token(settings: Settings, *, create: bool = False) -> str | None:
    """The token in force: the setting, else the one kept in the data folder (mode 0600)."""
    if settings.token is not None:
        return settings.token
    path = settings.data_dir / TOKEN_FILE
    try:
        if create:
            _create(path)
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the token file {path} cannot be used: {error}. Delete it, or set AGENTSPACE_TOKEN."
        ) from error


def _create(path: Path) -> None:
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(file, "w") as stream:
        stream.write(secrets.token_urlsafe(32) + "\n")
