"""What can be told of an image from the head of its file: its kind and its size in pixels."""

import base64
import binascii
import struct
from math import ceil

import msgspec

LONGEST_EDGE = 1568
"""Pixels; a longer image is scaled down to it before it is read."""
PIXELS_PER_TOKEN = 750

HEAD = 262_144
"""Characters of base64 within which the size is looked for (a multiple of 4)."""

_SIZED_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class Image(msgspec.Struct, frozen=True):
    """An image's media type, and its size in pixels."""

    media_type: str
    width: int
    height: int

    @property
    def tokens(self) -> int:
        """What it costs: width * height / 750, once its longest edge is within 1568 pixels."""
        scale = min(1.0, LONGEST_EDGE / max(self.width, self.height))
        return max(1, ceil(self.width * scale * self.height * scale / PIXELS_PER_TOKEN))


def read_image(data: str) -> Image | None:
    """The image in this base64; None when it is none of PNG, JPEG, GIF and WebP."""
    try:
        raw = base64.b64decode(data[:HEAD], validate=True)
        return _read(raw)
    except (binascii.Error, ValueError, struct.error, IndexError):
        return None


def _read(raw: bytes) -> Image | None:
    if raw.startswith(b"\x89PNG\r\n\x1a\n"):
        return _sized("image/png", *struct.unpack(">II", raw[16:24]))
    if raw.startswith((b"GIF87a", b"GIF89a")):
        return _sized("image/gif", *struct.unpack("<HH", raw[6:10]))
    if raw.startswith(b"\xff\xd8\xff"):
        return _read_jpeg(raw)
    if raw.startswith(b"RIFF") and raw[8:12] == b"WEBP":
        return _read_webp(raw)
    return None


def _sized(media_type: str, width: int, height: int) -> Image | None:
    return Image(media_type, width, height) if width and height else None


def _read_jpeg(raw: bytes) -> Image | None:
    """Walk from segment to segment, to the frame header."""
    at = 2
    while raw[at] == 0xFF:
        if raw[at + 1] in _SIZED_FRAMES:
            height, width = struct.unpack(">HH", raw[at + 5 : at + 9])
            return _sized("image/jpeg", width, height)
        at += 2 + int.from_bytes(raw[at + 2 : at + 4], "big")
    return None


def _read_webp(raw: bytes) -> Image | None:
    match raw[12:16]:
        case b"VP8 ":
            width, height = struct.unpack("<HH", raw[26:30])
            return _sized("image/webp", width & 0x3FFF, height & 0x3FFF)
        case b"VP8L":
            (bits,) = struct.unpack("<I", raw[21:25])
            return _sized("image/webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        case b"VP8X":
            width, height = (int.from_bytes(raw[at : at + 3], "little") for at in (24, 27))
            return _sized("image/webp", width + 1, height + 1)
        case _:
            return None
