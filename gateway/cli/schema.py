"""`agentspace schema`: the protocol, for generators of clients and for people."""

from __future__ import annotations

import click
import msgspec


@click.command()
@click.option(
    "--json-schema", "only_messages", is_flag=True, help="Print the messages alone, as JSON Schema."
)
def schema(*, only_messages: bool) -> None:
    """Print the protocol as AsyncAPI 3, in JSON."""
    # No other command needs them.
    from protocol.asyncapi import asyncapi  # noqa: PLC0415
    from protocol.schema import json_schema  # noqa: PLC0415

    document = msgspec.json.encode(json_schema() if only_messages else asyncapi())
    click.echo(msgspec.json.format(document, indent=2).decode())
