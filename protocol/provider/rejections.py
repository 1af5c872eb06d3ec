"""What an error of the provider means, by all that it says of it and not by its status alone.

A 403 is a matter of permission, billing or region, not of a missing key. A 404 may be of the
model, of the address, or of a container or file that is gone. A 400 may say that the credit is
spent, and so may a 429. A page instead of JSON is no word of the provider at all: a proxy or
another server answers at its address.

Sources: the provider's pages on errors, on handling errors and on rate limits, November 2026. Its
words are not guaranteed to be stable: where a type or a code tells the same, that goes first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from protocol.errors import ErrorCode, ProviderError, TooLong

KEY_HINT: Final = (
    "Type `agentspace keys add anthropic`, or set ANTHROPIC_API_KEY where the gateway is started."
)
_ADDRESS_HINT: Final = "Correct the base address (`anthropic_base_url`)."


class Rejection(NamedTuple):
    """An error as it came: its HTTP `status`, and what the body says.

    `kind` is the error's type and `cause` its code, if it has one; `words` are its explanation,
    short, on one line, and without a secret.
    """

    status: int
    kind: str = ""
    cause: str = ""
    words: str = ""

    @property
    def is_page(self) -> bool:
        """Whether the body is no error of an API: a proxy or another server answers."""
        return not self.kind and not self.words

    @property
    def said(self) -> str:
        """The explanation as the rest of a sentence."""
        return f": {self.words.rstrip('. ')}." if self.words else "."


def meaning(told: Rejection) -> ProviderError:
    """What a rejection means for the client, and for the request."""
    if _is_billing(told):
        return _of_billing(told)
    if _is_too_long(told.words):
        return _too_large(told)
    status = _STATUS_OF.get(told.kind, told.status)
    return _BY_STATUS.get(status, _by_range)(told)


# --- money -------------------------------------------------------------------------------------

_SPENT: Final = frozenset(
    {
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "linked_organization_billing_unavailable",
        "linked_organization_spend_limit_reached",
    }
)
"""Codes that another try does not change (the SDK's types of error details)."""

_MONEY: Final = re.compile(
    r"credit balance|your (specified )?(workspace )?api usage limits|purchase credits",
    re.IGNORECASE,
)
_PART: Final = re.compile(r"(messages|tools|system)\b[.:]")
_BILLING: Final = re.compile(r"\b(billing|payment|credits?)\b", re.IGNORECASE)


def _is_billing(told: Rejection) -> bool:
    if told.status == 402 or told.kind == "billing_error" or told.cause in _SPENT:
        return True
    if _PART.match(told.words):  # of a part of the request, which may speak of money itself
        return False
    words = {400: _MONEY, 403: _BILLING, 429: _MONEY}.get(told.status)
    return words is not None and words.search(told.words) is not None


def _of_billing(told: Rejection) -> ProviderError:
    code: ErrorCode = "RATE_LIMITED" if told.status == 429 else "LLM_ERROR"
    return ProviderError(
        code,
        f"The provider refuses for a reason of billing ({told.status}){told.said} The key is "
        "known: look at the plan, the credit and the spend limit of its organization.",
    )


# --- the key, and what it may do ---------------------------------------------------------------

_REGION: Final = re.compile(
    r"region|countr(y|ies)|territor|location|request not allowed", re.IGNORECASE
)


def _of_key(told: Rejection) -> ProviderError:
    return ProviderError(
        "NO_API_KEY", f"The provider refuses the API key ({told.status}). {KEY_HINT}"
    )


def _of_permission(told: Rejection) -> ProviderError:
    if told.is_page:
        return ProviderError(
            "LLM_ERROR",
            "A proxy or firewall on the way to the provider refuses the request (403). Ask whoever "
            f"runs it. {_ADDRESS_HINT}",
        )
    if _REGION.search(told.words):
        return ProviderError(
            "LLM_ERROR",
            f"The provider does not serve this place or network (403){told.said} Look at its list "
            "of regions, and at the way that requests take to it.",
        )
    return ProviderError(
        "LLM_ERROR",
        f"The provider does not permit this to the key (403){told.said} Look at what its "
        "organization and workspace may use.",
    )


def _of_proxy(told: Rejection) -> ProviderError:
    return ProviderError(
        "LLM_ERROR",
        f"A proxy on the way to the provider asks for a password ({told.status}). Give it in the "
        "proxy's address.",
    )


# --- what is not there -------------------------------------------------------------------------

_GONE: Final = re.compile(r"\b(container|file|skill)s?(_\w+)?\b", re.IGNORECASE)
"""What is not there, by its kind or by its id (`container_011C…`)."""
_MODEL: Final = re.compile(r"\bmodel\b", re.IGNORECASE)


def _of_absence(told: Rejection) -> ProviderError:
    if told.is_page:
        return ProviderError(
            "LLM_ERROR",
            f"There is no Messages API at the provider's address ({told.status}). {_ADDRESS_HINT}",
        )
    if _MODEL.search(told.words):
        return ProviderError(
            "MODEL_NOT_FOUND", "The provider does not know this model. Ask for `model.list`."
        )
    if _GONE.search(told.words):
        return _refused(
            told, f"The provider does not have what the conversation refers to{told.said}"
        )
    return ProviderError(
        "LLM_ERROR",
        f"The provider has nothing there (404){told.said} Look at the model's name. "
        f"{_ADDRESS_HINT}",
    )


# --- the request -------------------------------------------------------------------------------

_PROMPT_TOO_LONG: Final = re.compile(
    r"prompt is too long: ([0-9]{1,12}) tokens > ([0-9]{1,12}) maximum"
)
_NO_ROOM_TO_ANSWER: Final = re.compile(
    r"exceed context limit: ([0-9]{1,12}) \+ ([0-9]{1,12}) > ([0-9]{1,12})"
)


def _is_too_long(words: str) -> bool:
    return "prompt is too long" in words or _too_long(words) is not None


def _too_long(words: str) -> TooLong | None:
    """The figures of a refusal: the input's tokens, and the most that it takes."""
    if found := _PROMPT_TOO_LONG.search(words):
        return TooLong(int(found[1]), int(found[2]))
    if found := _NO_ROOM_TO_ANSWER.search(words):  # older models: input and longest answer
        return TooLong(int(found[1]), int(found[3]) - int(found[2]))
    return None


def _too_large(told: Rejection) -> ProviderError:
    who = "A proxy on the way to the provider" if told.is_page else "The provider"
    error = ProviderError(
        "CONTEXT_TOO_LARGE",
        f"{who} finds this request too large. Shorten it, or begin a new session.",
    )
    error.too_long = _too_long(told.words)
    return error


def _refused(told: Rejection, message: str) -> ProviderError:
    """The provider found fault with the request itself."""
    error = ProviderError("LLM_ERROR", message)
    error.refusal = told.words
    return error


# --- what may pass -----------------------------------------------------------------------------


def _later(code: ErrorCode, what: str) -> Callable[[Rejection], ProviderError]:
    def reading(told: Rejection) -> ProviderError:
        return ProviderError(
            code, f"{what.format(status=told.status)} Send again later.", retryable=True
        )

    return reading


_FAILED: Final = _later("LLM_ERROR", "The provider failed ({status}).")
_LATE: Final = _later("LLM_TIMEOUT", "The provider did not answer in time.")
_BUSY: Final = _later("OVERLOADED", "The provider is overloaded.")
_LIMITED: Final = _later("RATE_LIMITED", "The provider's rate limit is reached.")


def _by_range(told: Rejection) -> ProviderError:
    if told.status < 400:
        return ProviderError(
            "LLM_ERROR", f"The provider's address redirects elsewhere. {_ADDRESS_HINT}"
        )
    if told.status >= 500:
        failed = _FAILED(told)
        failed.is_untold = True
        return failed
    words = told.words or f"status {told.status}"
    return _refused(told._replace(words=words), f"The provider refuses the request: {words}")


FINAL_STATUS: Final = {
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
}
"""The status of each type that no other try changes; in a stream it comes without."""

_STATUS_OF: Final = {
    **FINAL_STATUS,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Types that say more than a status; the others come with several."""

_BY_STATUS: Final[dict[int, Callable[[Rejection], ProviderError]]] = {
    401: _of_key,
    403: _of_permission,
    404: _of_absence,
    405: _of_absence,
    407: _of_proxy,
    408: _LATE,
    409: _later("LLM_ERROR", "The provider reports a conflict ({status})."),
    413: _too_large,
    429: _LIMITED,
    503: _BUSY,
    504: _LATE,
    524: _LATE,
    529: _BUSY,
}
