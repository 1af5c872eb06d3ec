"""A client of the gateway, for our own commands: typed messages over one WebSocket.

Cancelling a WebSocket write half way breaks the framing of everything after it. So one task writes
and one reads, both owned by the connection; a caller only ever waits on a channel, and may be
cancelled at any time.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import msgspec
import trio
from trio_websocket import (
    CloseReason,
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
)

from gateway.client.dial import ConnectError, Target, dial, rejection, shake_hands
from protocol.client import AnyClientMessage
from protocol.errors import GatewayError
from protocol.server import (
    AnyServerMessage,
    ChatStreamEnd,
    ErrorMessage,
    GatewayDraining,
    GatewayHello,
)

CLOSE_SECONDS: Final = 2.0
FAREWELL_SECONDS: Final = 0.1
KEEPALIVE_SECONDS: Final = 20.0
"""Pause between two pings, and the longest wait for a pong."""

FRAMES_AHEAD: Final = 1_024
"""Frames of one exchange that may wait for their reader; then the gateway joins deltas."""

REQUESTS_AHEAD: Final = 16

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyServerMessage)


class ConnectionLost(Exception):
    """The connection is gone; the text is one line, for a person."""


def new_id() -> str:
    """A fresh id of a request."""
    return f"req_{secrets.token_urlsafe(9)}"


class Client:
    """One connection.

    `hello` is what the gateway said first; `draining` is true once it is about to close.
    """

    def __init__(self, websocket: WebSocketConnection) -> None:
        self.hello: GatewayHello | None = None
        self.draining = False
        self.lost = trio.Event()
        self._websocket = websocket
        self._reason = "the connection was closed"
        self._exchanges: dict[str, trio.MemorySendChannel[AnyServerMessage]] = {}
        self._outgoing, self._unsent = trio.open_memory_channel[str](REQUESTS_AHEAD)

    async def send(self, message: AnyClientMessage) -> None:
        """Hand a message to the writer. Raises ConnectionLost."""
        try:
            await self._outgoing.send(_encoder.encode(message).decode())
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionLost(self._reason) from error

    async def ask(self, message: AnyClientMessage) -> AnyServerMessage:
        """The answer. Raises GatewayError when that is a refusal, and ConnectionLost."""
        with self._exchange(message.id) as answers:
            await self.send(message)
            async for answer in answers:
                if isinstance(answer, ErrorMessage):
                    raise error_of(answer)
                return answer
        raise ConnectionLost(self._reason)

    async def stream(self, message: AnyClientMessage) -> AsyncGenerator[AnyServerMessage, None]:
        """What answers `message`, up to and with the terminal frame. Raises ConnectionLost.

        Use it under `aclosing`.
        """
        with self._exchange(message.id) as answers:
            await self.send(message)
            async for answer in answers:
                yield answer  # noqa: ASYNC119 - used under aclosing
                if isinstance(answer, ChatStreamEnd | ErrorMessage):
                    return
        raise ConnectionLost(self._reason)

    @contextmanager
    def _exchange(self, request_id: str) -> Iterator[trio.MemoryReceiveChannel[AnyServerMessage]]:
        into, answers = trio.open_memory_channel[AnyServerMessage](FRAMES_AHEAD)
        if self.lost.is_set():
            into.close()
        self._exchanges[request_id] = into
        try:
            with answers:
                yield answers
        finally:
            del self._exchanges[request_id]

    async def read(self) -> None:
        """Deliver what comes in, to whoever asked, until the connection is gone."""
        try:
            while True:
                await self._deliver(await self._websocket.get_message())
        except ConnectionClosed as closed:
            self._lose(closed.reason)
        finally:
            self._lose(None)

    async def write(self) -> None:
        """Send what is handed in. Nothing but the end of the connection may cancel this."""
        with self._unsent:
            try:
                async for frame in self._unsent:
                    await self._websocket.send_message(frame)
            except ConnectionClosed:
                return  # the reader tells of it

    async def keep_alive(self) -> None:
        """Notice a gateway that vanished without a word: everything waiting is told."""
        while True:
            await trio.sleep(KEEPALIVE_SECONDS)
            with trio.move_on_after(KEEPALIVE_SECONDS) as deadline:
                try:
                    await self._websocket.ping()
                except ConnectionClosed:
                    return
            if deadline.cancelled_caught:
                self._reason = "the gateway does not answer any more"
                self._lose(None)
                return

    async def aclose(self) -> None:
        """Send what is still to be sent, say goodbye, and go."""
        self._outgoing.close()
        await self._websocket.aclose()

    async def _deliver(self, frame: str | bytes) -> None:
        try:
            message = _decoder.decode(frame)
        except msgspec.ValidationError:
            return  # a newer gateway says something that this client has no word for
        if isinstance(message, GatewayHello):
            self.hello = message
        elif isinstance(message, GatewayDraining):
            self.draining = True
        request_id = getattr(message, "request_id", None)
        exchange = self._exchanges.get(request_id) if isinstance(request_id, str) else None
        if exchange is not None:
            try:
                await exchange.send(message)
            except trio.BrokenResourceError:
                return  # its reader has left

    def _lose(self, close: CloseReason | None) -> None:
        if close is not None and close.reason:
            self._reason = str(close.reason)
        self.lost.set()
        self._outgoing.close()
        for exchange in self._exchanges.values():
            exchange.close()


def error_of(message: ErrorMessage) -> GatewayError:
    """The refusal as an exception."""
    return GatewayError(message.code, message.message, retryable=message.retryable)


@asynccontextmanager
async def connect(target: Target) -> AsyncIterator[Client]:
    """A connection for as long as the block lasts. Raises ConnectError.

    An exception of the block leaves as it is, in no group.
    """
    outcome = _Outcome()
    stream = await dial(target)
    try:
        async with trio.open_nursery() as nursery:
            opened = await shake_hands(nursery, stream, target)
            if isinstance(opened, ConnectError):
                outcome.error = opened
            else:
                async with _served(nursery, Client(opened), outcome) as client:
                    yield client
            nursery.cancel_scope.cancel()
    except* ConnectionRejected as group:
        outcome.error = rejection(target, _first(group))
    finally:
        await trio.aclose_forcefully(stream)
    if outcome.error is not None:
        raise outcome.error


def _first(group: BaseExceptionGroup[ConnectionRejected]) -> ConnectionRejected:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, ConnectionRejected)
    return error


class _Outcome:
    """What is to be raised once the nursery is closed."""

    def __init__(self) -> None:
        self.error: Exception | None = None


@asynccontextmanager
async def _served(
    nursery: trio.Nursery, client: Client, outcome: _Outcome
) -> AsyncIterator[Client]:
    nursery.start_soon(client.read)
    nursery.start_soon(client.write)
    nursery.start_soon(client.keep_alive)
    try:
        yield client
    except Exception as error:  # noqa: BLE001 - it goes on outside the nursery
        outcome.error = error
    finally:
        # Cancelled, we hear no goodbye: the tasks above are cancelled as well.
        is_cancelled = trio.current_effective_deadline() <= trio.current_time()
        seconds = FAREWELL_SECONDS if is_cancelled else CLOSE_SECONDS
        with trio.move_on_after(seconds, shield=True):
            await client.aclose()
