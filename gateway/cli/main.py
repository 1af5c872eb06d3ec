"""The command line's commands, and how any of them ends.

A command's module is imported when it is called: the SDK alone takes a second to import.
"""

from __future__ import annotations

import importlib
from typing import Final, NoReturn

import click

from gateway import __version__

COMMANDS: Final = {
    "serve": "Serve clients over WebSocket.",
    "demo": "Try it: gateway, client and, without a key, a simulated provider.",
    "chat": "Talk to a running gateway.",
    "keys": "Keep the provider's API key in the keyring.",
    "sessions": "List sessions, or show one.",
    "inspect": "Show what the next request of a session weighs.",
    "usage": "Show what was billed.",
    "status": "Show a running gateway's figures.",
    "token": "Show the token that clients need.",
    "schema": "Print the protocol as AsyncAPI 3.",
    "simulate": "Serve a simulated Messages API on loopback.",
}


class _Lazy(click.Group):
    """Commands by name; `gateway.cli.NAME` holds the command `NAME`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"gateway.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="agentspace")
def agentspace() -> None:
    """A gateway between your programs and Claude, over one WebSocket."""


def main() -> NoReturn:
    """Run the command line; every expected failure ends in one line and an exit code."""
    agentspace(prog_name="agentspace")
    raise SystemExit(0)
