"""`agentspace usage`: what was billed."""

from __future__ import annotations

import click

from agentspace.client import new_id
from agentspace.messages import UsageQuery
from gateway.cli.console import stdout
from gateway.cli.json_line import print_json
from gateway.cli.options import json_option
from gateway.cli.session_ids import complete_session
from gateway.cli.target import FoundGateway, ask, gateway_options
from gateway.cli.views.harmless import harmless
from gateway.cli.views.usage import usage_report


@click.command()
@gateway_options
@click.option(
    "--session",
    "session_id",
    metavar="ID",
    shell_complete=complete_session,
    help="Of this session alone.",
)
@click.option("--since", metavar="TIME", help="From this day or time on (ISO 8601, else UTC).")
@click.option("--until", metavar="TIME", help="Up to this day or time, exclusive.")
@json_option
def usage(
    found: FoundGateway,
    session_id: str | None,
    since: str | None,
    until: str | None,
    *,
    as_json: bool,
) -> None:
    """Show what was billed, by model and altogether."""
    question = UsageQuery(id=new_id(), session_id=session_id, since=since, until=until)
    report = ask(found, question)
    if as_json:
        print_json(report)
    else:
        stdout().print(usage_report(harmless(report)))
