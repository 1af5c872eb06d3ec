"""`agentspace inspect`: what the next request of a session weighs."""

from __future__ import annotations

import click

from agentspace.client import new_id
from agentspace.messages import ContextInspect, ContextInspection
from gateway.cli.console import stdout
from gateway.cli.json_line import print_json
from gateway.cli.options import json_option
from gateway.cli.running import run
from gateway.cli.session_ids import complete_session
from gateway.cli.talk.weighing import weigh
from gateway.cli.target import FoundGateway, gateway_options, open_client
from gateway.cli.views.harmless import harmless
from gateway.cli.views.inspection import inspection


@click.command()
@click.argument("session", shell_complete=complete_session)
@gateway_options
@click.option("--content", metavar="TEXT", help="As if this were sent next.")
@click.option("--model", metavar="ID", help="As if this model were asked.")
@click.option("--exact", is_flag=True, help="Ask the provider for its own count, too.")
@click.option("--turn", metavar="ID", help="Turn whose estimate is shown; default: the last.")
@json_option
def inspect(
    session: str,
    found: FoundGateway,
    content: str | None,
    model: str | None,
    turn: str | None,
    *,
    exact: bool,
    as_json: bool,
) -> None:
    """Show what the next request of SESSION weighs, section by section."""
    question = ContextInspect(
        id=new_id(), session_id=session, content=content, model=model, exact=exact, turn_id=turn
    )
    target = found.target

    async def converse() -> ContextInspection:
        async with open_client(target) as client:
            return await weigh(client, question)

    weighed = run(converse)
    if as_json:
        print_json(weighed)
    else:
        stdout().print(inspection(harmless(weighed)))
