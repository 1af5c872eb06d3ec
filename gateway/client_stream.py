"""A client's TCP connection below its WebSocket: the one place where bytes for it go out.

Two parties write to a client: the gateway its messages, and trio-websocket its pings, pongs and
close frames. Both hand over whole frames in one call without an await. What the kernel does not
take at once waits here, in the order in which it was written, and only what waits longest is
offered to the kernel. So no frame begins within another one, whoever writes. A cancel loses
nothing either: a task that waits for its bytes to leave may go, and the bytes stay in line.

What waits is one frame of the gateway's, and one of each kind of trio-websocket's: each of them
waits until its frame has left before it writes another.
"""

from __future__ import annotations

import socket
from typing import Final

import trio

RECEIVE_BYTES: Final = 16_384
"""Bytes of one read, unless it is said otherwise."""

SEND_BYTES: Final = 65_536
"""Bytes that the system is asked to take before the client has them; Linux doubles it.

By itself it would take megabytes. A pong would wait behind them, and so would a slow client: the
system says that there is room only when a third of them is gone.
"""


class ClientStream(trio.abc.Stream):
    """Takes over the socket of `stream`, of which `read` has been read already.

    All methods raise trio.BrokenResourceError when the connection is lost, and
    trio.ClosedResourceError after `close`.
    """

    __slots__ = ("_flushing", "_read", "_socket", "_tail")

    def __init__(self, stream: trio.SocketStream, read: bytes) -> None:
        taken = stream.socket
        # trio's own socket offers no send without a checkpoint.
        self._socket = socket.socket(taken.family, taken.type, taken.proto, taken.detach())
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        self._read = read
        self._tail = bytearray()
        self._flushing: trio.Lock | None = None  # for most clients nobody ever waits

    @property
    def is_behind(self) -> bool:
        """Whether something that was written has not left yet; `flush` waits for it."""
        return bool(self._tail)

    def write(self, data: bytes | bytearray | memoryview) -> bool:
        """Send whole frames as far as that goes without waiting; the rest is next in line.

        Whether nothing is left.
        """
        sent = 0 if self._tail else self._send(data)
        if sent == len(data):
            return True
        self._tail += data[sent:]
        return False

    async def flush(self) -> None:
        """Wait until all that was written has left."""
        if not self._tail:
            await trio.lowlevel.checkpoint()
            return
        if self._flushing is None:
            self._flushing = trio.Lock()
        async with self._flushing:
            while self._tail:
                self._check_open()
                await trio.lowlevel.wait_writable(self._socket)
                del self._tail[: self._send(self._tail)]

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write, and wait until all has left; when cancelled, it leaves all the same."""
        self.write(data)
        await self.flush()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until all that was written has left."""
        await self.flush()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What has come, at most `max_bytes`; nothing at the end."""
        if self._read:
            await trio.lowlevel.checkpoint()
            data, self._read = self._read, b""
            return data
        while True:
            self._check_open()
            await trio.lowlevel.wait_readable(self._socket)
            try:
                return self._socket.recv(max_bytes or RECEIVE_BYTES)
            except BlockingIOError:  # pragma: no cover - the kernel may wake without a cause
                continue
            except OSError as error:
                raise self._end_of(error) from error

    def close(self) -> None:
        """Close the connection at once; tasks that wait for it get ClosedResourceError."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    async def aclose(self) -> None:
        """Close the connection at once, and let others run."""
        self.close()
        await trio.lowlevel.checkpoint()

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._end_of(error) from error

    def _check_open(self) -> None:
        if self._socket.fileno() < 0:
            raise trio.ClosedResourceError("the client's connection was closed")

    def _end_of(self, error: OSError) -> trio.BrokenResourceError:
        self._check_open()
        return trio.BrokenResourceError(f"the client's connection is lost: {error}")
