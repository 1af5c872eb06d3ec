"""Whether what the settings name can be used: the files, the variables, the network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from gateway.access import TOKEN_FILE, find_token
from gateway.cli.checks import Check
from gateway.cli.provider import provider_url
from gateway.config import ConfigError, Configuration
from gateway.folder import check_folder, nearest
from gateway.ledger.unusable import LedgerUnusable
from gateway.network import check_network
from gateway.settings import SETTINGS, Settings
from gateway.vault import Vault, VaultError


def check_configuration(configuration: Configuration) -> Iterator[Check]:
    """A check for each source: the file, the variables, and each file that a setting names.

    The data folder is a check of its own.
    """
    settings = configuration.settings
    yield _file(configuration)
    yield _variables(configuration)
    yield from (Check("variable", "warn", note) for note in configuration.notes)
    if settings.prices_file is not None:
        yield _tried("prices file", settings.prices_file, lambda: _read_prices(settings))
    if settings.api_key_file is not None:
        # With no environment the key file is the first place where a key is looked for.
        key_file = Vault(settings.api_key_file, environ={})
        yield _tried("key file", settings.api_key_file, key_file.find)
    if settings.auth == "token" and settings.token is None:
        yield _token(settings)
    yield _tried(
        "network",
        "what the environment says of proxies and certificates",
        lambda: check_network([provider_url(settings)], os.environ),
    )


def check_data_folder(folder: Path) -> Check:
    """Whether a start could keep its data there; nothing is made for it."""
    name = "data folder"
    try:
        check_folder(folder)
    except (ConfigError, LedgerUnusable) as error:
        return Check(name, "fail", str(error))
    if nearest(folder) != folder:
        return Check(name, "ok", f"{folder} is made by the first start.")
    if os.name == "posix" and folder.stat().st_mode & 0o077:
        advice = f"`chmod 700 {folder}` makes it yours alone."
        return Check(name, "warn", f"{folder} can be looked into by others.", advice)
    return Check(name, "ok", f"{folder} can be written.")


def _token(settings: Settings) -> Check:
    file = settings.data_dir / TOKEN_FILE
    what = f"in {file}" if os.path.lexists(file) else "there is none yet: the first start makes it"
    return _tried("token", what, lambda: find_token(settings))


def _file(configuration: Configuration) -> Check:
    settings = configuration.settings
    if not configuration.file.exists():
        return Check("file", "ok", f"{configuration.file}: there is none, and none is needed.")
    given = list(configuration.sources.values()).count(str(configuration.file))
    parts = [
        f"{given} settings in force",
        f"{len(settings.mcp_servers)} MCP servers",
        f"{len(settings.models)} models",
    ]
    return Check("file", "ok", f"{configuration.file}: {', '.join(parts)}.")


def _variables(configuration: Configuration) -> Check:
    known = {setting.variable for setting in SETTINGS.values()}
    named = [source for source in configuration.sources.values() if source in known]
    return Check("variables", "ok", f"{', '.join(named) or 'none'}.")


def _tried(name: str, what: object, attempt: Callable[[], object]) -> Check:
    try:
        attempt()
    except (ConfigError, VaultError) as error:
        return Check(name, "fail", str(error))
    return Check(name, "ok", f"{what}.")


def _read_prices(settings: Settings) -> None:
    from gateway.prices import GenaiPrices  # noqa: PLC0415 - most settings name no price file

    GenaiPrices(settings.prices_file)
