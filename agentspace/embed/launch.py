"""What a supervised gateway is started with.

Settings travel in the environment: every one has a variable, and none shows in a list of processes.
The gateway judges their values; only what the parent itself must know is read here.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from agentspace.embed import boot
from agentspace.embed.settings import GatewaySettings

COMMAND: Final = (sys.executable, "-P", str(boot.__file__))
"""`-P`: a folder `gateway` in the working folder is not the gateway."""

DRAIN_SECONDS: Final = 10.0
"""A gateway's time to drain when neither the settings nor the environment names one."""

LONGEST_SECONDS: Final = 86_400.0
KEY_VARIABLE: Final = "ANTHROPIC_API_KEY"
NOTIFY_SOCKET: Final = "NOTIFY_SOCKET"
"""Where a service tells systemd that it is ready. The service is the parent, not its gateway."""

SHORTEST_SECRET: Final = 8
"""Characters; to blot out shorter ones would only garble the text."""


class Launch:
    """Command and environment of one gateway's processes; its repr tells no secrets."""

    def __init__(
        self, settings: GatewaySettings, environ: Mapping[str, str], command: Sequence[str]
    ) -> None:
        """Raises TypeError for a name that is no setting."""
        if strange := settings.keys() - GatewaySettings.__annotations__.keys():
            raise TypeError(f"no such settings: {', '.join(sorted(strange))}")
        given = {name: _as_text(value) for name, value in settings.items()}
        chosen = {variable_of(name): value for name, value in given.items() if value}
        self.environ = {**environ, **chosen}
        self.environ.pop(NOTIFY_SOCKET, None)
        self.token = self._kept("token", secrets.token_urlsafe(32))
        self.drain_seconds = _seconds(self._kept("drain_seconds", str(DRAIN_SECONDS)))
        self.port = given.get("port") or "0"
        self._command = tuple(command)

    def _kept(self, name: str, otherwise: str) -> str:
        """The setting's value, which the gateway gets in any case: the parent relies on it."""
        variable = variable_of(name)
        self.environ[variable] = self.environ.get(variable) or otherwise
        return self.environ[variable]

    def log_as_json(self) -> None:
        """Let the gateway log in the form that `lines.log_line` reads."""
        self.environ[variable_of("log_format")] = "json"

    def arguments(self, port: str) -> list[str]:
        """The command line; port 0 takes a free one."""
        return [*self._command, "serve", "--port", port, "--stop-on-stdin-eof"]

    def without_secrets(self, line: str) -> str:
        """`line` without the token and the API key."""
        for secret in (self.token, self.environ.get(KEY_VARIABLE, "")):
            if len(secret) >= SHORTEST_SECRET:
                line = line.replace(secret, "…")
        return line


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return f"AGENTSPACE_{name.upper()}"


def _as_text(value: object) -> str:
    """A value as its variable has it; empty for one that counts as not given."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case os.PathLike():
            return str(os.fspath(value))
        case tuple() | list():
            return ",".join(map(str, value))
        case _:
            return str(value)


def _seconds(value: str) -> float:
    """The time to drain; the gateway refuses by itself what is none."""
    try:
        seconds = float(value)
    except ValueError:
        return DRAIN_SECONDS
    return seconds if 0 < seconds <= LONGEST_SECONDS else DRAIN_SECONDS
