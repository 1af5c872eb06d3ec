"""What a parent is told of its gateway."""

from __future__ import annotations

import msgspec


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
    what it last said on stderr, for a person, without the token and the API key.
    """

    def __init__(self, exit_code: int, last_line: str) -> None:
        how = f"by signal {-exit_code}" if exit_code < 0 else f"with exit code {exit_code}"
        super().__init__(f"the gateway ended {how}: {last_line or 'it said nothing'}")
        self.exit_code = exit_code
        self.last_line = last_line
