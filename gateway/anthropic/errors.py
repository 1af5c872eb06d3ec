"""The provider's failures as ours: the one place that knows the SDK's exceptions.

Its exceptions carry the request, key included: nothing of them is passed on but a status, a type,
a code, the id of the request, hints on when to try again, and a short explanation.
"""

from __future__ import annotations

import re
import time

import anthropic
import httpx2
import msgspec

from gateway.anthropic.bodies import BodyTooLong, UnreadableBody
from gateway.outbound import is_untrusted
from protocol.errors import ProviderError
from protocol.provider.events import StreamError
from protocol.provider.hints import retry_after_ms, should_retry
from protocol.provider.rejections import Rejection, meaning

_SECRET = re.compile(r"sk-[A-Za-z0-9_-]{6,}")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_EXPLANATION_LENGTH = 240
_SHORTEST_KEY = 6
"""Characters: a shorter one may be a word of any text."""
_NAME_LENGTH = 64
_HUNG_UP = (httpx2.ReadError, httpx2.RemoteProtocolError)


def provider_error(error: Exception) -> ProviderError:
    """What `error`, raised by the SDK or by its HTTP layer, means."""
    if isinstance(error.__cause__, BodyTooLong | UnreadableBody):  # the SDK wraps what is below it
        error = error.__cause__
    match error:
        case BodyTooLong():
            return ProviderError(
                "LLM_ERROR",
                "The provider sends more than an answer may have, and was cut off. What came is "
                "kept; if it happens again, check the base address.",
            )
        case UnreadableBody():
            return ProviderError(
                "LLM_ERROR",
                "The provider's address packs its answers in a way that was not asked for. Correct "
                "the base address, or what stands in between.",
            )
        case anthropic.APITimeoutError() | httpx2.TimeoutException():
            return ProviderError(
                "LLM_TIMEOUT", "The provider did not answer in time. Send again.", retryable=True
            )
        case anthropic.APIStatusError():
            return _status_error(error)
        case anthropic.APIConnectionError() | httpx2.ConnectError() if is_untrusted(error):
            return ProviderError(
                "LLM_ERROR",
                "The certificate at the provider's address is not trusted. If a proxy stands in "
                "between, name its certificates in SSL_CERT_FILE, and start the gateway anew.",
            )
        case anthropic.APIConnectionError() if isinstance(error.__cause__, httpx2.ProxyError):
            return ProviderError(
                "LLM_ERROR",
                "The proxy does not let the gateway through to the provider. Check HTTPS_PROXY, "
                "HTTP_PROXY and ALL_PROXY, and what the proxy allows.",
                retryable=True,
            )
        case anthropic.APIConnectionError() if isinstance(error.__cause__, _HUNG_UP):
            return ProviderError(
                "LLM_ERROR",
                "The connection to the provider broke before its answer began. Send again; if it "
                "happens again, check the base address, and what stands in between.",
                retryable=True,
            )
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


REQUEST_ID = "request-id"
"""The header in which the provider tells how it calls the request."""


def request_id(told: object) -> str | None:
    """The provider's id of a request, if what it has told is one."""
    return told if isinstance(told, str) and _REQUEST_ID.fullmatch(told) else None


def _status_error(error: anthropic.APIStatusError) -> ProviderError:
    headers = error.response.headers
    meant = meaning(_rejection(error))
    failure = meant.failure
    told = should_retry(headers)
    if told is not None:
        failure = msgspec.structs.replace(failure, retryable=told)
    if meant.failure.retryable or told:
        failure = msgspec.structs.replace(
            failure, retry_after_ms=retry_after_ms(headers, time.time())
        )
    in_body = error.body.get("request_id") if isinstance(error.body, dict) else None
    meant.failure = failure.of_request(request_id(headers.get(REQUEST_ID)) or request_id(in_body))
    return meant


def _rejection(error: anthropic.APIStatusError) -> Rejection:
    status, key = error.status_code, _key_of(error.request)
    match error.body:
        case {"error": {"message": str(message), **more}}:
            details = more.get("details")
            cause = details.get("error_code") if isinstance(details, dict) else None
            return Rejection(status, _name(more.get("type")), _name(cause), _clean(message, key))
        case {"error": str(message)} | {"message": str(message)}:  # other gateways say it so
            return Rejection(status, words=_clean(message, key))
    return Rejection(status)


def clean(event: StreamError, request: httpx2.Request) -> StreamError:
    """The error of a stream with its explanation as that of a status is passed on."""
    words = _clean(event.error.message, _key_of(request))
    return StreamError(msgspec.structs.replace(event.error, message=words))


def _key_of(request: httpx2.Request) -> str:
    """The key that the request was sent with, if it has one."""
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def _clean(text: str, key: str) -> str:
    """An explanation without the key, which some gateways quote, or anything that looks like one.

    It is on one line. Whatever is cut off is cut off last: half a key would not be found.
    """
    text = _UNPRINTABLE.sub(" ", text)
    if len(key) >= _SHORTEST_KEY:
        text = text.replace(key, "…")
    return _SECRET.sub("sk-…", text)[:_EXPLANATION_LENGTH]


def _name(value: object) -> str:
    return value[:_NAME_LENGTH] if isinstance(value, str) else ""
