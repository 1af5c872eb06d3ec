"""`agentspace status`: a running gateway's figures."""

from __future__ import annotations

import click

from agentspace.client import new_id
from agentspace.messages import GatewayStatus
from gateway.cli.console import stdout
from gateway.cli.json_line import print_json
from gateway.cli.options import json_option
from gateway.cli.target import FoundGateway, ask, gateway_options
from gateway.cli.views.harmless import harmless
from gateway.cli.views.status import status_report


@click.command()
@gateway_options
@json_option
def status(found: FoundGateway, *, as_json: bool) -> None:
    """Show a running gateway's figures, as they are now."""
    report = ask(found, GatewayStatus(id=new_id()))
    if as_json:
        print_json(report)
    else:
        stdout().print(status_report(harmless(report)))
