"""`agentspace config`: whether the settings can be used, and which are in force."""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import RenderableType

from gateway.cli.checks import Check, report
from gateway.cli.configured import check_configuration, check_data_folder
from gateway.cli.console import stdout
from gateway.cli.json_line import print_json
from gateway.cli.options import configuration_of, data_dir_option, json_option, tell
from gateway.cli.views.harmless import harmless
from gateway.cli.views.tables import table
from gateway.config import ConfigError, Configuration, read_configuration
from gateway.settings import SETTINGS, Setting
from protocol.errors import ExitCode

HIDDEN: Final = "…"
DEFAULT: Final = "default"


@click.group()
def config() -> None:
    """Check the settings, or show those in force."""


@config.command("check")
@data_dir_option
@json_option
def check(data_dir: Path | None, *, as_json: bool) -> None:
    """Read all that `serve` would read. Exit code 2 when something cannot be used."""
    try:
        configuration = read_configuration({"data_dir": data_dir}, os.environ)
        folder = check_data_folder(configuration.settings.data_dir)
        checks = [*check_configuration(configuration), folder]
    except ConfigError as error:
        checks = [Check("settings", "fail", str(error))]
    if not report(checks, as_json=as_json):
        raise SystemExit(ExitCode.BAD_CONFIGURATION)


@config.command("show")
@data_dir_option
@json_option
def show(data_dir: Path | None, *, as_json: bool) -> None:
    """Show every setting's value and where it is from; secrets are hidden."""
    configuration = configuration_of({"data_dir": data_dir})
    tell(configuration.notes)
    if as_json:
        print_json(msgspec.to_builtins(_told(configuration), enc_hook=str))
    else:
        for title, settings in groupby(SETTINGS.values(), _section):
            stdout().print(_rows(title, list(settings), configuration))


def _section(setting: Setting) -> str:
    return setting.section


def _rows(title: str, settings: list[Setting], configuration: Configuration) -> RenderableType:
    shown = table(title)
    shown.add_column("setting", no_wrap=True)
    shown.add_column("value", overflow="fold")
    shown.add_column("from", overflow="fold", style="dim")
    for setting in settings:
        source = configuration.sources.get(setting.name, DEFAULT)
        shown.add_row(setting.name, harmless(_in_words(setting, configuration)), harmless(source))
    return shown


def _in_words(setting: Setting, configuration: Configuration) -> str:
    match _value(setting, configuration):
        case None | ():
            return ""
        case bool() as value:
            return str(value).lower()
        case float() as value:
            return f"{value:g}"
        case tuple() as values:
            return ", ".join(str(getattr(value, "name", value)) for value in values)
        case value:
            return str(value)


def _value(setting: Setting, configuration: Configuration) -> Any:
    value = getattr(configuration.settings, setting.name)
    return HIDDEN if setting.secret and value is not None else value


def _told(configuration: Configuration) -> dict[str, Any]:
    settings = configuration.settings
    return {
        "file": configuration.file,
        "settings": {
            name: {
                "value": _value(setting, configuration),
                "source": configuration.sources.get(name, DEFAULT),
            }
            for name, setting in SETTINGS.items()
        },
        "mcpServers": [server.name for server in settings.mcp_servers],
        "models": [model.id for model in settings.models],
    }
