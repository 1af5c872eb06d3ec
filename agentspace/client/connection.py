"""One connection to a gateway: messages go out, and what answers them goes to whoever asked."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import msgspec
from websockets.exceptions import InvalidHandshake, InvalidStatus

from agentspace.client.address import address_of, shown
from agentspace.client.dial import CONNECT_SECONDS, dial
from agentspace.client.errors import ConnectError, ConnectionLost, MessageTooLarge, again
from agentspace.client.inbox import Heard, Inbox, UnknownMessage
from agentspace.client.local import Target
from agentspace.client.websocket import WebSocket, WebSocketClosed, open_websocket
from agentspace.messages import FromClient, GatewayDraining, GatewayHello, ServerMessage

KEEPALIVE_SECONDS: Final = 20.0
"""How long nothing may come in before a ping goes out, and the longest wait after it."""

CLOSE_SECONDS: Final = 1.0
"""Longest wait for the gateway's goodbye."""

UNAUTHORIZED: Final = 401
PASSING: Final = frozenset({429, 500, 502, 503, 504})
"""HTTP statuses after which another attempt may succeed."""

_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)


class Connection:
    """`hello` is what the gateway said first; `draining` is true once it is about to close."""

    def __init__(self, websocket: WebSocket, hello: GatewayHello) -> None:
        self.hello = hello
        self.draining = False
        self.lost: ConnectionLost | None = None
        self.began_at = anyio.current_time()
        self._websocket = websocket
        self._inboxes: dict[str, Inbox] = {}
        self._is_held_up = False

    async def run(self) -> None:
        """Serve until the connection is lost; `lost` says why."""
        try:
            async with anyio.create_task_group() as tasks:
                for part in (self._read, self._websocket.write, self._keep_alive):
                    tasks.start_soon(self._until_closed, part)
                await self._websocket.ended.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._lose(ConnectionLost("the connection was closed"))
            await self._websocket.aclose()

    async def _until_closed(self, part: Callable[[], Awaitable[None]]) -> None:
        try:
            await part()
        except WebSocketClosed as closed:
            self._lose(ConnectionLost(closed.reason, closed.code))

    async def abandon(self) -> None:
        """Let go of it, whether or not it was served."""
        await self._websocket.aclose()

    def drop(self, reason: str) -> None:
        """Give the connection up; `run` ends."""
        self._lose(ConnectionLost(reason))

    def _lose(self, why: ConnectionLost) -> None:
        if self.lost is None:
            self.lost = why
            self._websocket.end()
            for inbox in self._inboxes.values():
                inbox.lose(why)

    def encode(self, message: FromClient) -> bytes:
        """The message as it is sent. Raises MessageTooLarge."""
        frame = _encode(message)
        if len(frame) > self.hello.limits.max_message_bytes:
            raise MessageTooLarge(len(frame), self.hello.limits.max_message_bytes)
        return frame

    async def room(self) -> None:
        """Wait until a message can be posted. Raises ConnectionLost."""
        try:
            await self._websocket.room()
        except WebSocketClosed:
            raise again(self.lost or ConnectionLost("the connection is gone")) from None

    def post(self, frame: bytes) -> None:
        """Hand a message to the writer; wait for `room` first."""
        if self.lost is None:
            self._websocket.post(frame)

    def follow(self, request_id: str, inbox: Inbox) -> None:
        """Let what answers this request go to `inbox`, from now on."""
        self._inboxes[request_id] = inbox
        if self.lost is not None:
            inbox.lose(self.lost)

    def leave(self, inbox: Inbox) -> None:
        """Nobody reads `inbox` any more."""
        inbox.leave()
        self._inboxes = {key: kept for key, kept in self._inboxes.items() if kept is not inbox}

    async def aclose(self) -> None:
        """Say goodbye; `run` ends with the other side's, or soon without."""
        self._websocket.say_goodbye()
        with anyio.move_on_after(CLOSE_SECONDS):
            await self._websocket.ended.wait()

    async def _read(self) -> None:
        while True:
            frame = await self._websocket.receive()
            message = understood(frame)
            if isinstance(message, GatewayDraining):
                self.draining = True
            inbox = self._inboxes.get(request_of(message)) if message is not None else None
            if message is not None and inbox is not None:
                self._is_held_up = True
                await inbox.room()
                self._is_held_up = False
                inbox.put(message, len(frame))

    async def _keep_alive(self) -> None:
        """Notice a gateway that vanished without a word: whoever waits is told."""
        while True:
            await anyio.sleep(KEEPALIVE_SECONDS)
            heard_at = self._websocket.heard_at
            if anyio.current_time() - heard_at < KEEPALIVE_SECONDS:
                continue
            self._websocket.ping()
            await anyio.sleep(KEEPALIVE_SECONDS)
            if self._websocket.heard_at == heard_at and not self._is_held_up:
                raise WebSocketClosed(None, "the gateway does not answer any more")


def understood(frame: bytes) -> Heard | None:
    """The message in a frame; `None` for what answers nothing and is not known here."""
    try:
        return _decoder.decode(frame)
    except (msgspec.ValidationError, UnicodeDecodeError):
        pass  # a newer gateway says something that there is no word for here
    except (msgspec.DecodeError, RecursionError):
        return None
    try:
        fields = msgspec.json.decode(frame, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    match fields:
        case {"type": str(kind), "requestId": str(request_id)}:
            return UnknownMessage(kind, request_id, fields)
    return None


def request_of(message: Heard) -> str:
    """The request that a message answers; empty when it answers none."""
    request_id = getattr(message, "request_id", "")
    return request_id if isinstance(request_id, str) else ""


async def open_connection(target: Target, context: ssl.SSLContext | None) -> Connection:
    """Connect, and hear the hello. Raises ConnectError."""
    where = shown(target.url)
    address = address_of(target.url)
    stream = await dial(address, where, context)
    try:
        with anyio.fail_after(CONNECT_SECONDS):
            websocket = await open_websocket(stream, address, target.token)
            hello = understood(await websocket.receive())
        if not isinstance(hello, GatewayHello):
            raise stranger(where)
        return Connection(websocket, hello)
    except BaseException as error:
        with anyio.CancelScope(shield=True):  # it waits for nobody
            await stream.aclose()
        if (told := refusal(error, where)) is not None:
            raise told from error  # noqa: ASYNC104 - a failure of the handshake, no cancellation
        raise


def refusal(error: BaseException, where: str) -> ConnectError | None:
    """What a failed handshake means; `None` for what is no failure of it."""
    match error:
        case InvalidStatus(response=response) if response.status_code == UNAUTHORIZED:
            return ConnectError(
                "token",
                f"{where} does not take this token: `agentspace token` shows the right one.",
            )
        case InvalidStatus(response=response):
            said = bytes(response.body or b"")[:500].decode("utf-8", "replace").strip()
            reason = said if said and said.isprintable() else "it gives no reason."
            status = response.status_code
            return ConnectError(
                "rejected",
                f"{where} refuses the connection ({status}): {reason}",
                passes=status in PASSING,
            )
        case InvalidHandshake():
            return stranger(where)
        case TimeoutError():
            return ConnectError(
                "timeout", f"{where} does not answer within {CONNECT_SECONDS:.0f} s.", passes=True
            )
        case OSError() | WebSocketClosed():
            return ConnectError("unreachable", f"{where} hangs up at once.", passes=True)
    return None


def stranger(where: str) -> ConnectError:
    """Something answers there that is no gateway."""
    return ConnectError("stranger", f"what answers at {where} is no AgentSpace gateway.")
