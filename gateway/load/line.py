"""One WebSocket of a load, once it is open: messages go out and come in, and nothing waits."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from typing import Final, Protocol

from gateway.load.dial import Opened
from gateway.load.frames import CLOSE, PONG, TEXT, BadFrame, FrameReader, masked
from gateway.load.hub import Hub
from gateway.load.pauses import Pauses

PAUSE_SECONDS: Final = 0.1
"""How long a slow reader reads nothing after each piece."""

_PIECE: Final = 65_536
_SLOW_PIECE: Final = 1_024
_MOST_UNSENT: Final = 64 * 1024 * 1024
"""Bytes; a gateway that leaves more than that unread is given up."""

_LATER: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_NORMAL: Final = (1000).to_bytes(2, "big")


class Owner(Protocol):
    """Who hears what a line brings. Neither call may wait."""

    def take(self, frame: bytes | bytearray, now: float) -> None:
        """A message has come."""
        ...

    def lost(self, reason: str) -> None:
        """The connection is gone, and not by `close`; `reason` is a word."""
        ...


class LoadLine:
    """`is_open` until it is closed or lost; then it can be opened anew."""

    def __init__(self, hub: Hub, pauses: Pauses, owner: Owner) -> None:
        self._hub = hub
        self._pauses = pauses
        self._owner = owner
        self._socket: socket.socket | None = None
        self._frames = FrameReader()
        self._unsent = bytearray()
        self._piece = _PIECE

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._socket is not None

    def open(self, opened: Opened) -> None:
        """Use this connection from now on."""
        self._socket = opened.socket
        self._frames = FrameReader()
        self._unsent.clear()
        self._piece = _PIECE
        self._hub.add(opened.socket, self)
        if opened.rest:
            self._take(opened.rest)

    def send(self, message: bytes) -> None:
        """Send a message, or as much of it as goes now; the rest follows by itself."""
        self._write(masked(TEXT, message))

    def slow_down(self) -> None:
        """Read a piece now and then from now on, and let the system hold little for us."""
        if self._socket is not None:
            with suppress(OSError):  # it is lost already, and reading tells of it
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * _SLOW_PIECE)
            self._piece = _SLOW_PIECE

    def close(self, *, politely: bool = True) -> None:
        """End the connection, with a goodbye if it is `politely`."""
        if self._socket is None:
            return
        if politely:
            self._write(masked(CLOSE, _NORMAL))
        self._let_go()

    def read(self) -> None:
        """Take what has come."""
        if self._socket is None:
            return
        try:
            piece = self._socket.recv(self._piece)
        except _LATER:
            return
        except OSError:
            piece = b""
        if not piece:
            self._lose("lost")
            return
        self._take(piece)
        if self._piece == _SLOW_PIECE:
            self._pause()

    def write(self) -> None:
        """Send what is left."""
        self._write(b"")

    def _pause(self) -> None:
        """Read nothing for a while."""
        if self._socket is not None:
            self._hub.remove(self._socket)
            self._pauses.add(time.perf_counter() + PAUSE_SECONDS, self._go_on)

    def _go_on(self) -> None:
        if self._socket is not None:
            self._watch(self._socket)
            self.read()  # what TLS holds already, no selector tells

    def _take(self, piece: bytes) -> None:
        now = time.perf_counter()
        frames = self._frames
        try:
            messages = frames.feed(piece)
        except BadFrame:
            self._lose("bad_frame")
            return
        for message in messages:
            self._owner.take(message, now)
            if self._frames is not frames or self._socket is None:
                return  # what it meant was to let go of this connection
        if frames.pings:
            for payload in frames.pings:
                self._write(masked(PONG, payload))
            frames.pings.clear()
        if frames.close_code is not None:
            self._lose(f"closed_{frames.close_code}")

    def _write(self, data: bytes) -> None:
        sink = self._socket
        if sink is None:
            return
        self._unsent += data
        try:
            sent = sink.send(self._unsent)
        except _LATER:
            sent = 0
        except OSError:
            return  # reading tells of it
        had_rest = len(self._unsent) > len(data)
        del self._unsent[:sent]
        if len(self._unsent) > _MOST_UNSENT:
            self._lose("unread")
        elif self._unsent or had_rest:
            self._watch(sink)

    def _watch(self, watched: socket.socket) -> None:
        self._hub.add(watched, self, writes=bool(self._unsent))

    def _lose(self, reason: str) -> None:
        self._let_go()
        self._owner.lost(reason)

    def _let_go(self) -> None:
        if self._socket is not None:
            self._hub.remove(self._socket)
            self._socket.close()
            self._socket = None
