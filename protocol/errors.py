"""Error codes, close codes, exit codes, and the one exception tree.

An expected failure travels as data (`Failure`) and is raised as `GatewayError` on the side that
asked; a bug is any other exception. Messages are written for a person: what happened, what to do,
nothing secret.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Literal, NamedTuple, Self

import msgspec

from protocol.context import SectionWeight

ErrorCode = Literal[
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
]


class CloseCode(IntEnum):
    """WebSocket close codes that the gateway sends (RFC 6455, section 7.4.1)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    POLICY = 1008
    TOO_LARGE = 1009
    INTERNAL = 1011


class ExitCode(IntEnum):
    """How the process ends; 70 is `EX_SOFTWARE` of sysexits.h."""

    DRAINED = 0
    BAD_CONFIGURATION = 2
    DATABASE_UNUSABLE = 3
    BUG = 70


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An expected failure as data: `message` is for a person, `retry_after_ms` in milliseconds."""

    code: ErrorCode
    message: str
    retryable: bool = False
    retry_after_ms: int | None = None
    turn_id: str | None = None
    sections: list[SectionWeight] | None = None
    provider_request_id: str | None = None

    @property
    def told(self) -> str:
        """The message for a client, with the id by which the provider knows the request."""
        if self.provider_request_id is None:
            return self.message
        return f"{self.message} (The provider's request: {self.provider_request_id})"

    def of_request(self, request_id: str | None) -> Failure:
        """The failure with the provider's id of the request, unless it has one."""
        named = self.provider_request_id or request_id
        return msgspec.structs.replace(self, provider_request_id=named)


class GatewayError(Exception):
    """An expected failure, raised. `failure` is what crosses mailboxes and the wire.

    `details` are the further fields of a `Failure`.
    """

    def __init__(
        self, code: ErrorCode, message: str, *, retryable: bool = False, **details: Any
    ) -> None:
        super().__init__(code, message)
        self.failure = Failure(code=code, message=message, retryable=retryable, **details)

    def __str__(self) -> str:
        return f"{self.failure.code}: {self.failure.told}"

    @classmethod
    def of(cls, failure: Failure) -> Self:
        """The exception that carries `failure`."""
        return cls(**msgspec.structs.asdict(failure))


def session_busy(turn_id: str | None) -> GatewayError:
    """The exception for a turn whose session still runs the turn `turn_id`."""
    return GatewayError(
        "SESSION_BUSY",
        "Another turn of this session is still running. Wait for its end, or resume it.",
        retryable=True,
        turn_id=turn_id,
    )


class InvalidMessage(GatewayError):
    """A client's frame that is no message; `request_id` when its id could still be read."""

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        super().__init__("INVALID_MESSAGE", message)
        self.request_id = request_id


class TooLong(NamedTuple):
    """A prompt's tokens as the provider counted them, and the most that it takes."""

    counted: int
    most: int


class ProviderError(GatewayError):
    """A failure of the provider or of the way to it, already mapped to a code of ours.

    `too_long` is there when it refused a prompt as too long, and said by how much. `refusal` is
    its explanation when it found fault with the request itself, short and without a secret. It
    `is_untold` when the provider failed (5xx) and did not say of what.
    """

    too_long: TooLong | None = None
    refusal: str | None = None
    is_untold: bool = False


class LedgerUnavailable(GatewayError):
    """The ledger cannot write now (full disk, locked file): the turn is refused or waits."""

    def __init__(self, message: str) -> None:
        super().__init__("INTERNAL_ERROR", message, retryable=True)
