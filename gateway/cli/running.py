"""How a command runs under trio, and how it ends: the boundary between errors and lines of text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from agentspace.client import AgentSpaceError, ConnectError, GatewayError
from gateway.cli.ending import innermost, known_ending
from gateway.cli.exit_codes import FAILED
from gateway.cli.options import Stop
from protocol import errors
from protocol.errors import ExitCode

ResultT = TypeVar("ResultT")

TOKEN_HINT = "Set AGENTSPACE_TOKEN, or --data-dir to the gateway's own data folder."
NO_TEXT = "what was given is no valid UTF-8: type it anew."


def run(main: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Run `main`; an expected failure becomes a Stop, whatever nurseries it came through."""
    try:
        return trio.run(main)
    except BaseException as error:
        raise ending_of(error) from error  # noqa: ASYNC104 - outside of trio


def ending_of(error: BaseException) -> BaseException:
    """What the command line makes of an error; one that nobody expected stays what it is."""
    match innermost(error):
        case GatewayError() as refused:
            return Stop(refused.message, FAILED)
        case errors.GatewayError() as expected:  # of the gateway's own parts, in this process
            return Stop(expected.failure.message, FAILED)
        case ConnectError(problem="token") as unwelcome:
            return Stop(f"{unwelcome} {TOKEN_HINT}", FAILED)
        case AgentSpaceError() as failed:
            return Stop(f"{str(failed).rstrip('.')}.", FAILED)
        case UnicodeEncodeError():  # what is answered can be written anywhere (`streams`)
            return Stop(NO_TEXT, ExitCode.BAD_CONFIGURATION)
        case other:
            return known_ending(other) or error
