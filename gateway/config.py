"""Which value of each setting is in force, and the refusal of a bad one.

A flag, else an `AGENTSPACE_…` variable, else `config.toml`, else the default. A flag that is
`None` or `()` and a variable that is empty count as not given. A relative path begins at the
folder that names it: the working folder for flags and variables, the config folder for the file.

pydantic-settings would read the same sources, but its errors do not name the one that is at fault
(pydantic/pydantic-settings#24), and quote values that may be secret.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import platformdirs

from actors.context.toolset import server_tools
from agentspace.loopback import is_loopback
from gateway.mcp.settings import BadMcpServer, McpServer, read_servers
from gateway.model_settings import BadModel, read_models
from gateway.settings import SETTINGS, Settings
from gateway.variables import CONFIG_DIR_VARIABLE, MisspeltVariable, notes_on, value_of
from protocol.errors import GatewayError
from protocol.provider.model_info import ModelInfo

__all__ = [
    "CONFIG_DIR_VARIABLE",
    "ConfigError",
    "Configuration",
    "Settings",
    "load_settings",
    "read_configuration",
]

CONFIG_FILE: Final = "config.toml"
SERVERS: Final = "mcp_servers"
MODELS: Final = "models"
_LONGEST_SHOWN = 60
_HOMELESS: Final = "this user has no home folder. Set HOME."


class ConfigError(Exception):
    """Configuration that cannot be used; the text is one line, for a person, without secrets."""


class _Given(msgspec.Struct, frozen=True):
    """A value that somebody gave, and where."""

    value: object
    source: str
    folder: Path


class Configuration(msgspec.Struct, frozen=True):
    """The settings in force, and where they are from.

    `sources` has a setting's flag, variable or file, and no entry for a default. `notes` are lines
    about variables that have no effect. `file` is where the config file is, or would be.
    """

    settings: Settings
    sources: dict[str, str]
    notes: tuple[str, ...]
    file: Path


def load_settings(
    flags: Mapping[str, object], environ: Mapping[str, str], config_dir: Path | None = None
) -> Settings:
    """The settings in force; what `read_configuration` says besides is left out."""
    return read_configuration(flags, environ, config_dir).settings


def read_configuration(
    flags: Mapping[str, object], environ: Mapping[str, str], config_dir: Path | None = None
) -> Configuration:
    """The settings in force, and their sources; `flags` by field name.

    Without `config_dir` it is `AGENTSPACE_CONFIG_DIR`, else the user's config folder.
    Raises ConfigError; TypeError for a flag that is no setting.
    """
    if strange := flags.keys() - SETTINGS.keys():
        raise TypeError(f"no such settings: {sorted(strange)}")
    folder = (config_dir or _config_dir(environ)).absolute()
    tables = _read_toml(folder / CONFIG_FILE)
    servers = _servers(tables.pop(SERVERS, {}), environ, folder)
    models = _models(tables.pop(MODELS, {}), folder)
    given = _from_file(tables, folder)
    here = Path.cwd()
    for name, setting in SETTINGS.items():
        if value := value_of(name, environ):
            given[name] = _Given(value, setting.variable, here)
        if flags.get(name) not in (None, ()):
            given[name] = _Given(flags[name], setting.flag, here)
    values = {name: _converted(name, value) for name, value in given.items()}
    settings = _made({**values, "mcp_servers": servers, "models": models})
    _check_together(settings, given)
    sources = {name: value.source for name, value in given.items()}
    return Configuration(settings, sources, _notes(environ), folder / CONFIG_FILE)


def _notes(environ: Mapping[str, str]) -> tuple[str, ...]:
    try:
        return notes_on(environ)
    except MisspeltVariable as error:
        raise ConfigError(str(error)) from None


def _config_dir(environ: Mapping[str, str]) -> Path:
    named = environ.get(CONFIG_DIR_VARIABLE)
    try:
        return Path(named).expanduser() if named else platformdirs.user_config_path("agentspace")
    except RuntimeError:
        if named:
            raise ConfigError(
                f"{CONFIG_DIR_VARIABLE} begins at a home folder: {_HOMELESS}"
            ) from None
        return Path(os.devnull)  # no home, and so no file there


def _made(values: dict[str, Any]) -> Settings:
    try:
        return Settings(**values)
    except RuntimeError:
        raise ConfigError(
            f"there is no place for the data: {_HOMELESS} Or give one with --data-dir or "
            "AGENTSPACE_DATA_DIR."
        ) from None


def _from_file(tables: Mapping[str, object], folder: Path) -> dict[str, _Given]:
    path = folder / CONFIG_FILE
    given = {}
    for name, value in tables.items():
        if name not in SETTINGS:
            raise ConfigError(_unknown(name, path))
        given[name] = _Given(value, str(path), path.parent)
    return given


def _servers(tables: object, environ: Mapping[str, str], folder: Path) -> tuple[McpServer, ...]:
    try:
        return read_servers(tables, environ, folder)
    except BadMcpServer as error:
        raise ConfigError(f"{error} (from {folder / CONFIG_FILE})") from None


def _models(tables: object, folder: Path) -> tuple[ModelInfo, ...]:
    try:
        return read_models(tables)
    except BadModel as error:
        raise ConfigError(_one_line(f"{error} (from {folder / CONFIG_FILE})")) from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))  # editors write a BOM
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}): make it a file that you may read."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not TOML: it is not UTF-8. Save it as UTF-8.") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        # The parser quotes at most one character, never a value.
        raise ConfigError(f"{path} is not TOML: {_one_line(str(error))}. Correct it.") from error


def _unknown(name: str, path: Path) -> str:
    near = difflib.get_close_matches(name, [*SETTINGS, SERVERS, MODELS], n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "remove it."
    return f"{_one_line(name)} (from {path}) is no setting: {hint}"


def _converted(name: str, given: _Given) -> Any:
    setting = SETTINGS[name]
    value = given.value
    if isinstance(value, str):
        if setting.is_tuple:
            value = tuple(part.strip() for part in value.split(",") if part.strip())
        elif setting.words:
            value = value.lower()
    try:
        _check_text(value)
        converted = msgspec.convert(value, setting.type, strict=False, dec_hook=_to_path)
        if name == "anthropic_base_url":
            _check_url(str(converted))
        if name == "server_tools":
            server_tools(converted)
    # Of msgspec and Unicode; of `~` without a home; of options of a tool.
    except (ValueError, RuntimeError, GatewayError):
        raise ConfigError(_refusal(name, given)) from None  # its cause may quote a secret
    return given.folder / converted if isinstance(converted, Path) else converted


def _check_text(value: object) -> None:
    if isinstance(value, str) and b"\0" in value.encode():  # which refuses lone surrogates
        raise ValueError


def _to_path(kind: type, value: object) -> Path:
    if kind is not Path or not isinstance(value, str | Path) or not str(value):
        raise ValueError
    return Path(value).expanduser()


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    plain = url.isascii() and url.isprintable() and not set(url) & set(" @?#")
    if not plain or parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError


def _refusal(name: str, given: _Given) -> str:
    setting = SETTINGS[name]
    problem = "has a value that cannot be used" if setting.secret else f"is {_shown(given.value)}"
    return f"{name} (from {given.source}) {problem}: give {setting.expects}."


def _check_together(settings: Settings, given: Mapping[str, _Given]) -> None:
    """What no single setting can tell."""

    def source(name: str) -> str:
        return f"{name} (from {given[name].source if name in given else 'the default'})"

    if settings.auth == "none" and not is_loopback(settings.host):
        raise ConfigError(
            f"{source('auth')} is none, but {source('host')} is {settings.host!r}, which others "
            "can reach: give host 127.0.0.1, or auth token."
        )
    if settings.list_limit_default > settings.list_limit_max:
        raise ConfigError(
            f"{source('list_limit_default')} is {settings.list_limit_default}, above "
            f"{source('list_limit_max')}, {settings.list_limit_max}: lower the one or raise the "
            "other."
        )


def _shown(value: object) -> str:
    shown = repr(value) if isinstance(value, str | Path) else str(value)
    return _one_line(shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…")


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
