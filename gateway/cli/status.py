"""`agentspace status`: a running gateway's figures."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.console import stdout
from gateway.cli.target import ask, find_target, gateway_options, json_option, print_json
from gateway.cli.views.harmless import harmless
from gateway.cli.views.status import status_report
from gateway.client import new_id
from protocol.client import GatewayStatus
from protocol.server import GatewayStatusReport


@click.command()
@gateway_options
@json_option
def status(url: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    """Show a running gateway's figures, as they are now."""
    report = ask(find_target(url, data_dir), GatewayStatus(id=new_id()), GatewayStatusReport)
    if as_json:
        print_json(report)
    else:
        stdout().print(status_report(harmless(report)))
