"""A client that costs next to nothing: a blocking socket, and a reader of the frames it gets.

What is decoded is the beginning of a frame, enough to tell what it is. A `Crowd` reads many of
them in one thread.
"""

from __future__ import annotations

import base64
import json
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from scripts.benchmark.targets import TOKEN, Dialect

MODEL: Final = "claude-haiku-5-5"
READ_BYTES: Final = 1 << 18
PATIENCE: Final = 60.0
DATA: Final = (1, 2)
PING: Final = 9
PONG: Final = 10


class BrokenTarget(Exception):
    """What was measured has answered with an error, or hung up, or said nothing for a minute."""


class Client:
    """One connection that asks one question after the other."""

    delta_mark: bytes
    end_mark: bytes
    error_mark: bytes = b'{"type":"error"'

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = port
        self.rest = b""
        self.received = 0
        self.asked = 0
        self.listener: Callable[[bytes, float], object] | None = None
        self.begin()

    def begin(self) -> None:
        """Forget the last answer."""
        self.deltas = 0
        self.asked_at = time.perf_counter()
        self.first_at = 0.0
        self.ended = False
        self.ended_at = 0.0

    def ask(self, text: str, max_tokens: int = 64_000) -> None:
        """Send a question."""
        raise NotImplementedError

    def frames(self) -> Iterator[bytes]:
        """Whole frames of what has come; what is left stays in `rest`."""
        raise NotImplementedError

    def read(self) -> None:
        """Take what is there."""
        data = self.socket.recv(READ_BYTES)
        if not data:
            raise BrokenTarget("the connection has ended in the middle of an answer")
        now = time.perf_counter()
        self.received += len(data)
        self.rest = self.rest + data if self.rest else data
        for frame in self.frames():
            self.hear(frame, now)

    def hear(self, frame: bytes, now: float) -> None:
        """Take note of a frame, and hand it to the listener, if there is one."""
        if self.listener is not None:
            self.listener(frame, now)
        if frame.startswith(self.delta_mark):
            self.deltas += 1
            if not self.first_at:
                self.first_at = now
        elif frame.startswith(self.end_mark):
            self.ended = True
            self.ended_at = now
        elif frame.startswith(self.error_mark):
            raise BrokenTarget(frame.decode(errors="replace"))

    def cancel(self) -> None:
        """Give up the answer; where there is no word for it, by hanging up."""
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


class HttpClient(Client):
    """Reads the provider's own stream: events in a chunked body."""

    delta_mark = b"event: content_block_delta"
    end_mark = b"event: message_stop"
    error_mark = b"HTTP/1.1 4"

    def ask(self, text: str, max_tokens: int = 64_000) -> None:
        """Send a request; the connection is kept for the next."""
        body = json.dumps(
            {
                "model": MODEL,
                "max_tokens": max_tokens,
                "stream": True,
                "messages": [{"role": "user", "content": text}],
            }
        ).encode()
        head = (
            "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer none\r\n"
            "anthropic-version: 2023-06-01\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.begin()
        self.socket.sendall(head.encode() + body)

    def frames(self) -> Iterator[bytes]:
        """Pieces between blank lines; each event stands at the end of one of its own."""
        *whole, self.rest = self.rest.split(b"\n\n")
        for piece in whole:
            at = piece.find(b"event: ")
            yield piece[at:] if at >= 0 else piece.lstrip()


class WebSocketClient(Client):
    """Speaks the gateway's protocol, in text frames."""

    delta_mark = b'{"type":"chat.stream.delta"'
    end_mark = b'{"type":"chat.stream.end"'
    opcode = 1
    subprotocol = ""
    path = "/gateway"
    token = TOKEN

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        super().__init__(port, receive_buffer=receive_buffer)
        try:
            self._shake_hands()
        except BaseException:
            self.close()
            raise

    def _shake_hands(self) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        offered = f"Sec-WebSocket-Protocol: {self.subprotocol}\r\n" if self.subprotocol else ""
        self.socket.sendall(
            f"GET {self.path} HTTP/1.1\r\nHost: localhost:{self.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"{offered}Authorization: Bearer {self.token}\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self.rest:
            data = self.socket.recv(READ_BYTES)
            if not data:
                raise BrokenTarget("the connection has ended in the handshake")
            self.rest += data
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        if b" 101 " not in head:
            status = head.partition(b"\r\n")[0].decode(errors="replace")
            raise BrokenTarget(f"the handshake was answered with {status}: {self.rest[:200]!r}")

    def ask(self, text: str, max_tokens: int = 64_000) -> None:
        """Send a `chat.send` in a new session."""
        self.asked += 1
        self.begin()
        self.send(
            {
                "type": "chat.send",
                "id": str(self.asked),
                "content": text,
                "model": MODEL,
                "maxTokens": max_tokens,
                "thinking": "off",
                "onDisconnect": "cancel",
            }
        )

    def cancel(self) -> None:
        """Send a `chat.cancel`; the answer still has an end."""
        self.send({"type": "chat.cancel", "id": f"c{self.asked}", "requestId": str(self.asked)})

    def send(self, message: dict[str, object]) -> None:
        """Send a message as one frame."""
        self.send_frame(self.opcode, self.encoded(message))

    def send_frame(self, opcode: int, payload: bytes) -> None:
        """Send a masked frame of up to 64 KB; a mask of zeros leaves its payload as it is."""
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
        self.socket.sendall(bytes([0x80 | opcode]) + length + b"\0\0\0\0" + payload)

    def encoded(self, message: dict[str, object]) -> bytes:
        """The payload of a frame."""
        return json.dumps(message).encode()

    def frames(self) -> Iterator[bytes]:
        """Payloads of text and binary frames; a ping is answered."""
        data, at, end = self.rest, 0, len(self.rest)
        while end - at >= 2:
            size, head = data[at + 1] & 0x7F, 2
            if size >= 126:
                head = 4 if size == 126 else 10
                if end - at < head:
                    break
                size = int.from_bytes(data[at + 2 : at + head], "big")
            if end - at < head + size:
                break
            opcode, payload = data[at] & 0x0F, data[at + head : at + head + size]
            at += head + size
            if opcode == PING:
                self.send_frame(PONG, payload)
            elif opcode in DATA:
                yield payload
        self.rest = data[at:]


class PlainClient(WebSocketClient):
    """Speaks what the comparators speak: `delta` and `end`."""

    delta_mark = b'{"type":"delta"'
    end_mark = b'{"type":"end"'

    def cancel(self) -> None:
        """Hang up: there is no word for it."""
        self.close()


class ResponsesClient(PlainClient):
    """Speaks the Responses API over a WebSocket, as far as a question and its text need it."""

    delta_mark = b'{"type":"response.output_text.delta"'
    end_mark = b'{"type":"response.completed"'
    path = f"/v1/responses?model={MODEL}"
    token = f"sk-{TOKEN}"

    def ask(self, text: str, max_tokens: int = 64_000) -> None:
        """Send a `response.create` of which nothing is to be kept."""
        self.asked += 1
        self.begin()
        self.send(
            {
                "type": "response.create",
                "model": MODEL,
                "input": text,
                "max_output_tokens": max_tokens,
                "store": False,
            }
        )


class MsgpackClient(WebSocketClient):
    """Speaks the gateway's protocol, in binary frames."""

    delta_mark = b"\xa4type\xb1chat.stream.delta"
    end_mark = b"\xa4type\xafchat.stream.end"
    error_mark = b"\xa4type\xa5error"
    opcode = 2
    subprotocol = "agentspace.v1.msgpack"

    def encoded(self, message: dict[str, object]) -> bytes:
        """The payload of a frame."""
        return msgspec.msgpack.encode(message)

    def hear(self, frame: bytes, now: float) -> None:
        """Take note of a frame; its first byte is the number of its fields."""
        super().hear(frame[1:], now)


CLIENTS: Final[dict[Dialect, type[Client]]] = {
    "http": HttpClient,
    "gateway": WebSocketClient,
    "plain": PlainClient,
    "responses": ResponsesClient,
}


class Crowd:
    """Clients that one thread reads."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self._selector = selectors.DefaultSelector()

    def join(self, client: Client) -> None:
        """Read this one, too."""
        self.clients.append(client)
        self._selector.register(client.socket, selectors.EVENT_READ, client)

    def leave(self, client: Client) -> None:
        """Read this one no more."""
        self.clients.remove(client)
        self._selector.unregister(client.socket)

    def read_for(self, seconds: float) -> None:
        """Read whatever comes in so many seconds."""
        limit = time.perf_counter() + seconds
        while (left := limit - time.perf_counter()) > 0:
            self.read(left)

    def read_until(self, done: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Read until something has come; BrokenTarget after so many seconds without it."""
        limit = time.perf_counter() + patience
        while not done():
            if time.perf_counter() > limit:
                raise BrokenTarget(f"no answer within {patience:.0f} seconds")
            self.read(1.0)

    def read(self, seconds: float = 0.0) -> None:
        """Read what is there; `seconds` is how long to wait for the first of it."""
        for key, _ in self._selector.select(seconds):
            key.data.read()

    def close(self) -> None:
        """Hang up all of them."""
        for client in self.clients:
            self._selector.unregister(client.socket)
            client.close()
        self.clients.clear()


def all_live(clients: Sequence[Client]) -> bool:
    """Whether each has had a delta."""
    return all(client.first_at for client in clients)
