"""The provider's failures, as the SDK raises them."""

from __future__ import annotations

import anthropic
import httpx2
import pytest

from gateway.anthropic.errors import provider_error
from protocol.errors import ProviderError


def failure(status: int, message: str) -> ProviderError:
    """What an answer of this status means."""
    request = httpx2.Request("POST", "https://provider.example/v1/messages")
    response = httpx2.Response(status, request=request)
    body = {"type": "error", "error": {"type": "an_error", "message": message}}
    return provider_error(anthropic.APIStatusError(message, response=response, body=body))


def test_a_refusal_comes_with_the_providers_explanation() -> None:
    """Short, on one line, and without anything like a key."""
    error = failure(400, "messages.1: bad\nsk-ant-abcdefgh " + "x" * 999)
    assert error.refusal is not None
    assert error.refusal.startswith("messages.1: bad sk-… xxx")
    assert len(error.refusal) == 240
    assert (error.failure.code, error.failure.retryable) == ("LLM_ERROR", False)
    assert error.failure.message.endswith(error.refusal)


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
