"""What can go wrong for a client; each text is one line, for a person, without a secret."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET

from agentspace.messages import ErrorMessage

ConnectProblem = Literal[
    "address", "dns", "refused", "unreachable", "timeout", "tls", "token", "rejected", "stranger"
]
"""Why there is no connection. `address`: that is none. `dns`: the host's name is not known.
`refused`: nobody listens there. `unreachable`, `timeout`: the network. `tls`: no trusted
certificate, or no TLS. `token`: a wrong one, or none. `rejected`: another HTTP status.
`stranger`: what answers is no gateway.
"""


class AgentSpaceError(Exception):
    """Whatever `agentspace.client` raises of its own."""


class ConnectError(AgentSpaceError):
    """No connection could be made; `passes` when another attempt may succeed."""

    def __init__(self, problem: ConnectProblem, message: str, *, passes: bool = False) -> None:
        super().__init__(message)
        self.problem = problem
        self.passes = passes


class ConnectionLost(AgentSpaceError):
    """The connection is gone, and what was to be done on it may not be done.

    `code` is the WebSocket's close code, `None` without a goodbye.
    """

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


def again(lost: ConnectionLost) -> ConnectionLost:
    """The same for somebody else: an exception that is raised twice mixes its stories."""
    return ConnectionLost(str(lost), lost.code)


class NoAnswer(AgentSpaceError):
    """The gateway is there and does not answer in time."""


class MessageTooLarge(AgentSpaceError):
    """The gateway would not take the message, so it was not sent; sizes are in bytes."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"The message has {size:,} bytes, and this gateway takes at most {limit:,}: "
            "make it shorter."
        )
        self.size = size
        self.limit = limit


class GatewayError(AgentSpaceError):
    """The gateway's refusal; `answer` is all of it, what was billed included.

    `retry_after_ms` is how long to wait before another attempt, when the gateway says so.
    """

    def __init__(self, answer: ErrorMessage) -> None:
        super().__init__(f"{answer.code}: {answer.message}")
        self.answer = answer
        self.code: str = answer.code
        self.message = answer.message
        self.retryable = answer.retryable
        self.retry_after_ms = None if answer.retry_after_ms is UNSET else answer.retry_after_ms
