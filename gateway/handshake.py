"""Who may connect: a pure judgement of the request's head, before a WebSocket is made of it.

wsproto trips over bytes that it does not expect and tells nothing of the Host, so the head is read
here first, with h11, and handed on only when it is in order.
"""

from __future__ import annotations

import hmac
import re
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlsplit

import h11
import msgspec

from gateway.http_reply import HttpReply
from protocol.codec import CODECS

PATH: Final = "/gateway"
LONGEST_HEAD: Final = 16_384
"""Bytes of a request's head, its empty line among them; browsers send well under 8 KiB."""

END: Final = b"\r\n\r\n"
"""What ends a head."""

_READ: Final = frozenset({b"host", b"origin", b"authorization", b"connection", b"upgrade"})
_VERSION: Final = ("sec-websocket-version", "13")
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
"""16 bytes in base64 (RFC 6455, 4.2.1)."""

TOKEN_PREFIX: Final = "agentspace.token."
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class AccessRules(msgspec.Struct, frozen=True, kw_only=True):
    """Who may connect; `token` is `None` when none is asked for. Names are in lower case."""

    token: str | None
    origins: frozenset[str]
    hosts: frozenset[str]


class Refusal(msgspec.Struct, frozen=True):
    """Why a request gets no WebSocket; `reason` is for a person."""

    status: HTTPStatus
    reason: str

    def response(self, *, is_head: bool = False) -> bytes:
        """The HTTP answer, after which the connection is closed."""
        is_upgrade = self.status is HTTPStatus.UPGRADE_REQUIRED
        headers = (("upgrade", "websocket"), _VERSION) if is_upgrade else ()
        body = f"{self.reason}\n".encode()
        return HttpReply(status=self.status, body=body, headers=headers).encode(is_head=is_head)


class Admission(msgspec.Struct, frozen=True):
    """The request is in order; `subprotocol` is the one to speak, `None` when none was asked."""

    subprotocol: str | None


def is_whole(data: bytes | bytearray, looked_at: int = 0) -> bool:
    """Whether no more need be read: the head has ended, or is too long already.

    Up to `looked_at` its end was looked for before.
    """
    return data.find(END, max(0, looked_at - len(END))) >= 0 or len(data) > LONGEST_HEAD


def parse_head(data: bytes) -> h11.Request | Refusal:
    """The request at the beginning of `data`; what follows its head is not looked at.

    However the data came in pieces, a head of one size has one verdict.
    """
    head, end, _ = data.partition(END)
    if len(head) + len(END) > LONGEST_HEAD:
        return Refusal(
            HTTPStatus.BAD_REQUEST,
            f"The request's head has more than {LONGEST_HEAD} bytes: are there many cookies?",
        )
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST_HEAD)
    try:
        connection.receive_data(head + end)
        event = connection.next_event()
        if isinstance(event, h11.Request) and _is_readable(event):
            return event
    except (h11.RemoteProtocolError, ValueError):  # of Unicode and of addresses
        pass
    return Refusal(HTTPStatus.BAD_REQUEST, "This is no HTTP/1.1 request that can be read.")


def _is_readable(request: h11.Request) -> bool:
    """Whether what is read of the request is ASCII, and its target an address.

    What nobody reads may have any bytes (RFC 9110, 5.5): a single sign-on's proxy puts the user's
    name there (report: goauthentik/authentik 24156), and another local service a cookie.
    """
    urlsplit(request.target.decode("ascii"))
    read = [value for name, value in request.headers if _is_read(name)]
    return all(value.isascii() for value in read)


def _is_read(name: bytes) -> bool:
    """Whether the header's value is read, here or by wsproto; h11 gives names in lower case."""
    return name in _READ or name.startswith(b"sec-websocket-")


def judge(request: h11.Request, rules: AccessRules, *, local_host: str) -> Admission | Refusal:
    """Whether `request` may become a WebSocket; `local_host` is the address it arrived at."""
    headers = _headers(request)
    target = urlsplit(request.target.decode("ascii"))
    if _host_name(headers.get("host", "")) not in rules.hosts | {local_host}:
        return Refusal(
            HTTPStatus.FORBIDDEN, "This Host is not one the gateway answers to (allowed_hosts)."
        )
    origin = headers.get("origin")
    if origin is not None and origin not in rules.origins:
        return Refusal(
            HTTPStatus.FORBIDDEN, "Pages of this Origin may not connect (allowed_origins)."
        )
    if target.path != PATH:
        return Refusal(HTTPStatus.NOT_FOUND, f"There is nothing here; the gateway is at {PATH}.")
    if request.method != b"GET" or "websocket" not in headers.get("upgrade", "").lower():
        return Refusal(HTTPStatus.UPGRADE_REQUIRED, "This speaks WebSocket.")
    offered = [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",")]
    if rules.token is not None:
        refusal = _check_token(headers, offered, rules.token, query=target.query)
        if refusal is not None:
            return refusal
    return Admission(next((name for name in offered if name in CODECS), None))


def check_upgrade(request: h11.Request) -> Refusal | None:
    """Why no WebSocket can be made of a request, by RFC 6455, 4.2.1; wsproto would not say it."""
    headers = _headers(request)
    if request.http_version != b"1.1":
        return Refusal(HTTPStatus.BAD_REQUEST, "A WebSocket begins with HTTP/1.1.")
    if headers.get("upgrade", "").lower() != "websocket":
        return Refusal(HTTPStatus.BAD_REQUEST, "The header Upgrade names more than websocket.")
    wanted = [name.strip().lower() for name in headers.get("connection", "").split(",")]
    if "upgrade" not in wanted:
        return Refusal(
            HTTPStatus.BAD_REQUEST,
            "The header Connection does not say Upgrade: a proxy in between must pass it on.",
        )
    if not _KEY.fullmatch(headers.get("sec-websocket-key", "")):
        return Refusal(HTTPStatus.BAD_REQUEST, "The header Sec-WebSocket-Key is missing or wrong.")
    version = headers.get("sec-websocket-version")
    if version != "13":
        status = HTTPStatus.UPGRADE_REQUIRED if version else HTTPStatus.BAD_REQUEST
        return Refusal(status, "The header Sec-WebSocket-Version is to be 13.")
    return None


def _check_token(
    headers: dict[str, str], offered: list[str], token: str, *, query: str
) -> Refusal | None:
    if "token" in parse_qs(query, keep_blank_values=True):
        # Addresses end up in logs and histories.
        return Refusal(
            HTTPStatus.UNAUTHORIZED, "A token in the address is refused: send it as a header."
        )
    shown = [name.removeprefix(TOKEN_PREFIX) for name in offered if name.startswith(TOKEN_PREFIX)]
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        shown.append(credentials.strip())
    if any(hmac.compare_digest(one, token) for one in shown):
        return None
    return Refusal(
        HTTPStatus.UNAUTHORIZED,
        "The token is missing or wrong. `agentspace token` shows it.",
    )


def _headers(request: h11.Request) -> dict[str, str]:
    """Those that are read; one that is repeated is joined, as its list would be."""
    headers: dict[str, str] = {}
    for name, value in request.headers:
        if not _is_read(name):
            continue
        key, text = name.decode("ascii"), value.decode("ascii")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _host_name(host: str) -> str:
    """The name in a Host header, without its port and brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
