"""One short HTTP reply, after which the connection is closed."""

from __future__ import annotations

from http import HTTPStatus

import h11
import msgspec

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


class HttpReply(msgspec.Struct, frozen=True, kw_only=True):
    """A status and a body of the type `kind`; `headers` come on top of what every answer has."""

    status: HTTPStatus
    body: bytes
    kind: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()

    def encode(self, *, is_head: bool = False) -> bytes:
        """The bytes to send; to a HEAD request without the body (RFC 9110, 9.3.2)."""
        connection = h11.Connection(h11.SERVER)
        start = h11.Response(
            status_code=self.status,
            reason=self.status.phrase.encode(),
            headers=[
                ("content-type", self.kind),
                ("content-length", str(len(self.body))),
                ("cache-control", "no-store"),
                ("connection", "close"),
                *self.headers,
            ],
        )
        head = connection.send(start) or b""
        return head if is_head else head + self.body
