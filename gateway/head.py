"""The head of a request: how far it is read, and which part of it cannot be.

h11 reads it. h11's own words for a fault repeat bytes of the request; a reason goes to the peer and
to the log, so it is one of the few texts here.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import h11

from gateway.refusals import Refusal

LONGEST_HEAD: Final = 16_384
"""Bytes of a request's head, its empty line among them; browsers send well under 8 KiB."""

END: Final = b"\r\n\r\n"
"""What ends a head."""

READ: Final = {
    b"host": "Host",
    b"origin": "Origin",
    b"authorization": "Authorization",
    b"connection": "Connection",
    b"upgrade": "Upgrade",
    b"sec-websocket-key": "Sec-WebSocket-Key",
    b"sec-websocket-version": "Sec-WebSocket-Version",
    b"sec-websocket-protocol": "Sec-WebSocket-Protocol",
    b"sec-websocket-extensions": "Sec-WebSocket-Extensions",
}
"""The headers whose values are read, here or by wsproto: as h11 names them, and as people do."""

_REQUEST_LINE: Final = re.compile(rb"[!#$%&'*+.^_`|~\w-]+ [!-~]+ HTTP/[0-9]\.[0-9]")
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~\w-]+")
_FORBIDDEN: Final = re.compile(rb"[\0\v\f\r]")
"""What no header's value may have, for h11."""
_PRINTABLE: Final = re.compile(rb"[\t -~]*")

NO_REQUEST_LINE: Final = "The request line is not METHOD ADDRESS HTTP/1.1 in printable ASCII."


def is_whole(data: bytes | bytearray, looked_at: int = 0) -> bool:
    """Whether no more need be read: the head has ended, or is too long already.

    Up to `looked_at` its end was looked for before.
    """
    return data.find(END, max(0, looked_at - len(END))) >= 0 or len(data) > LONGEST_HEAD


def cut_head(data: bytes) -> bytes | Refusal:
    """The head at the beginning of `data`, with its empty line; why there is none that is taken.

    However the data came in pieces, a head of one size has one verdict.
    """
    head, end, _ = data.partition(END)
    if len(head) + len(END) > LONGEST_HEAD:
        return _bad(
            f"The request's head has more than {LONGEST_HEAD} bytes: are there many cookies?"
        )
    return head + end if end else _bad("The request ends before its head does.")


def parse_head(head: bytes) -> h11.Request | Refusal:
    """The request of a head; what is read of it is printable ASCII, and its target an address.

    What nobody reads may have any bytes (RFC 9110, 5.5): a single sign-on's proxy puts the user's
    name there (report: goauthentik/authentik 24156), and another local service a cookie.
    """
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST_HEAD)
    try:
        connection.receive_data(head)
        request = connection.next_event()
    except h11.RemoteProtocolError:
        return _bad(_fault_of_lines(head))
    assert isinstance(request, h11.Request)  # the head is whole, and a request's comes first
    fault = _fault_of_values(request)
    return request if fault is None else _bad(fault)


def is_read(name: bytes) -> bool:
    """Whether the header's value is read, here or by wsproto; h11 gives names in lower case."""
    return name in READ or name.startswith(b"sec-websocket-")


def _fault_of_values(request: h11.Request) -> str | None:
    """Which part of a request that h11 has read is not fit to be read further."""
    try:
        urlsplit(request.target.decode("ascii"))
    except ValueError:
        return NO_REQUEST_LINE
    for name, value in request.headers:
        if is_read(name) and not _PRINTABLE.fullmatch(value):
            return _not_printable(name)
    return None


def _fault_of_lines(head: bytes) -> str:
    """Which part of a head h11 has refused, and why."""
    first, *lines = (line.removesuffix(b"\r") for line in head.removesuffix(END).split(b"\n"))
    if not _REQUEST_LINE.fullmatch(first):
        return NO_REQUEST_LINE
    names = []
    for line in lines:
        if line[:1] not in (b" ", b"\t"):  # else it goes on with the header before it
            names.append(line.partition(b":")[0].lower() if b":" in line else b"")
        if not names or not _NAME.fullmatch(names[-1]):
            return "A header's line is not NAME: VALUE."
        if _FORBIDDEN.search(line):
            return _not_printable(names[-1])
    if b"host" not in names and first.endswith(b"HTTP/1.1"):
        return "The header Host is missing."
    if names.count(b"host") > 1:
        return "There is more than one header Host."
    return "The header Content-Length or Transfer-Encoding cannot be right."


def _not_printable(name: bytes) -> str:
    if not is_read(name):
        return "A header has a control character."
    return f"The header {READ.get(name, 'Sec-WebSocket-*')} is not in printable ASCII."


def _bad(reason: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, reason)
