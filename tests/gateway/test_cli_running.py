"""How errors become ends of a command."""

from __future__ import annotations

import errno

import click
import pytest
import trio

from agentspace.client import ConnectError, ConnectionLost, GatewayError, MessageTooLarge
from agentspace.messages import ErrorMessage
from gateway.cli.exit_codes import FAILED
from gateway.cli.options import Stop
from gateway.cli.running import ending_of, run
from gateway.config import ConfigError
from gateway.ledger.unusable import LedgerUnusable
from protocol import errors
from protocol.errors import ExitCode

NO_KEY = ErrorMessage(code="NO_API_KEY", message="There is none.", retryable=False)


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (GatewayError(NO_KEY), FAILED),
        (errors.GatewayError("LLM_ERROR", "It cannot be reached."), FAILED),
        (ConnectError("refused", "nobody is there."), FAILED),
        (ConnectError("token", "not this one."), FAILED),
        (MessageTooLarge(2_000, 1_000), FAILED),
        (ConnectionLost("it is gone"), FAILED),
        (ConfigError("a bad value."), ExitCode.BAD_CONFIGURATION),
        (LedgerUnusable("it is in use."), ExitCode.DATABASE_UNUSABLE),
        (Stop("enough.", 7), 7),
    ],
)
def test_an_expected_failure_is_a_line_and_an_exit_code(error: Exception, exit_code: int) -> None:
    """Whatever nurseries it came through, and whatever they cancelled on its way."""

    async def fail() -> None:
        async with trio.open_nursery() as outer, trio.open_nursery() as inner:
            outer.start_soon(trio.sleep_forever)
            inner.start_soon(trio.sleep_forever)
            raise error

    with pytest.raises(Stop) as stopped:
        run(fail)
    assert stopped.value.exit_code == exit_code
    assert "\n" not in stopped.value.message


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "no terminal")])
def test_whoever_leaves_needs_no_explanation(error: BaseException) -> None:
    """Ctrl-C and a terminal that was closed end a command without a word."""
    assert isinstance(ending_of(BaseExceptionGroup("", [error])), click.Abort)


def test_a_bug_stays_what_it_is() -> None:
    """An error that nobody expected is not dressed up."""
    bug = ExceptionGroup("", [LookupError()])
    assert ending_of(bug) is bug


def test_a_result_is_handed_on() -> None:
    """What `main` returns is what `run` returns."""

    async def answer() -> int:
        await trio.lowlevel.checkpoint()
        return 42

    assert run(answer) == 42
