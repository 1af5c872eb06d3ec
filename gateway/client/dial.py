"""Finding the gateway: from an address to an open WebSocket, or one line that says why not.

The stream is ours, and whoever dials closes it: after the other side's goodbye the library leaves
it open.
"""

from __future__ import annotations

import ssl
from http import HTTPStatus
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec
import trio
from trio_websocket import (
    ConnectionRejected,
    ConnectionTimeout,
    HandshakeError,
    WebSocketConnection,
    wrap_client_stream,
)

from protocol.codec import JSON

CONNECT_SECONDS: Final = 10.0
LONGEST_FRAME: Final = 256 * 1024 * 1024
"""Bytes; an inspection carries the text of a whole context."""

_PORTS: Final = {"ws": 80, "wss": 443}

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class ConnectError(Exception):
    """No connection could be made; the text is one line, for a person."""


class Target(msgspec.Struct, frozen=True):
    """Where a gateway is, and what opens it."""

    url: str
    token: str | None

    def __repr__(self) -> str:
        return f"Target({self.url!r})"


async def dial(target: Target) -> Stream:
    """A stream to the gateway's host. Raises ConnectError."""
    address = _address(target)
    host, port = str(address.hostname), address.port or _PORTS[address.scheme]
    try:
        with trio.fail_after(CONNECT_SECONDS):
            if address.scheme == "ws":
                return await trio.open_tcp_stream(host, port)
            return await _dial_tls(host, port)
    except (OSError, trio.TooSlowError, trio.BrokenResourceError, UnicodeError) as error:
        raise unreachable(target) from error


async def _dial_tls(host: str, port: int) -> Stream:
    stream = await trio.open_ssl_over_tcp_stream(
        host, port, ssl_context=ssl.create_default_context(), https_compatible=True
    )
    await stream.do_handshake()
    return stream


async def shake_hands(
    nursery: trio.Nursery, stream: Stream, target: Target
) -> WebSocketConnection | ConnectError:
    """Make a WebSocket of the stream. A refusal is raised into the nursery by the library."""
    address = _address(target)
    headers = [(b"Authorization", b"Bearer " + target.token.encode())] if target.token else []
    try:
        with trio.fail_after(CONNECT_SECONDS):
            return await wrap_client_stream(
                nursery,
                stream,
                address.netloc,
                f"{address.path or '/'}{'?' if address.query else ''}{address.query}",
                subprotocols=[JSON.subprotocol],
                extra_headers=headers,
                max_message_size=LONGEST_FRAME,
            )
    except (OSError, HandshakeError, ConnectionTimeout, trio.TooSlowError):
        return unreachable(target)


def _address(target: Target) -> SplitResult:
    try:
        address = urlsplit(target.url)
        is_good = address.scheme in _PORTS and address.hostname and address.port != 0
    except ValueError:
        address, is_good = SplitResult("", "", "", "", ""), False
    if not is_good:
        raise ConnectError(f"{target.url} is no address of a gateway: give ws://HOST:PORT/gateway.")
    return address


def unreachable(target: Target) -> ConnectError:
    """Nobody is there, or nobody who speaks WebSocket."""
    return ConnectError(
        f"no gateway answers at {target.url}. Start one with `agentspace serve`, or try "
        "`agentspace demo`."
    )


def rejection(target: Target, error: ConnectionRejected) -> ConnectError:
    """The gateway said no: what to do about it."""
    if error.status_code == HTTPStatus.UNAUTHORIZED:
        return ConnectError(
            f"the gateway at {target.url} does not take this token: set AGENTSPACE_TOKEN, or "
            "--data-dir to the gateway's own data folder."
        )
    said = (error.body or b"").decode("utf-8", "replace").strip()
    reason = said if said.isprintable() and said else "it gives no reason."
    return ConnectError(f"{target.url} refuses the connection ({error.status_code}): {reason}")
