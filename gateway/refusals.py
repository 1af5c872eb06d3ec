"""What a refused request is told, and what is logged of it: each kind once, then a sum a minute.

A client that comes back with a wrong token does so many times a second; and what is remembered of
peers must not grow with their number. A kind is a peer and a reason. The first of a kind is told at
once, further ones are counted, and a kind that was quiet for a minute is forgotten. When there are
too many kinds, further peers are one.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec

from gateway.http_reply import HttpReply

PERIOD_SECONDS: Final = 60.0
"""How often the sums are to be asked for."""

MOST_KINDS: Final = 64
OTHERS: Final = "other peers"


class Refusal(msgspec.Struct, frozen=True):
    """Why a request gets no WebSocket; `reason` is for a person."""

    status: HTTPStatus
    reason: str

    def response(self, *, is_head: bool = False) -> bytes:
        """The HTTP answer, after which the connection is closed."""
        is_upgrade = self.status is HTTPStatus.UPGRADE_REQUIRED
        headers = (("upgrade", "websocket"), ("sec-websocket-version", "13")) if is_upgrade else ()
        body = f"{self.reason}\n".encode()
        return HttpReply(status=self.status, body=body, headers=headers).encode(is_head=is_head)


class Refusals:
    """Counts refusals. Reasons are texts of our own, of which there are few."""

    def __init__(self, most: int = MOST_KINDS) -> None:
        self._most = most
        self._repeated: dict[tuple[str, str], int] = {}

    def note(self, peer: str, reason: str) -> str | None:
        """Count one more; the line to log if it is the first of its kind."""
        kind = (peer, reason)
        if kind not in self._repeated and len(self._repeated) >= self._most:
            kind = (OTHERS, reason)
        if kind in self._repeated:
            self._repeated[kind] += 1
            return None
        self._repeated[kind] = 0
        return f"a request of {kind[0]} was refused: {reason}"

    def sums(self) -> list[str]:
        """The lines to log of what was only counted since the last call."""
        again = {kind: count for kind, count in self._repeated.items() if count}
        self._repeated = dict.fromkeys(again, 0)
        return [
            f"… and {count} more in the last minute: requests of {peer} were refused: {reason}"
            for (peer, reason), count in again.items()
        ]
