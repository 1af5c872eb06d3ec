"""`agentspace inspect`: what the next request of a session weighs."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.console import stdout
from gateway.cli.target import ask, find_target, gateway_options, json_option, print_json
from gateway.cli.views.inspection import inspection
from gateway.client import new_id
from protocol.client import ContextInspect
from protocol.server import ContextInspection


@click.command()
@click.argument("session")
@gateway_options
@click.option("--content", metavar="TEXT", help="As if this were sent next.")
@click.option("--model", metavar="ID", help="As if this model were asked.")
@click.option("--exact", is_flag=True, help="Ask the provider for its own count, too.")
@json_option
def inspect(
    session: str,
    url: str | None,
    data_dir: Path | None,
    content: str | None,
    model: str | None,
    *,
    exact: bool,
    as_json: bool,
) -> None:
    """Show what the next request of SESSION weighs, section by section."""
    question = ContextInspect(
        id=new_id(), session_id=session, content=content, model=model, exact=exact
    )
    found = ask(find_target(url, data_dir), question, ContextInspection)
    if as_json:
        print_json(found)
    else:
        stdout().print(inspection(found))
