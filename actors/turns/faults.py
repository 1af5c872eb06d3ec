"""How a provider's stream can fail, in words for the client.

The provider's own words are in it where no other try helps: there they say what is wrong.
"""

from __future__ import annotations

from actors.turns.turn import Turn
from protocol.errors import Failure, ProviderError
from protocol.provider.events import MalformedEvent, StreamError
from protocol.provider.rejections import FINAL_STATUS, Rejection, meaning

LONGEST_REASON = 1_000
"""Characters of the log."""

BROKE_OFF = Failure(
    code="LLM_ERROR",
    message="The provider's answer broke off before its end. What came is kept; send again.",
    retryable=True,
)
SILENT = Failure(
    code="LLM_TIMEOUT",
    message="The model has said nothing for too long. What came is kept; send again.",
    retryable=True,
)
TOO_LONG = Failure(
    code="LLM_TIMEOUT",
    message="This turn has taken longer than a turn may. What came is kept; send again to go on.",
    retryable=False,
)
_OTHER = Failure(
    code="LLM_ERROR",
    message="The provider failed in the middle of the answer. Send again.",
    retryable=True,
)
_STATUS = {**FINAL_STATUS, "invalid_request_error": 400}
_BY_TYPE = {
    "overloaded_error": Failure(
        code="OVERLOADED",
        message="The provider is overloaded. Send again in a moment.",
        retryable=True,
    ),
    "rate_limit_error": Failure(
        code="RATE_LIMITED",
        message="The provider's rate limit is reached. Wait a moment.",
        retryable=True,
    ),
    "timeout_error": Failure(
        code="LLM_TIMEOUT",
        message="The provider took too long. Send again.",
        retryable=True,
    ),
}


def malformed(error: MalformedEvent) -> Failure:
    """The failure of an answer that cannot be read on."""
    return Failure(
        code="LLM_ERROR",
        message=f"The provider sent something unreadable, and the answer broke off: {error}. Send "
        "again.",
        retryable=True,
    )


def fault(event: StreamError) -> ProviderError:
    """The failure that the provider told of in the stream.

    A type that no other try changes means the same as with a status of its own.
    """
    kind = event.error.type
    if kind in _STATUS:
        return meaning(Rejection(_STATUS[kind], kind, words=event.error.message))
    return ProviderError.of(_BY_TYPE.get(kind, _OTHER))


def log_line(turn: Turn, failure: Failure) -> str:
    """All that an operator needs of a turn that failed, on one line; no word of the client's."""
    return (
        f"turn {turn.turn_id} failed: {failure.code}: {_one_line(failure.message)} "
        f"[session {turn.session_id or '-'}, request {turn.send.id}, "
        f"provider's request {failure.provider_request_id or '-'}]"
    )


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:LONGEST_REASON])
