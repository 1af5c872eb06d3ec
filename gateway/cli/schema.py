"""`agentspace schema`: the protocol, for generators of clients and for people."""

from __future__ import annotations

import click
import msgspec


@click.command()
def schema() -> None:
    """Print the protocol as AsyncAPI 3, in JSON."""
    from protocol.asyncapi import asyncapi  # noqa: PLC0415 - no other command needs it

    document = msgspec.json.encode(asyncapi())
    click.echo(msgspec.json.format(document, indent=2).decode())
