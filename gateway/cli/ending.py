"""How a command ends that the gateway itself, or the person at it, has ended."""

from __future__ import annotations

import errno

import click
import trio

from gateway.cli.options import Stop
from gateway.cli.standard_streams import OutputLost
from gateway.config import ConfigError
from gateway.ledger.unusable import LedgerUnusable
from protocol.errors import ExitCode


def known_ending(error: BaseException) -> BaseException | None:
    """What the command line makes of an error; `None` for one that it does not know."""
    match error:
        case ConfigError() as wrong:
            return Stop(str(wrong), ExitCode.BAD_CONFIGURATION)
        case LedgerUnusable() as unusable:
            return Stop(str(unusable), ExitCode.DATABASE_UNUSABLE)
        case KeyboardInterrupt() | OSError(errno=errno.EIO):  # EIO: the terminal itself is gone
            return click.Abort()
        case Stop() | SystemExit() | OutputLost() as known:
            return known
    return None


def innermost(error: BaseException) -> BaseException:
    """The one error of nested groups; of several, one that says more than a cancelled sibling."""
    while isinstance(error, BaseExceptionGroup):
        error = max(error.exceptions, key=_weight)
    return error


def _weight(error: BaseException) -> int:
    return 0 if isinstance(error, trio.Cancelled) else 1
