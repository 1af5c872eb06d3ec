"""Who may connect: a pure judgement of a request, before a WebSocket is made of it.

wsproto trips over bytes that it does not expect and tells nothing of the Host, so the head is read
first (`head.py`), and handed on only when it is in order.
"""

from __future__ import annotations

import hmac
import re
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlsplit

import h11
import msgspec

from gateway.head import is_read
from gateway.refusals import Refusal
from protocol.codec import CODECS

PATH: Final = "/gateway"
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
"""16 bytes in base64 (RFC 6455, 4.2.1)."""

TOKEN_PREFIX: Final = "agentspace.token."
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class AccessRules(msgspec.Struct, frozen=True, kw_only=True):
    """Who may connect; `token` is `None` when none is asked for. Names are in lower case."""

    token: str | None
    origins: frozenset[str]
    hosts: frozenset[str]


class Admission(msgspec.Struct, frozen=True):
    """The request is in order; `subprotocol` is the one to speak, `None` when none was asked."""

    subprotocol: str | None


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
        if not is_read(name):
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
