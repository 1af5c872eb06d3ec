"""`agentspace schema`: the protocol, for generators of clients and for people."""

from __future__ import annotations

import sys

import click
import msgspec

from gateway.cli.json_line import json_line


@click.command()
@click.option(
    "--json-schema", "only_messages", is_flag=True, help="Print the messages alone, as JSON Schema."
)
@click.option("--json", "on_one_line", is_flag=True, help="Print it on one line.")
def schema(*, only_messages: bool, on_one_line: bool) -> None:
    """Print the protocol as AsyncAPI 3, in JSON."""
    # No other command needs them.
    from protocol.asyncapi import asyncapi  # noqa: PLC0415
    from protocol.schema import json_schema  # noqa: PLC0415

    line = json_line(json_schema() if only_messages else asyncapi(), sys.stdout.encoding)
    click.echo(line if on_one_line else msgspec.json.format(line, indent=2))
