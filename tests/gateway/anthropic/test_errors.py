"""The provider's failures, as the SDK raises them."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx2
import pytest

from gateway.anthropic.errors import clean, provider_error
from protocol.errors import ProviderError
from protocol.provider.events import ErrorDetails, StreamError


def raised(status: int, body: Any, **headers: str) -> ProviderError:
    """What an answer of this status and with this body means."""
    request = httpx2.Request("POST", "https://provider.example/v1/messages")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx2.Response(status, request=request, headers=named)
    return provider_error(anthropic.APIStatusError("any", response=response, body=body))


def failure(status: int, message: str, **headers: str) -> ProviderError:
    """What an error of the provider with this explanation means."""
    error = {"type": "an_error", "message": message}
    return raised(status, {"type": "error", "error": error, "request_id": "req_body"}, **headers)


def test_a_refusal_comes_with_the_providers_explanation() -> None:
    """Short, on one line, and without anything like a key."""
    error = failure(400, "messages.1: bad\nsk-ant-abcdefgh " + "x" * 999)
    assert error.refusal is not None
    assert error.refusal.startswith("messages.1: bad sk-… xxx")
    assert len(error.refusal) == 240
    assert (error.failure.code, error.failure.retryable) == ("LLM_ERROR", False)
    assert error.refusal in error.failure.message


def test_no_error_quotes_the_key() -> None:
    """Other gateways have keys that look like nothing else, and some say which one they refuse."""
    request = httpx2.Request("POST", "https://provider.example/v1/messages")
    request.headers["authorization"] = "Bearer team-7/open.sesame"
    response = httpx2.Response(403, request=request)
    said = {"error": {"message": "The key team-7/open.sesame may not do this."}}
    error = provider_error(anthropic.APIStatusError("any", response=response, body=said))
    assert "The key … may not do this." in error.failure.message


def test_nor_does_an_error_in_a_stream() -> None:
    """It is as short, and on one line."""
    request = httpx2.Request("POST", "http://x", headers={"authorization": "Bearer open.sesame"})
    said = StreamError(ErrorDetails("not_found_error", "No\nopen.sesame, " + "x" * 9_999))
    told = clean(said, request).error
    assert told == ErrorDetails("not_found_error", f"No …, {'x' * 234}")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "prompt is too long: 2001 tokens > 2000 maximum"),
        (401, "messages.1: no key"),
        (404, "messages.1: no such model"),
        (413, "messages.1: too large"),
        (429, "messages.1: slow down"),
        (500, "messages.1: broken"),
        (529, "messages.1: overloaded"),
    ],
)
def test_what_is_no_fault_of_the_requests_form_is_no_refusal(status: int, message: str) -> None:
    """Too much, too often, without a key: another request of the same length fares no better."""
    assert failure(status, message).refusal is None


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"request_id": "req_head"}, "req_head"),
        ({}, "req_body"),
        ({"request_id": "odd id\twith blanks"}, "req_body"),
        ({"request_id": "r" * 999}, "req_body"),
    ],
)
def test_the_providers_id_of_the_request_is_in_the_error(
    headers: dict[str, str], told: str
) -> None:
    """From the header, else from the body; it is what its support asks for."""
    error = failure(500, "Internal server error", **headers)
    assert error.failure.provider_request_id == told
    assert error.failure.told.endswith(f"(The provider's request: {told})")
    assert str(error) == f"LLM_ERROR: {error.failure.told}"


@pytest.mark.parametrize(
    "body",
    [None, "<html>…</html>", [], 7, {}, {"error": None}, {"error": {"message": None}}],
)
def test_what_is_no_error_of_an_api_is_taken_for_a_page(body: Any) -> None:
    """Of a proxy, or of another server at the provider's address."""
    assert "There is no Messages API" in raised(404, body).failure.message
    assert raised(404, body).failure.provider_request_id is None


@pytest.mark.parametrize(
    "body",
    [
        {"error": "Model not found."},
        {"message": "Model not found."},
        {"error": {"type": None, "message": "Model not found.", "details": "none"}},
    ],
)
def test_errors_of_other_gateways_are_understood(body: Any) -> None:
    """They come without a type, or flat."""
    assert raised(404, body).failure.code == "MODEL_NOT_FOUND"


def test_a_code_names_the_cause() -> None:
    """Words may change."""
    error = {
        "type": "rate_limit_error",
        "message": "No more.",
        "details": {"error_code": "enforced_spend_limit_reached"},
    }
    found = raised(429, {"type": "error", "error": error}).failure
    assert (found.code, found.retryable, found.retry_after_ms) == ("RATE_LIMITED", False, None)


@pytest.mark.parametrize(("said", "retryable"), [("true", True), ("false", False)])
@pytest.mark.parametrize("status", [400, 409, 529])
def test_the_provider_says_whether_to_try_again(status: int, said: str, *, retryable: bool) -> None:
    """Whatever the status would mean without a word."""
    error = failure(status, "any", x_should_retry=said, retry_after="2")
    assert error.failure.retryable is retryable
    told = 2_000 if retryable or status != 400 else None
    assert error.failure.retry_after_ms == told


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (httpx2.ConnectError("refused"), "cannot be reached"),
        (httpx2.ReadError("reset"), "broke before its answer began"),
        (httpx2.RemoteProtocolError("no HTTP"), "broke before its answer began"),
    ],
)
def test_an_address_that_hangs_up_is_told_from_one_that_is_not_there(
    cause: Exception, words: str
) -> None:
    """The network is not to be looked at for the one, and the server not for the other."""
    request = httpx2.Request("POST", "https://provider.example/v1/messages")
    error = anthropic.APIConnectionError(request=request)
    error.__cause__ = cause
    told = provider_error(error).failure
    assert words in told.message
    assert (told.code, told.retryable) == ("LLM_ERROR", True)
