"""How errors become ends of a command."""

from __future__ import annotations

import errno

import click
import msgspec
import pytest
import trio

from agentspace.client import (
    ConnectError,
    ConnectionLost,
    GatewayError,
    MessageTooLarge,
    NoAnswer,
)
from agentspace.messages import ErrorMessage
from gateway.cli.exit_codes import FAILED
from gateway.cli.failures import wants_json
from gateway.cli.options import Stop
from gateway.cli.running import ending_of, run
from gateway.cli.views.wording import in_words
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


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (ConnectError("refused", "nobody is there.", passes=True), "NO_CONNECTION", True),
        (ConnectError("address", "that is none."), "NO_CONNECTION", False),
        (ConnectError("token", "not this one."), "UNAUTHORIZED", False),
        (ConnectionLost("it is gone"), "CONNECTION_LOST", True),
        (NoAnswer("it is silent"), "NO_ANSWER", True),
        (MessageTooLarge(2_000, 1_000), "INVALID_MESSAGE", False),
        (ConfigError("a bad value."), "BAD_CONFIGURATION", False),
        (LedgerUnusable("it is in use."), "DATABASE_UNUSABLE", False),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "half"), "BAD_USAGE", False),
        (Stop("a mistake.", ExitCode.BUG), "INTERNAL_ERROR", False),
        (Stop("enough.", 7), "FAILED", False),
    ],
)
def test_a_failure_has_a_code_for_programs(error: Exception, code: str, retryable: bool) -> None:
    """And whether the same command may succeed later."""
    stop = ending_of(error)
    assert isinstance(stop, Stop)
    assert (stop.code, stop.retryable, stop.answer) == (code, retryable, None)


@pytest.mark.parametrize(
    "error", [GatewayError(NO_KEY), errors.GatewayError("NO_API_KEY", "There is none.")]
)
def test_what_the_gateway_says_is_kept_as_the_wire_has_it(error: Exception) -> None:
    """Its own error, or one of its parts in this process."""
    stop = ending_of(error)
    assert isinstance(stop, Stop)
    assert msgspec.to_builtins(stop.answer) == msgspec.to_builtins(NO_KEY)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Try again.", "Try again."),
        ("It is `none`: try again.", "It is `none`: try again."),
        ("`since`: a date of ISO 8601.", "since: a date of ISO 8601."),
        ("`turnId`: Expected `str` matching regex '^a\nb$'", "No turn is spelled like that."),
    ],
)
def test_a_message_for_programs_has_words_for_people(message: str, words: str) -> None:
    """Fields of the protocol are flags here."""
    assert in_words(message) == words


@pytest.mark.parametrize(
    ("line", "wants"),
    [
        ("usage --json", True),
        ("--json", True),
        ("chat hi", False),
        ("chat -- --json", False),
        ("chat --json -- hi", True),
    ],
)
def test_a_command_line_asks_for_json(line: str, wants: bool) -> None:
    """After `--` there are only words."""
    assert wants_json(line.split()) == wants


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
