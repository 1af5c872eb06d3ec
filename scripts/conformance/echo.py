"""The gateway's door, handshake and WebSocket on a real port, with an echo in the actor's place."""

from __future__ import annotations

from typing import cast

import trio

from actors.connection.connection import Connection, ConnectionEnd
from actors.ports import Socket, SocketClosed
from gateway.door import Door
from gateway.handshake import AccessRules
from gateway.health import Readiness, TriedLedger
from gateway.server import Server, ServerSettings
from gateway.websocket import BINARY, TEXT, WebSocket
from protocol.codec import Codec

HOST = "127.0.0.1"
MOST_BYTES = 64 * 1024 * 1024
"""Of a message; the longest of the suite has 16 MiB."""


class Echo:
    """Says again what it hears, as the text or the bytes that it was."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def run(self) -> ConnectionEnd:
        """Until the client goes, or breaks a rule."""
        try:
            await self._socket.listen(self._say)
        except SocketClosed as closed:
            return ConnectionEnd(code=closed.code, reason=closed.reason)

    async def _say(self, message: str | bytes) -> None:
        is_text = isinstance(message, str)
        self._socket.kind = TEXT if is_text else BINARY
        self._socket.write(message.encode() if isinstance(message, str) else message)
        await self._socket.flush()


async def serve_echo(task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
    """Serve until cancelled; the started value is the address."""
    rules = AccessRules(token=None, origins=frozenset(), hosts=frozenset({HOST}))
    readiness = Readiness(cast("TriedLedger", None))  # nobody asks for it
    door = Door(rules, readiness, max_connections=64, close_seconds=5)
    settings = ServerSettings(handshake_seconds=10, close_seconds=5, max_message_bytes=MOST_BYTES)
    server = Server(settings, door, _connect)
    (listener,) = await trio.open_tcp_listeners(0, host=HOST)
    task_status.started(f"ws://{HOST}:{listener.socket.getsockname()[1]}/gateway")
    async with trio.open_nursery() as connections:
        connections.start_soon(server.watch_handshakes)

        async def accept(stream: trio.SocketStream) -> None:
            await server.accept(connections, stream)

        await trio.serve_listeners(accept, [listener])


async def _connect(socket: Socket, codec: Codec, *, says_hello: bool) -> Connection:  # noqa: ARG001
    """All that the server needs of a connection's actor, as long as it does not stop, is `run`."""
    assert isinstance(socket, WebSocket)
    return cast("Connection", Echo(socket))
