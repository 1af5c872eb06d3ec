"""The provider's failures as ours: the one place that knows the SDK's exceptions.

Its exceptions carry the request, key included: nothing of them is passed on but a status, a type
and, for a request that the provider calls invalid, its own short explanation.
"""

from __future__ import annotations

import re
import time

import anthropic
import httpx2
import msgspec

from protocol.errors import ErrorCode, ProviderError, TooLong
from protocol.provider.hints import retry_after_ms, should_retry

_SECRET = re.compile(r"sk-[A-Za-z0-9_-]{6,}")
_PROMPT_TOO_LONG = re.compile(r"prompt is too long: ([0-9]{1,12}) tokens > ([0-9]{1,12}) maximum")
_NO_ROOM_TO_ANSWER = re.compile(
    r"exceed context limit: ([0-9]{1,12}) \+ ([0-9]{1,12}) > ([0-9]{1,12})"
)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_EXPLANATION_LENGTH = 240

KEY_HINT = (
    "Type `agentspace keys add anthropic`, or set ANTHROPIC_API_KEY where the gateway is started."
)


def provider_error(error: Exception) -> ProviderError:
    """What `error`, raised by the SDK or by its HTTP layer, means."""
    match error:
        case anthropic.APITimeoutError() | httpx2.TimeoutException():
            return ProviderError(
                "LLM_TIMEOUT", "The provider did not answer in time. Send again.", retryable=True
            )
        case anthropic.APIStatusError():
            return _status_error(error)
        case anthropic.APIConnectionError() | httpx2.ConnectError():
            return ProviderError(
                "LLM_ERROR",
                "The provider cannot be reached. Check the network and the base address.",
                retryable=True,
            )
    return ProviderError(
        "LLM_ERROR",
        "The connection to the provider broke in the middle of the answer. What came is kept; "
        "send again.",
        retryable=True,
    )


def _status_error(error: anthropic.APIStatusError) -> ProviderError:
    meant = _meaning(error)
    told = should_retry(error.response.headers)
    if told is None or told == meant.failure.retryable:
        return meant
    changed = ProviderError.of(msgspec.structs.replace(meant.failure, retryable=told))
    changed.too_long, changed.refusal = meant.too_long, meant.refusal
    return changed


def _meaning(error: anthropic.APIStatusError) -> ProviderError:
    status = error.status_code
    explanation = _explanation(error)
    if status in (401, 403):
        return ProviderError(
            "NO_API_KEY",
            f"The provider refuses the API key ({status}). {KEY_HINT}",
        )
    if status == 404:
        return ProviderError(
            "MODEL_NOT_FOUND", "The provider does not know this model. Ask for `model.list`."
        )
    too_long = _too_long(explanation)
    if status == 413 or too_long is not None or "prompt is too long" in explanation:
        return _too_large(too_long)
    if status == 429:
        return _later("RATE_LIMITED", "The provider's rate limit is reached.", error)
    if status in (503, 529):
        return _later("OVERLOADED", "The provider is overloaded.", error)
    if status in (408, 504):
        return _later("LLM_TIMEOUT", "The provider did not answer in time.", error)
    if status >= 500:
        return _later("LLM_ERROR", f"The provider failed ({status}).", error)
    if status < 400:
        return ProviderError(
            "LLM_ERROR", "The provider's address redirects elsewhere; correct the base address."
        )
    refused = ProviderError("LLM_ERROR", f"The provider refuses the request: {explanation}")
    refused.refusal = explanation
    return refused


def _too_long(explanation: str) -> TooLong | None:
    """The figures of a refusal: the input's tokens, and the most that it takes."""
    if found := _PROMPT_TOO_LONG.search(explanation):
        return TooLong(int(found[1]), int(found[2]))
    if found := _NO_ROOM_TO_ANSWER.search(explanation):  # older models: input and longest answer
        return TooLong(int(found[1]), int(found[3]) - int(found[2]))
    return None


def _too_large(too_long: TooLong | None) -> ProviderError:
    error = ProviderError(
        "CONTEXT_TOO_LARGE",
        "The provider finds this request too large. Shorten it, or begin a new session.",
    )
    error.too_long = too_long
    return error


def _later(code: ErrorCode, what: str, error: anthropic.APIStatusError) -> ProviderError:
    wait = retry_after_ms(error.response.headers, time.time())
    return ProviderError(code, f"{what} Send again later.", retryable=True, retry_after_ms=wait)


def _explanation(error: anthropic.APIStatusError) -> str:
    match error.body:
        case {"error": {"message": str(message)}}:
            text = _SECRET.sub("sk-…", _UNPRINTABLE.sub(" ", message))
            return text[:_EXPLANATION_LENGTH]
    return f"status {error.status_code}"
