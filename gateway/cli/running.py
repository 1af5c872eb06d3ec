"""How a command runs under trio, and how it ends: the boundary between errors and lines of text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from agentspace.client import (
    ConnectError,
    ConnectionLost,
    GatewayError,
    MessageTooLarge,
    NoAnswer,
)
from gateway.cli.ending import innermost, known_ending
from gateway.cli.exit_codes import FAILED
from gateway.cli.options import BAD_USAGE, NO_CONNECTION, Stop
from gateway.cli.views.wording import in_words
from protocol import errors
from protocol.server import ErrorMessage

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
            return Stop(in_words(refused.message), FAILED, answer=refused.answer)
        case errors.GatewayError() as expected:  # of the gateway's own parts, in this process
            answer = ErrorMessage.of(expected.failure, None)
            return Stop(expected.failure.message, FAILED, answer=answer)
        case ConnectError(problem="token") as unwelcome:
            return Stop(f"{unwelcome} {TOKEN_HINT}", FAILED, code="UNAUTHORIZED")
        case ConnectError() as nobody:
            return Stop(_sentence(nobody), FAILED, code=NO_CONNECTION, retryable=nobody.passes)
        case ConnectionLost() as lost:
            return Stop(_sentence(lost), FAILED, code="CONNECTION_LOST", retryable=True)
        case NoAnswer() as silent:
            return Stop(_sentence(silent), FAILED, code="NO_ANSWER", retryable=True)
        case MessageTooLarge() as large:
            return Stop(_sentence(large), FAILED, code="INVALID_MESSAGE")
        case UnicodeEncodeError():  # what is answered can be written anywhere (`streams`)
            return Stop(NO_TEXT, code=BAD_USAGE)
        case other:
            return known_ending(other) or error


def _sentence(error: Exception) -> str:
    return f"{str(error).rstrip('.')}."
