"""What a supervised gateway is started with.

Settings travel in the environment: every one has a variable, and none shows in a list of processes.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.config import load_settings, variable_of

COMMAND: Final = (sys.executable, "-P", "-m", "gateway")
"""`-P`: a folder `gateway` in the working folder is not the gateway."""

KEY_VARIABLE: Final = "ANTHROPIC_API_KEY"
SHORTEST_SECRET: Final = 8
"""Characters; to blot out shorter ones would only garble the text."""


class Launch:
    """Command and environment of one gateway's processes; its repr tells no secrets."""

    def __init__(
        self, settings: Mapping[str, object], environ: Mapping[str, str], command: Sequence[str]
    ) -> None:
        """Raises ConfigError for a bad value; TypeError for a name that is no setting."""
        known = load_settings(settings, environ)
        given = {
            name: getattr(known, name)
            for name, value in settings.items()
            if value not in (None, "", ())
        }
        self.token = known.token or secrets.token_urlsafe(32)
        self.port = known.port if "port" in given else 0
        self.drain_seconds = known.drain_seconds
        self.environ = {
            **environ,
            **{variable_of(name): _as_text(value) for name, value in given.items()},
            variable_of("token"): self.token,
        }
        self._command = tuple(command)

    def log_as_json(self) -> None:
        """Let the gateway log in the form that `lines.log_line` reads."""
        self.environ[variable_of("log_format")] = "json"

    def arguments(self, port: int) -> list[str]:
        """The command line; port 0 takes a free one."""
        return [*self._command, "serve", "--port", str(port), "--stop-on-stdin-eof"]

    def without_secrets(self, line: str) -> str:
        """`line` without the token and the API key."""
        for secret in (self.token, self.environ.get(KEY_VARIABLE, "")):
            if len(secret) >= SHORTEST_SECRET:
                line = line.replace(secret, "…")
        return line


def _as_text(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)
