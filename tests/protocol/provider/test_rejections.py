"""What an error of the provider means, by all that it says of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import TooLong
from protocol.provider.rejections import Rejection, meaning

LOW = (
    "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to "
    "upgrade or purchase credits."
)
SPENT = (
    "You have reached your API usage limits: your organization has crossed its monthly API usage "
    "threshold. You will regain access on 2026-12-01 at 00:00 UTC."
)
OWN_LIMIT = "You have reached your specified workspace API usage limits."
PERMISSION = "permission_error"
NOT_FOUND = "not_found_error"
INVALID = "invalid_request_error"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (Rejection(401, "authentication_error", "", "invalid x-api-key"), "refuses the API key"),
        (Rejection(401), "refuses the API key"),
        (Rejection(400, "authentication_error", "", "expired"), "refuses the API key"),
    ],
)
def test_a_key_that_is_refused_is_named_as_the_cause(told: Rejection, words: str) -> None:
    """With what to do about it."""
    failure = meaning(told).failure
    assert failure.code == "NO_API_KEY"
    assert words in failure.message
    assert "agentspace keys add" in failure.message


@pytest.mark.parametrize(
    "told",
    [
        Rejection(402, "billing_error", "", "Payment failed"),
        Rejection(402),
        Rejection(400, INVALID, "", LOW),
        Rejection(400, INVALID, "", OWN_LIMIT),
        Rejection(403, PERMISSION, "", "Your organization's billing is on hold."),
        Rejection(403, "billing_error", "", "No plan."),
    ],
)
def test_money_is_no_fault_of_the_key_nor_of_the_request(told: Rejection) -> None:
    """Another key does not help, and the request is not made anew."""
    error = meaning(told)
    assert (error.failure.code, error.failure.retryable) == ("LLM_ERROR", False)
    assert "a reason of billing" in error.failure.message
    assert told.words.rstrip(".") in error.failure.message
    assert error.refusal is None


@pytest.mark.parametrize("cause", ["enforced_spend_limit_reached", ""])
def test_a_spent_month_is_a_limit_that_no_waiting_helps(cause: str) -> None:
    """It comes as a 429 without a hint: asking again fails until the next month."""
    failure = meaning(Rejection(429, "rate_limit_error", cause, SPENT)).failure
    assert (failure.code, failure.retryable) == ("RATE_LIMITED", False)
    assert "regain access on 2026-12-01" in failure.message


def test_a_request_that_speaks_of_money_is_still_a_bad_request() -> None:
    """The provider quotes a part of it."""
    error = meaning(Rejection(400, INVALID, "", "tools.0.name: 'credit balance' is no name"))
    assert error.refusal == "tools.0.name: 'credit balance' is no name"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (Rejection(403, PERMISSION, "", "No access to this beta."), "this beta. Look at what its"),
        (Rejection(403, PERMISSION), "does not permit this to the key (403). Look"),
        (Rejection(403, "forbidden", "", "Request not allowed"), "does not serve this place"),
        (Rejection(403, PERMISSION, "", "Unsupported region"), "does not serve this place"),
        (Rejection(403), "A proxy or firewall on the way"),
        (Rejection(407), "A proxy on the way to the provider asks for a password"),
        (Rejection(302), "redirects elsewhere. Correct the base address"),
        (Rejection(404), "There is no Messages API at the provider's address (404). Correct"),
        (Rejection(405), "There is no Messages API at the provider's address (405). Correct"),
        (Rejection(404, NOT_FOUND, "", "Not found"), "has nothing there (404): Not found. Look"),
    ],
)
def test_what_is_in_the_way_is_named(told: Rejection, words: str) -> None:
    """Permission, region, a proxy, the address: none of them is the key or the model."""
    error = meaning(told)
    assert (error.failure.code, error.failure.retryable) == ("LLM_ERROR", False)
    assert words in error.failure.message
    assert error.refusal is None


@pytest.mark.parametrize(
    "told",
    [
        Rejection(404, NOT_FOUND, "", "model: claude-nobody-9"),
        Rejection(404, "", "", "Model not found."),
    ],
)
def test_a_model_that_is_not_there_is_named_so(told: Rejection) -> None:
    """Where the provider, or another gateway, speaks of the model."""
    assert meaning(told).failure.code == "MODEL_NOT_FOUND"


@pytest.mark.parametrize(
    "words", ["Container not found: container_1", "container_1 not found", "file_1 is gone"]
)
def test_what_the_conversation_refers_to_and_is_gone_is_no_model(words: str) -> None:
    """The request itself is at fault, and may be made without it."""
    error = meaning(Rejection(404, NOT_FOUND, "", words))
    assert (error.failure.code, error.refusal) == ("LLM_ERROR", words)
    assert words in error.failure.message


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (
            Rejection(400, INVALID, "", "prompt is too long: 2001 tokens > 2000 maximum"),
            TooLong(2_001, 2_000),
        ),
        (
            Rejection(400, INVALID, "", "max_tokens exceed context limit: 1900 + 200 > 2000"),
            TooLong(1_900, 1_800),
        ),
        (Rejection(400, INVALID, "", "prompt is too long"), None),
        (Rejection(413, "request_too_large"), None),
        (Rejection(413), None),
    ],
)
def test_what_is_too_large_says_by_how_much(told: Rejection, found: TooLong | None) -> None:
    """If the provider does; a proxy has a limit of its own, in bytes."""
    error = meaning(told)
    assert (error.failure.code, error.too_long) == ("CONTEXT_TOO_LARGE", found)
    assert error.failure.message.startswith("A proxy" if told.is_page else "The provider finds")


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (Rejection(429, "rate_limit_error", "", "Slow down."), "RATE_LIMITED"),
        (Rejection(503), "OVERLOADED"),
        (Rejection(529, "overloaded_error"), "OVERLOADED"),
        (Rejection(500, "overloaded_error"), "OVERLOADED"),
        (Rejection(408), "LLM_TIMEOUT"),
        (Rejection(524), "LLM_TIMEOUT"),
        (Rejection(500, "timeout_error"), "LLM_TIMEOUT"),
        (Rejection(500, "api_error"), "LLM_ERROR"),
        (Rejection(502), "LLM_ERROR"),
        (Rejection(409, "conflict_error"), "LLM_ERROR"),
    ],
)
def test_what_may_pass_can_be_tried_again(told: Rejection, code: str) -> None:
    """Whoever answers, the provider or a proxy before it."""
    failure = meaning(told).failure
    assert (failure.code, failure.retryable) == (code, True)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (Rejection(400, INVALID, "", "messages.1: bad"), "messages.1: bad"),
        (Rejection(422, INVALID, "", "no"), "no"),
        (Rejection(400), "status 400"),
    ],
)
def test_what_finds_fault_with_the_request_is_a_refusal(told: Rejection, words: str) -> None:
    """It may be made anew."""
    error = meaning(told)
    assert (error.failure.code, error.refusal) == ("LLM_ERROR", words)
    assert error.failure.message == f"The provider refuses the request: {words}"


@given(st.integers(300, 599), st.text(max_size=20), st.text(max_size=20), st.text(max_size=60))
def test_whatever_is_told_has_a_meaning(status: int, kind: str, cause: str, words: str) -> None:
    """In words for a person."""
    assert meaning(Rejection(status, kind, cause, words)).failure.message
