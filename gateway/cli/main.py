"""The command line's commands, and how any of them ends.

A command's module is imported when it is called: most need little of what the others need.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import traceback
from types import ModuleType
from typing import Final, NoReturn

import click
from click.shell_completion import CompletionItem

from gateway import __version__
from gateway.cli.exit_codes import BROKEN_PIPE, FAILED, INTERRUPTED
from gateway.cli.init import stand_before
from gateway.cli.standard_streams import OutputLost, let_go_of_stdout, prepare_streams
from protocol.errors import ExitCode

COMMANDS: Final = {
    "serve": "Serve clients over WebSocket.",
    "demo": "Try it: gateway, client and, without a key, a simulated provider.",
    "chat": "Talk to a running gateway.",
    "keys": "Keep the provider's API key in the keyring.",
    "config": "Check the settings, or show those in force.",
    "doctor": "Look at what a gateway needs here.",
    "sessions": "List sessions, or show one.",
    "inspect": "Show what the next request of a session weighs.",
    "usage": "Show what was billed.",
    "status": "Show a running gateway's figures.",
    "token": "Show the token that clients need.",
    "schema": "Print the protocol as AsyncAPI 3.",
    "simulate": "Serve a simulated Messages API on loopback.",
    "load": "Load a gateway with turns, and measure.",
    "completion": "Print the script that completes commands in a shell.",
}


class _Lazy(click.Group):
    """Commands by name; `gateway.cli.NAME` holds the command `NAME`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(_imported(f"gateway.cli.{cmd_name}"), cmd_name)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands and flags; no command is imported for it."""
        commands = [
            CompletionItem(name, help=meaning)
            for name, meaning in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _imported(name: str) -> ModuleType:
    """A module, imported while the collector rests: an import makes much, and little garbage."""
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.enable()


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="agentspace")
def agentspace() -> None:
    """A gateway between your programs and Claude, over one WebSocket."""


def main() -> NoReturn:
    """Run the command line; every expected failure ends in one line and an exit code.

    A reader that has seen enough (`| head`) and Ctrl-C end it without a word.
    """
    stand_before()
    prepare_streams()
    try:
        code = _run()
        sys.stdout.flush()
    except OutputLost as lost:
        let_go_of_stdout()
        code = _tell_lost(lost)
    raise SystemExit(code)


def _run() -> int:
    """The exit code of the command, once its failure, if it is one, is told."""
    try:
        return int(agentspace.main(prog_name="agentspace", standalone_mode=False) or 0)
    except SystemExit as ended:
        return int(ended.code or 0)
    except OutputLost:
        raise
    except click.ClickException as error:
        return _tell(error)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the boundary: nobody sees a traceback unasked
        return _tell(_reported(error))


def _tell(error: click.ClickException) -> int:
    from gateway.cli.failures import tell_failure, wants_json  # noqa: PLC0415 - only a failure

    try:
        tell_failure(error, as_json=wants_json(sys.argv[1:]))
    except OutputLost:
        let_go_of_stdout()  # stderr has said what went wrong first
    return error.exit_code


def _tell_lost(lost: OutputLost) -> int:
    """A reader that has seen enough needs no word; whoever gets nothing learns why."""
    if lost.has_no_reader:
        return BROKEN_PIPE
    click.echo(f"agentspace: {lost}", err=True)
    return FAILED


def _reported(bug: Exception) -> click.ClickException:
    """One line for a mistake of ours; the whole story for whoever asks for it."""
    from gateway.cli.options import Stop  # noqa: PLC0415 - only a failure

    if os.environ.get("AGENTSPACE_LOG_LEVEL", "").lower() == "debug":
        traceback.print_exception(bug)
    what = f"a mistake of its own ({type(bug).__name__})"
    return Stop(f"{what}. Set AGENTSPACE_LOG_LEVEL=debug to see where.", ExitCode.BUG)
