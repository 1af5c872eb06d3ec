"""From an address to an open WebSocket on a socket that does not block."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import msgspec
import trio
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.protocol import State
from websockets.typing import Subprotocol

from agentspace.client.address import address_of, shown
from agentspace.client.connection import refusal
from agentspace.client.dial import no_tls, nobody
from agentspace.client.errors import ConnectError
from agentspace.client.local import Target

T = TypeVar("T")
SocketT = TypeVar("SocketT", bound=socket.socket)

SUBPROTOCOL: Final = Subprotocol("agentspace.v1.json")
CONNECT_SECONDS: Final = 10.0
"""Longest way to an open WebSocket."""

_PIECE: Final = 65_536
_LONGEST_HEAD: Final = 65_536
_END_OF_HEAD: Final = b"\r\n\r\n"

# Its debug lines would show the token.
_log = logging.getLogger(__name__)
_log.setLevel(logging.INFO)


class DialFailed(Exception):
    """There is no connection; `reason` is one word, as it is counted."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.reason = _reason_of(error)
        self._error = error

    def for_a_person(self, url: str) -> ConnectError:
        """The same for a person who cannot connect at all."""
        where = shown(url)
        match self._error:
            case ConnectionRefusedError():
                return nobody(where)
            case ssl.SSLCertVerificationError():
                return ConnectError("tls", f"the certificate of {where} is not trusted here.")
            case ssl.SSLError():
                return no_tls(where)
            case socket.gaierror():
                return ConnectError("dns", f"{where} names no host that is known.", passes=True)
            case trio.TooSlowError():
                return ConnectError("timeout", f"{where} does not answer.", passes=True)
        unreachable = ConnectError("unreachable", f"{where} cannot be reached.", passes=True)
        return refusal(self._error, where) or unreachable


class Opened(msgspec.Struct, frozen=True):
    """A WebSocket that is open, and the bytes of it that have come already."""

    socket: socket.socket
    rest: bytes


class Dialer:
    """Opens WebSockets to one gateway, whose name is looked up once."""

    def __init__(self, target: Target) -> None:
        """Raises ConnectError for what is no address."""
        self._target = target
        self._address = address_of(target.url)
        self._context = ssl.create_default_context() if self._address.secure else None
        self._places: list[tuple[int, Any]] = []

    async def dial(self) -> Opened:
        """Connect. Raises DialFailed."""
        try:
            with trio.fail_after(CONNECT_SECONDS):
                plain = await self._reach()
                return await _closed_unless(plain, self._open)
        except (OSError, InvalidHandshake, trio.TooSlowError) as error:
            raise DialFailed(error) from error

    async def _reach(self) -> socket.socket:
        """A socket to the first of the host's addresses that takes a connection."""
        if not self._places:
            found = await trio.socket.getaddrinfo(
                self._address.host, self._address.port, type=socket.SOCK_STREAM
            )
            self._places = [(int(family), place) for family, *_, place in found]
        while True:
            family, place = self._places[0]
            try:
                return await _connected(family, place)
            except OSError:
                if len(self._places) == 1:
                    raise
                del self._places[0]

    async def _open(self, plain: socket.socket) -> Opened:
        if self._context is None:
            return await self._shake_hands(plain)
        secure = self._context.wrap_socket(
            plain, server_hostname=self._address.host, do_handshake_on_connect=False
        )
        return await _closed_unless(secure, self._open_over_tls)

    async def _open_over_tls(self, secure: ssl.SSLSocket) -> Opened:
        await _when_ready(secure, secure.do_handshake)
        return await self._shake_hands(secure)

    async def _shake_hands(self, dialled: socket.socket) -> Opened:
        protocol = ClientProtocol(self._address, subprotocols=[SUBPROTOCOL], logger=_log)
        request = protocol.connect()
        if self._target.token:
            request.headers["Authorization"] = f"Bearer {self._target.token}"
        protocol.send_request(request)
        written = b"".join(protocol.data_to_send())
        await _when_ready(dialled, lambda: dialled.sendall(written))
        head, rest = await _read_head(dialled)
        protocol.receive_data(head)
        while protocol.state is State.CONNECTING and protocol.handshake_exc is None:
            if rest:
                protocol.receive_data(rest)
            else:
                protocol.receive_eof()
            rest = await _receive(dialled)
        if protocol.handshake_exc is not None:
            raise protocol.handshake_exc
        return Opened(dialled, rest)


async def _connected(family: int, place: Any) -> socket.socket:
    dialling = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        dialling.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await dialling.connect(place)
    except BaseException:
        dialling.close()
        raise
    plain = socket.socket(fileno=dialling.detach())
    plain.setblocking(False)
    return plain


async def _closed_unless(used: SocketT, use: Callable[[SocketT], Awaitable[Opened]]) -> Opened:
    """What `use` makes of a socket, which is closed when it cannot."""
    try:
        return await use(used)
    except BaseException:
        used.close()
        raise


async def _read_head(dialled: socket.socket) -> tuple[bytes, bytes]:
    """The head of the answer, its empty line included, and what has come after it."""
    data = b""
    while _END_OF_HEAD not in data and len(data) < _LONGEST_HEAD:
        piece = await _receive(dialled)
        if not piece:
            return data, b""
        data += piece
    head, end, rest = data.partition(_END_OF_HEAD)
    return head + end, rest


async def _receive(dialled: socket.socket) -> bytes:
    return await _when_ready(dialled, lambda: dialled.recv(_PIECE))


async def _when_ready(waited: socket.socket, call: Callable[[], T]) -> T:
    while True:
        try:
            return call()
        except (BlockingIOError, ssl.SSLWantReadError):
            await trio.lowlevel.wait_readable(waited)
        except ssl.SSLWantWriteError:
            await trio.lowlevel.wait_writable(waited)


def _reason_of(error: Exception) -> str:
    match error:
        case InvalidStatus(response=response):
            return f"http_{response.status_code}"
        case InvalidHandshake():
            return "bad_handshake"
        case TimeoutError() | trio.TooSlowError():
            return "connect_timeout"
        case ConnectionRefusedError():
            return "refused"
        case ssl.SSLError():
            return "tls"
        case _:
            return "unreachable"
