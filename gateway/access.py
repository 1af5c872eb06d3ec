"""The gateway's own token, and the rules of access made of the settings."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from gateway.config import ConfigError, Settings
from gateway.handshake import LOOPBACK_NAMES, AccessRules
from gateway.remedies import what_to_do

TOKEN_FILE = "token"
_USABLE = re.compile(r"[!-~]{16,512}")


def access_rules(settings: Settings) -> AccessRules:
    """Who may connect. Makes and keeps a token when none is set. Raises ConfigError."""
    hosts = {name.strip("[]") for name in (settings.host.lower(), *settings.allowed_hosts)}
    return AccessRules(
        token=None if settings.auth == "none" else _required_token(settings),
        origins=frozenset(settings.allowed_origins),
        hosts=LOOPBACK_NAMES | hosts,
    )


def _required_token(settings: Settings) -> str:
    """The token, made when there is none. An unusable one must never mean that none is needed."""
    token = find_token(settings, create=True)
    if token is None or not _USABLE.fullmatch(token):
        raise ConfigError(
            f"the token file {settings.data_dir / TOKEN_FILE} holds no token. Delete it, and the "
            "next start makes one, or set AGENTSPACE_TOKEN."
        )
    return token


def find_token(settings: Settings, *, create: bool = False) -> str | None:
    """The token in force: the setting, else the one kept in the data folder (mode 0600)."""
    if settings.token is not None:
        return settings.token
    path = settings.data_dir / TOKEN_FILE
    try:
        if create:
            _create(path)
        return path.read_text("utf-8-sig").strip() or None  # some editors write a BOM
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            f"the token file {path} cannot be used: {what_to_do(path, error)} Or set "
            "AGENTSPACE_TOKEN."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"the token file {path} is no text. Delete it, or set AGENTSPACE_TOKEN."
        ) from error


def _create(path: Path) -> None:
    """Make the token, whole or not at all: it has its name only once it is written."""
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
