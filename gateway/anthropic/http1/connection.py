"""A connection to the provider: bytes out and bytes in, straight on the socket.

Problem: trio's streams try to read before they wait. For an answer that comes piece by piece the
first try fails each time, and trio's TLS stream copies each piece through two more buffers. Trick:
wait until there is something to read (for a body, all connections of a loop together), then read
once, into a buffer that they share. The standard library's TLS sockets work the same way, and what
they have decrypted already is read without waiting. Limits: what is read is overwritten by the next
read of any connection, so it is used up before the next await.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

import httpx2
import trio
from trio.lowlevel import checkpoint, notify_closing, wait_readable, wait_writable

from gateway.anthropic.http1.hub import SocketHub

RECEIVE = 64 * 1024
"""Bytes that are read at once."""

SEND = 256 * 1024
"""Bytes that are sent without a rest for the other tasks."""

TakeBytes = Callable[[memoryview], bool]
"""Takes bytes, which hold until it returns; whether that is enough."""

_WOULD_READ = (BlockingIOError, ssl.SSLWantReadError)


class SharedReading:
    """What the connections of one loop share: who watches them, and where they read to."""

    def __init__(self) -> None:
        self.hub = SocketHub()
        self.buffer = memoryview(bytearray(RECEIVE))


class ProviderConnection:
    """A connection that stands. Its sides never work at once."""

    def __init__(self, sock: socket.socket, shared: SharedReading) -> None:
        self._socket = sock
        self._number = sock.fileno()
        self._hub = shared.hub
        self._buffer = shared.buffer
        self._held: Callable[[], int] = sock.pending if isinstance(sock, ssl.SSLSocket) else _none

    async def send(self, data: bytes) -> None:
        """Send all of `data`. Raises httpx2.WriteError."""
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left[:SEND]) :]
            except ssl.SSLWantReadError:
                await wait_readable(self._number)
            except (BlockingIOError, ssl.SSLWantWriteError):
                await wait_writable(self._number)
            except OSError as error:
                raise httpx2.WriteError(str(error)) from error
            else:
                if left:
                    await checkpoint()

    async def receive(self) -> memoryview:
        """What comes next, until the next await; empty at the end. Raises httpx2.ReadError."""
        if self._held():
            await checkpoint()
        else:
            await wait_readable(self._number)
        while True:
            try:
                return self._buffer[: self._socket.recv_into(self._buffer)]
            except _WOULD_READ:
                await wait_readable(self._number)
            except ssl.SSLWantWriteError:
                await wait_writable(self._number)
            except OSError as error:
                raise httpx2.ReadError(str(error)) from error

    async def each(self, take: TakeBytes) -> None:
        """Give what comes to `take` until it has enough; an empty piece is the end.

        Raises httpx2.ReadError, and what `take` raises.
        """
        receive, buffer = self._socket.recv_into, self._buffer

        def read() -> bool:
            try:
                count = receive(buffer)
            except _WOULD_READ:
                return False
            except ssl.SSLWantWriteError:
                raise
            except OSError as error:
                raise httpx2.ReadError(str(error)) from error
            return take(buffer[:count])

        while self._held():
            await checkpoint()
            if read():
                return
        while True:
            try:
                await self._hub.watch(self._number, read)
            except ssl.SSLWantWriteError:
                await wait_writable(self._number)
            else:
                return

    def is_quiet(self) -> bool:
        """Whether it can be used again: the other side has neither closed it nor said anything."""
        try:
            self._socket.recv_into(self._buffer, 1)
        except _WOULD_READ:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close it at once; the other side of a TLS connection is told."""
        if isinstance(self._socket, ssl.SSLSocket):
            with suppress(OSError, ValueError):  # there may be no connection any more
                self._socket.unwrap()
        _close(self._socket)


async def connect(
    host: str, port: int, *, trust: ssl.SSLContext | None, seconds: float, shared: SharedReading
) -> ProviderConnection:
    """A new connection, over TLS where there is a `trust`, within so many `seconds`.

    Raises httpx2.ConnectError, httpx2.ConnectTimeout.
    """
    try:
        with trio.fail_after(seconds):
            stream = await trio.open_tcp_stream(host, port)
            sock = socket.socket(fileno=stream.socket.detach())
            sock.setblocking(False)
            if trust is not None:
                sock = await _secured(sock, trust, host)
    except trio.TooSlowError as error:
        raise httpx2.ConnectTimeout("the connection took too long") from error
    except OSError as error:
        raise httpx2.ConnectError(str(error)) from error
    return ProviderConnection(sock, shared)


async def _secured(sock: socket.socket, trust: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """The socket after its handshake, which is cut short with everything that ends it."""
    trust.set_alpn_protocols(["http/1.1"])
    secure = trust.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    try:
        await _handshake(secure)
    except BaseException:
        _close(secure)
        raise
    return secure


async def _handshake(secure: ssl.SSLSocket) -> None:
    while True:
        try:
            return secure.do_handshake()
        except ssl.SSLWantReadError:
            wait = wait_readable
        except ssl.SSLWantWriteError:
            wait = wait_writable
        await wait(secure)


def _close(sock: socket.socket) -> None:
    if sock.fileno() >= 0:
        notify_closing(sock)
    sock.close()


def _none() -> int:
    return 0
