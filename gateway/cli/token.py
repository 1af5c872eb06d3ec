"""`agentspace token`: the token that clients need."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.access import find_token
from gateway.cli.json_line import print_json
from gateway.cli.options import Stop, data_dir_option, json_option, settings_of
from gateway.config import ConfigError


@click.command()
@data_dir_option
@json_option
def token(data_dir: Path | None, *, as_json: bool) -> None:
    """Show the token that clients need, and nothing else."""
    settings = settings_of({"data_dir": data_dir})
    try:
        found = find_token(settings)
    except ConfigError as error:
        raise Stop(str(error)) from error
    if found is None:
        raise Stop(
            f"there is no token in {settings.data_dir} yet: the first `agentspace serve` makes one."
        )
    if as_json:
        print_json({"token": found})
    else:
        click.echo(found)
