"""What a parent is told of its gateway."""

from __future__ import annotations

import signal
from typing import Final

import msgspec

from agentspace.embed.restarts import BAD_CONFIGURATION, DATABASE_UNUSABLE

MEANINGS: Final = {
    0: "it was told to stop by somebody else",
    BAD_CONFIGURATION: "the settings cannot be used, or the port is taken",
    DATABASE_UNUSABLE: "the database cannot be used",
    70: "a mistake of its own",
}
"""What the exit codes of a gateway mean that says no more than that."""


class GatewayStarted(msgspec.Struct, frozen=True):
    """A process of the gateway can serve; the first has `restarts` 0."""

    url: str
    pid: int
    restarts: int


class GatewayEnded(msgspec.Struct, frozen=True):
    """A process of the gateway ended unasked; `exit_code` is negative for a signal.

    The next one is started in `restart_seconds`; `None`: there is none, and GatewayFailed follows.
    """

    exit_code: int
    last_line: str
    restart_seconds: float | None


GatewayEvent = GatewayStarted | GatewayEnded


class GatewayFailed(Exception):
    """The gateway is gone for good.

    `exit_code` is the last process's, negative for a signal, as in `subprocess`; `last_line` is
    what it said on stderr of its end, for a person, without the token and the API key. It is empty
    when nothing was said of that.
    """

    def __init__(self, exit_code: int, last_line: str) -> None:
        reason = last_line or MEANINGS.get(exit_code, "it did not say why")
        super().__init__(f"the gateway ended {_how(exit_code)}: {reason}")
        self.exit_code = exit_code
        self.last_line = last_line


def _how(exit_code: int) -> str:
    if exit_code < 0:
        return f"by signal {-exit_code} ({signal.strsignal(-exit_code) or 'unknown'})"
    return f"with exit code {exit_code}"
