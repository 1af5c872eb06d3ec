"""The door: each request is read here, and answered unless a WebSocket is to be made of it."""

from __future__ import annotations

import logging
from http import HTTPStatus

import msgspec
import trio

from gateway.handshake import AccessRules, Admission, check_upgrade, judge
from gateway.head import cut_head, is_whole, parse_head
from gateway.health import Probe, Readiness, healthy, probe_of, ready
from gateway.http_reply import HttpReply
from gateway.refusals import PERIOD_SECONDS, Refusal, Refusals

log = logging.getLogger(__name__)

RECEIVE_BYTES = 16_384
LINGERING_BYTES = 131_072
"""How much is read of a request that has been answered already."""

MOST_STRANGERS = 256
"""Who may have connected and not said yet what they want, beside one for each place that is free: a
program that opens hundreds of connections may well open all of them before it speaks on the first.
"""

Judgement = Admission | Refusal


class Guest(msgspec.Struct, frozen=True):
    """Who was let in, its request's head, and what came right behind it."""

    admission: Admission
    head: bytes
    rest: bytes


class Door:
    """Lets at most `max_connections` in. A probe is no guest: it is answered when all is full."""

    def __init__(
        self,
        rules: AccessRules,
        readiness: Readiness,
        *,
        max_connections: int,
        close_seconds: float,
    ) -> None:
        self._rules = rules
        self._readiness = readiness
        self.max_connections = max_connections
        self._close_seconds = close_seconds
        self._refusals = Refusals()
        self._guests = 0
        self._strangers: dict[trio.CancelScope, None] = {}  # the oldest first
        self.is_draining = False

    async def admit(self, stream: trio.SocketStream) -> Guest | None:
        """Read a request; a guest has a place until `leave()`."""
        read = await self._read(stream)
        if not read:
            return None  # whoever looks whether the port is open says nothing
        head, is_head = cut_head(read), read.startswith(b"HEAD ")
        if isinstance(head, bytes) and (probe := probe_of(head)):
            answer = await self._probed(probe)
            await self._answer(stream, answer.encode(is_head=is_head))
            return None
        judgement = self._judge(head, stream)
        if isinstance(judgement, Admission):
            assert isinstance(head, bytes)
            self._guests += 1  # without an await since it was judged
            return Guest(judgement, head, read[len(head) :])
        self._log_refusal(_peer(stream), f"{judgement.status:d} {judgement.reason}")
        await self._answer(stream, judgement.response(is_head=is_head))
        return None

    async def _read(self, stream: trio.SocketStream) -> bytes:
        """The request's head; nothing if this stranger was let go to make room for another."""
        free = max(0, self.max_connections - self._guests)
        if len(self._strangers) >= MOST_STRANGERS + free:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.cancel()
        read = b""
        with trio.CancelScope() as patience:
            self._strangers[patience] = None
            try:
                read = await _read_head(stream)
            finally:
                self._strangers.pop(patience, None)
        if patience.cancelled_caught:
            self._log_refusal(_peer(stream), "too many others connect and say nothing")
        return read

    @property
    def is_empty(self) -> bool:
        """Whether no guest has a place."""
        return self._guests == 0

    def leave(self) -> None:
        """A guest has gone, or could not shake hands."""
        self._guests -= 1

    async def tell_refusals(self) -> None:
        """Log sums of the refused requests, until cancelled."""
        try:
            while True:
                await trio.sleep(PERIOD_SECONDS)
                self._log_sums()
        finally:
            self._log_sums()

    def _log_sums(self) -> None:
        for line in self._refusals.sums():
            log.info("%s", line)

    async def _probed(self, probe: Probe) -> HttpReply:
        if probe == "/healthz":
            return healthy()
        can_write = self.is_draining or await self._readiness.can_write()
        return ready(is_draining=self.is_draining, can_write=can_write)

    async def _answer(self, stream: trio.SocketStream, answer: bytes) -> None:
        """Send an HTTP answer, and wait until it has been read.

        A socket that is closed with bytes that nobody has read resets the connection, and what was
        sent may be lost with it (RFC 9112, 9.6).
        """
        await stream.send_all(answer)
        await stream.send_eof()
        with trio.move_on_after(self._close_seconds):
            left = LINGERING_BYTES
            while left > 0 and (more := await stream.receive_some(RECEIVE_BYTES)):
                left -= len(more)

    def _judge(self, head: bytes | Refusal, stream: trio.SocketStream) -> Judgement:
        request = parse_head(head) if isinstance(head, bytes) else head
        if isinstance(request, Refusal):
            return request
        local_host = str(stream.socket.getsockname()[0])
        judgement = judge(request, self._rules, local_host=local_host)
        if isinstance(judgement, Refusal):
            return judgement
        if self.is_draining:
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "The gateway is stopping.")
        if self._guests >= self.max_connections:
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "The gateway is full (max_connections).")
        return check_upgrade(request) or judgement

    def _log_refusal(self, peer: str, reason: str) -> None:
        line = self._refusals.note(peer, reason)
        if line is not None:
            log.info("%s", line)


async def _read_head(stream: trio.SocketStream) -> bytes:
    """What came up to and with the head's empty line; also what came right behind it."""
    data = bytearray()
    looked_at = 0
    while not is_whole(data, looked_at):
        looked_at = len(data)
        more = await stream.receive_some(RECEIVE_BYTES)
        if not more:
            break
        data += more
    return bytes(data)


def _peer(stream: trio.SocketStream) -> str:
    """The address that a stream comes from."""
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:
        return "a peer that has gone"
