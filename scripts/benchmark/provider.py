"""A provider that does what the load's own thread tells it: when to send, and what.

The simulator keeps its own time. Here the load decides, so that it can wait for each delta before
it sends the next, and knows when it has sent one, and when it was hung up on.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from typing import Final

from scripts.benchmark.client import MODEL, BrokenTarget

READ_BYTES: Final = 1 << 16
PATIENCE: Final = 30.0

HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_1\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
MISSING: Final = json.dumps(
    {"type": "error", "error": {"type": "not_found_error", "message": "There is no such page."}}
).encode()


def event(name: str, **fields: object) -> bytes:
    """A server-sent event in a chunk of its own."""
    data = json.dumps({"type": name, **fields}, separators=(",", ":"))
    text = f"event: {name}\ndata: {data}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(text), text)


def start() -> bytes:
    """The head of an answer, and its events up to the first delta."""
    message: dict[str, object] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 20, "output_tokens": 1},
    }
    block = {"type": "text", "text": ""}
    return (
        HEAD
        + event("message_start", message=message)
        + event("content_block_start", index=0, content_block=block)
    )


def delta(text: str) -> bytes:
    """A piece of text."""
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def finish() -> bytes:
    """The events after the last delta, and the end of the body."""
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    return (
        event("content_block_stop", index=0)
        + event("message_delta", delta=ending, usage={"output_tokens": 10})
        + event("message_stop")
        + b"0\r\n\r\n"
    )


class Upstream:
    """A connection that the target has made."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self.rest = b""
        self.asked = False
        self.closed_at = 0.0

    def send(self, data: bytes) -> None:
        """Send a part of the answer."""
        self.socket.sendall(data)

    def read(self) -> None:
        """Take what is there: a request, a part of it, or the end."""
        try:
            data = self.socket.recv(READ_BYTES)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed_at = time.perf_counter()
            return
        self.rest += data
        while (request := self._request()) is not None:
            if request.startswith(b"POST /v1/messages "):
                self.asked = True
            else:
                size = str(len(MISSING)).encode()
                head = b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\n"
                self.send(head + b"content-length: " + size + b"\r\n\r\n" + MISSING)

    def _request(self) -> bytes | None:
        """The next whole request, without its body."""
        head, blank, rest = self.rest.partition(b"\r\n\r\n")
        if not blank:
            return None
        size = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                size = int(line.partition(b":")[2])
        if len(rest) < size:
            return None
        self.rest = rest[size:]
        return head


class Provider:
    """Listens at a port, and hands over the requests for an answer."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), backlog=2048)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._waiting: list[Upstream] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def fileno(self) -> int:
        """Readable when something has happened."""
        return self._selector.fileno()

    def read(self, seconds: float = 0.0) -> None:
        """Take connections and requests; `seconds` is how long to wait for the first of them."""
        for key, _ in self._selector.select(seconds):
            upstream: Upstream | None = key.data
            if upstream is None:
                connection, _ = self._listener.accept()
                self._selector.register(connection, selectors.EVENT_READ, Upstream(connection))
                continue
            upstream.read()
            if upstream.asked:
                upstream.asked = False
                self._waiting.append(upstream)
            if upstream.closed_at:
                self._selector.unregister(upstream.socket)
                upstream.socket.close()

    def take(self) -> Upstream:
        """The next request for an answer; BrokenTarget when none comes."""
        limit = time.perf_counter() + PATIENCE
        while not self._waiting:
            if time.perf_counter() > limit:
                raise BrokenTarget("the target has asked the provider for nothing")
            self.read(0.1)
        return self._waiting.pop(0)

    def close(self) -> None:
        """Hang up on all, and listen no more."""
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                key.data.socket.close()
        self._selector.close()
        self._listener.close()
