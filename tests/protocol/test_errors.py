"""Failures: as data, raised, and by number."""

from typing import get_args

import msgspec
import pytest
from hypothesis import given

from protocol.errors import (
    CloseCode,
    ErrorCode,
    ExitCode,
    Failure,
    GatewayError,
    InvalidMessage,
    LedgerUnavailable,
    ProviderError,
)
from tests.protocol.strategies import values


@given(values(Failure))
def test_a_failure_can_be_raised_and_caught_again(failure: Failure) -> None:
    """What crosses a mailbox is what was raised on the other side."""
    error = GatewayError.of(failure)
    assert error.failure == failure
    assert str(error) == f"{failure.code}: {failure.told}"
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(error.failure), type=Failure) == failure


def test_an_invalid_message_may_know_its_request() -> None:
    """It is the client's mistake: trying again does not help."""
    error = InvalidMessage("No.", request_id="r")
    assert (error.request_id, InvalidMessage("No.").request_id) == ("r", None)
    assert error.failure == Failure(code="INVALID_MESSAGE", message="No.")


def test_an_unavailable_ledger_may_be_back() -> None:
    """It is worth another try."""
    assert LedgerUnavailable("Full.").failure.retryable


@pytest.mark.parametrize(
    "error", [InvalidMessage("x"), ProviderError("LLM_ERROR", "x"), LedgerUnavailable("x")]
)
def test_every_expected_failure_is_one_exception(error: GatewayError) -> None:
    """One tree, one `except`."""
    assert isinstance(error, GatewayError)


def test_the_error_codes_are_the_contracts() -> None:
    """All eighteen."""
    assert get_args(ErrorCode) == (
        "INVALID_MESSAGE",
        "UNAUTHORIZED",
        "STREAM_IN_PROGRESS",
        "SESSION_BUSY",
        "SESSION_NOT_FOUND",
        "REQUEST_NOT_FOUND",
        "TURN_NOT_FOUND",
        "NO_API_KEY",
        "MODEL_NOT_FOUND",
        "CONTEXT_TOO_LARGE",
        "BUDGET_EXCEEDED",
        "RATE_LIMITED",
        "OVERLOADED",
        "LLM_TIMEOUT",
        "LLM_ERROR",
        "TOOL_ERROR",
        "DRAINING",
        "INTERNAL_ERROR",
    )


def test_the_close_codes_are_the_contracts() -> None:
    """As RFC 6455 means them."""
    assert [int(code) for code in CloseCode] == [1000, 1001, 1008, 1009, 1011]


def test_the_exit_codes_are_the_contracts() -> None:
    """A parent process reads them."""
    assert [int(code) for code in ExitCode] == [0, 2, 3, 70]


def test_a_failure_of_the_provider_names_its_request() -> None:
    """Once; what is known of the request already is not changed by a later word."""
    failure = Failure(code="LLM_ERROR", message="It failed.")
    assert failure.of_request(None).told == "It failed."
    named = failure.of_request("req_1").of_request("req_2")
    assert named.told == "It failed. (The provider's request: req_1)"
