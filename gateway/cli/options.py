"""What commands share: settings from flags, and the one line that an expected failure is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from gateway.cli.views.harmless import harmless
from gateway.config import ConfigError, Configuration, Settings, read_configuration
from protocol.errors import ExitCode

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


BAD_USAGE: Final = "BAD_USAGE"
"""The code of a failure: what was typed cannot be meant."""

NO_CONNECTION: Final = "NO_CONNECTION"
"""The code of a failure: no gateway could be talked to."""

_CODES: Final[dict[int, str]] = {
    ExitCode.BAD_CONFIGURATION: "BAD_CONFIGURATION",
    ExitCode.DATABASE_UNUSABLE: "DATABASE_UNUSABLE",
    ExitCode.BUG: "INTERNAL_ERROR",
}


class Stop(click.ClickException):
    """An expected end of a command: one line on stderr, and an exit code.

    For programs it has a `code`, like the protocol's errors, and whether the same command may
    succeed later; or it is the gateway's own error, `answer`, as the wire has it. One that is
    `answered` comes after an answer on stdout, which tells a program all of it.
    """

    def __init__(
        self,
        message: str,
        exit_code: int = ExitCode.BAD_CONFIGURATION,
        *,
        code: str = "",
        retryable: bool = False,
        answer: msgspec.Struct | None = None,
        answered: bool = False,
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc] # click reads the instance's
        self.code = code or _CODES.get(exit_code, "FAILED")
        self.retryable = retryable
        self.answer = answer
        self.answered = answered

    def show(self, file: Any = None) -> None:  # noqa: ARG002 - click's signature
        """The one line."""
        click.echo(f"agentspace: {harmless(self.message)}", err=True)


def configuration_of(flags: dict[str, object]) -> Configuration:
    """The settings in force with these flags, and their sources. Raises Stop, with exit code 2."""
    try:
        return read_configuration(flags, os.environ)
    except ConfigError as error:
        raise Stop(str(error)) from error


def settings_of(flags: dict[str, object]) -> Settings:
    """The settings in force with these flags; notes go to stderr. Raises Stop, with exit code 2."""
    configuration = configuration_of(flags)
    tell(configuration.notes)
    return configuration.settings


def tell(notes: Iterable[str]) -> None:
    """Say on stderr what is not an error."""
    for note in notes:
        click.echo(f"agentspace: {harmless(note)}", err=True)


def data_dir_option(command: CommandT) -> CommandT:
    """`--data-dir`."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, readable=False),
        help="Folder of database and token.",
    )(command)


def json_option(command: CommandT) -> CommandT:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")(
        command
    )
