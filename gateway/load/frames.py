"""The frames of a WebSocket (RFC 6455, section 5) as a client reads and writes them.

A load reads as many frames as all its streams together bring, and must cost less than the gateway
that it measures. The library's own parser makes objects and generators of every frame, and costs
six times as much (measured in one run, 110 bytes a frame: 0.6 against 3.4 us).
"""

from __future__ import annotations

import os
from typing import Final

TEXT: Final = 0x1
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
FIN: Final = 0x80
MASKED: Final = 0x80
LONGEST_MESSAGE: Final = 256 * 1024 * 1024
"""Bytes, in one frame or several."""

_WHOLE_TEXT: Final = FIN | TEXT
_CONTROL: Final = 0x8
_SHORT: Final = 126
_LONG: Final = 127


class BadFrame(ValueError):
    """What came is no frame of a server, or too long."""


class FrameReader:
    """Puts messages together from pieces of bytes.

    `pings` are what is to be answered; `close_code` is there once the other side has closed, 1005
    when it named none.
    """

    def __init__(self) -> None:
        self.close_code: int | None = None
        self.pings: list[bytes] = []
        self._rest = bytearray()
        self._message = bytearray()

    def feed(self, piece: bytes) -> list[bytes | bytearray]:
        """The messages that this piece completes. Raises BadFrame."""
        data: bytes | bytearray = piece
        if self._rest:
            self._rest += piece
            data = self._rest
        found: list[bytes | bytearray] = []
        at, end = 0, len(data)
        while end - at >= 2:
            size, start = data[at + 1], at + 2
            if size >= _SHORT:
                size, start = _long_size(data, at, size)
            stop = start + size
            if stop > end:
                break
            if data[at] == _WHOLE_TEXT:
                found.append(data[start:stop])
            else:
                self._take(data[at], data[start:stop], found)
            at = stop
        if data is self._rest:
            del self._rest[:at]
        elif at < end:
            self._rest += piece[at:]
        return found

    def _take(self, head: int, payload: bytes | bytearray, found: list[bytes | bytearray]) -> None:
        """A frame that is no whole text."""
        kind = head & 0xF
        if kind & _CONTROL:
            self._take_control(kind, bytes(payload))
            return
        self._message += payload
        if len(self._message) > LONGEST_MESSAGE:
            raise BadFrame("a message is too long")
        if head & FIN:
            found.append(self._message)
            self._message = bytearray()

    def _take_control(self, kind: int, payload: bytes) -> None:
        if kind == PING:
            self.pings.append(payload)
        elif kind == CLOSE:
            self.close_code = int.from_bytes(payload[:2], "big") if len(payload) > 1 else 1005
        elif kind != PONG:
            raise BadFrame("a frame of an unknown kind")


def _long_size(data: bytes | bytearray, at: int, size: int) -> tuple[int, int]:
    """The payload's size, and where it starts; beyond all data while these bytes are missing."""
    if size > _LONG:
        raise BadFrame("a server's frames are not masked")
    start = at + (4 if size == _SHORT else 10)
    if len(data) < start:
        return 0, start
    size = int.from_bytes(data[at + 2 : start], "big")
    if size > LONGEST_MESSAGE:
        raise BadFrame("a frame is too long")
    return size, start


def masked(kind: int, payload: bytes) -> bytes:
    """One whole frame as a client sends it."""
    size = len(payload)
    if size < _SHORT:
        head = bytes((FIN | kind, MASKED | size))
    elif size < 1 << 16:
        head = bytes((FIN | kind, MASKED | _SHORT)) + size.to_bytes(2, "big")
    else:
        head = bytes((FIN | kind, MASKED | _LONG)) + size.to_bytes(8, "big")
    key = os.urandom(4)
    keys = (key * (size // 4 + 1))[:size]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")
    return head + key + mixed.to_bytes(size, "big")
