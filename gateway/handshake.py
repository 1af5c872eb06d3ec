"""Who may connect: a pure judgement of the request's head, before a WebSocket is made of it.

wsproto trips over bytes that it does not expect and tells nothing of the Host, so the head is read
here first, with h11, and handed on only when it is in order.
"""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlsplit

import h11
import msgspec

from protocol.codec import CODECS

PATH: Final = "/gateway"
LONGEST_HEAD: Final = 16_384
"""Bytes of a request's head; browsers send well under 8 KiB."""

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

    def response(self) -> bytes:
        """The HTTP response, after which the connection is closed."""
        connection = h11.Connection(h11.SERVER)
        body = f"{self.reason}\n".encode()
        headers = [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        if self.status is HTTPStatus.UPGRADE_REQUIRED:
            headers.append(("upgrade", "websocket"))
        start = h11.Response(
            status_code=self.status, headers=headers, reason=self.status.phrase.encode()
        )
        parts = [connection.send(start), connection.send(h11.Data(body))]
        return b"".join(part for part in parts if part)


class Admission(msgspec.Struct, frozen=True):
    """The request is in order; `subprotocol` is the one to speak, `None` when none was asked."""

    subprotocol: str | None


def parse_head(data: bytes) -> h11.Request | Refusal:
    """The request at the beginning of `data`; what follows its head is not looked at."""
    head, end, _ = data.partition(b"\r\n\r\n")
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST_HEAD)
    try:
        head.decode("ascii")
        connection.receive_data(head + end)
        event = connection.next_event()
    except (h11.RemoteProtocolError, UnicodeDecodeError):
        event = None
    if isinstance(event, h11.Request):
        return event
    return Refusal(HTTPStatus.BAD_REQUEST, "This is no HTTP/1.1 request that can be read.")


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
    """By name in lower case; a header that is repeated is joined, as its list would be."""
    headers: dict[str, str] = {}
    for name, value in request.headers:
        key, text = name.decode("ascii"), value.decode("ascii")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _host_name(host: str) -> str:
    """The name in a Host header, without its port and brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
