"""The head of a request, written once for all requests that have the same one."""

from __future__ import annotations

import httpx2

_NO_VALUE = frozenset(b"\0\r\n")
_PER_REQUEST = (b"content-length", b"cookie")


class OutgoingHead:
    """What is sent before a body: the line and the headers of `request`, which has no body.

    Raises httpx2.LocalProtocolError for headers that would not end where they should.
    """

    def __init__(self, request: httpx2.Request) -> None:
        self.request = request
        self.headers = [
            (name, value) for name, value in request.headers.raw if name.lower() not in _PER_REQUEST
        ]
        if any(_NO_VALUE & set(name + value) for name, value in self.headers):
            raise httpx2.LocalProtocolError("a header of the request is none")
        line = b"%b %b HTTP/1.1\r\n" % (request.method.encode(), request.url.raw_path)
        self._text = line + b"".join(b"%b: %b\r\n" % header for header in self.headers)

    def before(self, body: bytes) -> bytes:
        """The head's bytes before this body."""
        return self._text + b"Content-Length: %d\r\n\r\n" % len(body)

    def with_body(self, body: bytes) -> httpx2.Request:
        """The whole request, for the HTTP library."""
        one = self.request
        return httpx2.Request(
            one.method, one.url, headers=self.headers, content=body, extensions=one.extensions
        )
