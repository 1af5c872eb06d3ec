"""What pictures and documents cost in tokens, and which of them the provider would refuse.

Sources, November 2026, all of the provider's documentation: its page on vision (a picture costs a
token for each patch of 28 by 28 pixels, once it is scaled down to what its model sees), its page
on PDF support, and its reference of the Messages API. An earlier edition of the first said width
times height divided by 750, which is the same but for the padding at the edges.

Sizes are read from the first bytes of a picture, and its format is told by them too; what makes no
sense counts as a picture of usual size: an estimate never fails.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from math import ceil, sqrt
from typing import Any, Final, NamedTuple, TypeGuard
from urllib.parse import urlsplit

from protocol.provider.content import Block

MIB: Final = 1024 * 1024

USUAL_TOKENS: Final = 1_600
"""A picture whose size cannot be told, one at an address among them."""

PAGE_TOKENS: Final = 1_500 + 1_568
"""A PDF's page: its text, by the lower of the provider's two figures (1,500 to 3,000), and its
picture. Pages counted by others came to 1,600 (a scan), 2,300 (text) and 3,150 (dense text)."""

PAGE_BYTES: Final = 50_000
"""A PDF's page, where pages cannot be counted: between pure text (5 KB) and scans (200 KB)."""

URL_DOCUMENT_TOKENS: Final = 10 * PAGE_TOKENS
"""A PDF at an address, which is not fetched: a guess of ten pages."""

MOST_IMAGE_BASE64: Final = 10 * MIB
MOST_PDF_BASE64: Final = 32 * MIB
"""The provider's limit for a whole request, of which the document is a part."""

LONGEST_EDGE: Final = 8_000
"""Pixels; a larger picture is refused."""

IMAGE_TYPES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")

_BEGINNINGS: Final = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}

_HEAD: Final = 256 * 1024
"""Bytes of a picture that are looked at: a JPEG's size comes after its EXIF and colour profile."""

_SCANNED: Final = 8 * MIB
"""Bytes of a PDF in which pages are counted; of a longer one the rest is taken to be alike."""

_PATCH: Final = 28
_PAGE = re.compile(rb"/Type\s{0,8}/Page(?![A-Za-z])")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_VERSION = re.compile(r"(?<![0-9])([0-9]{1,2})(?:[-.]([0-9]{1,2}))?(?![0-9])")


class Resolution(NamedTuple):
    """What a model sees of a picture: pixels of the longest edge, and tokens."""

    edge: int
    tokens: int


STANDARD: Final = Resolution(edge=1_568, tokens=1_568)
HIGH: Final = Resolution(edge=2_576, tokens=4_784)
"""Models from 4.7 on."""


class Size(NamedTuple):
    """Pixels."""

    width: int
    height: int


def resolution_of(model: str) -> Resolution:
    """What a model sees, by the version in its id; without one it is taken for a new model."""
    version = _VERSION.search(model)
    if version is None:
        return HIGH
    return HIGH if (int(version[1]), int(version[2] or 0)) >= (4, 7) else STANDARD


def media_tokens(block: Block, resolution: Resolution = STANDARD) -> int:
    """About what an `image` or `document` costs beside its text; 0 for any other block."""
    match block:
        case {"type": "image", "source": {"type": "base64", "data": str(data)} as source}:
            return picture_tokens(str(source.get("media_type")), data, resolution)
        case {"type": "image"}:
            return USUAL_TOKENS
        case {"type": "document", "source": {"type": "base64", "data": str(data)}}:
            return pdf_tokens(data)
        case {"type": "document", "source": {"type": "url"}}:
            return URL_DOCUMENT_TOKENS
    return 0


def picture_tokens(media_type: str, data: str | bytes, resolution: Resolution = STANDARD) -> int:
    """About what a picture, given in base64, costs. Only its head is decoded. Never raises."""
    size = picture_size(_head(data, _HEAD)) if media_type in IMAGE_TYPES else None
    return USUAL_TOKENS if size is None else _patches(*_scaled(size, resolution))


def longest_edge(block: Block) -> int:
    """Pixels of the longer side of a picture; 0 where they are not told, and for other blocks."""
    match block:
        case {"type": "image", "source": {"type": "base64", "data": str(data)}}:
            size = picture_size(_head(data, _HEAD))
            return 0 if size is None else max(size)
    return 0


def pdf_tokens(data: str | bytes) -> int:
    """About what a PDF, given in base64, costs: its pages times `PAGE_TOKENS`. Never raises."""
    return (_pages(data) or ceil(len(data) * 3 / 4 / PAGE_BYTES) or 1) * PAGE_TOKENS


def _pages(data: str | bytes) -> int:
    """The pages of a PDF, given in base64; 0 when none is seen.

    A page is an object of `/Type /Page` (ISO 32000-1, section 7.7.3.3). Those in compressed object
    streams are not seen. A page that was changed later is there, and counted, once more.
    """
    size = len(data) * 3 // 4
    seen = _head(data, _SCANNED)
    pages = sum(1 for _ in _PAGE.finditer(seen))
    if pages and size > len(seen):
        pages = pages * size // len(seen)
    return pages


def _is_plain(data: str) -> bool:
    """Whether a PDF, given in base64, was never changed and is short: its pages can be counted."""
    seen = _head(data, _SCANNED)
    return len(seen) >= len(data) * 3 // 4 - 2 and seen.count(b"%%EOF") <= 1


def check_media(block: Block, most_pages: int) -> str | None:
    """Why the provider would refuse an `image` or `document`; `None` when it would not.

    A document may have `most_pages`.
    """
    match block:
        case {"type": "image", "source": {"type": "base64"} as source}:
            return _check_picture(source)
        case {"type": "document", "source": {"type": "base64"} as source}:
            return _check_pdf(source, most_pages)
        case {"type": "document", "source": {"type": "text"} as source}:
            return _check_text(source)
        case {"type": "image" | "document", "source": {"type": "url"} as source}:
            return _check_url(source)
        case {"type": "image" | "document" as kind}:
            return f"the source of this {kind} is of no known type"
    return None


def picture_size(head: bytes) -> Size | None:
    """The size that the first bytes of a PNG, JPEG, GIF or WebP tell; `None` when they don't."""
    try:
        size = _read_size(head)
    except (struct.error, IndexError):  # it ends too early
        return None
    return size if size is not None and min(size) > 0 else None


def _read_size(head: bytes) -> Size | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR":
        return Size(*struct.unpack_from(">II", head, 16))
    if head.startswith((b"GIF87a", b"GIF89a")):
        return Size(*struct.unpack_from("<HH", head, 6))
    if head.startswith(b"\xff\xd8"):
        return _jpeg_size(head)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _webp_size(head)
    return None


def _jpeg_size(head: bytes) -> Size | None:
    """From the frame header (ITU T.81, B.2.2), behind any number of other segments."""
    at = 2
    while head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return Size(width, height)
        elif marker in {0x01, *range(0xD0, 0xD8)}:  # no length
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", head, at + 2)[0]
    return None


def _webp_size(head: bytes) -> Size | None:
    """From the first chunk (RFC 9649, section 2.5 to 2.7)."""
    match head[12:16]:
        case b"VP8 " if head[23:26] == b"\x9d\x01\x2a":
            width, height = struct.unpack_from("<HH", head, 26)
            return Size(width & 0x3FFF, height & 0x3FFF)
        case b"VP8L" if head[20] == 0x2F:
            (bits,) = struct.unpack_from("<I", head, 21)
            return Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        case b"VP8X":
            low, high, low_, high_ = struct.unpack_from("<HBHB", head, 24)
            return Size((high << 16 | low) + 1, (high_ << 16 | low_) + 1)
    return None


def _scaled(size: Size, resolution: Resolution) -> tuple[float, float]:
    """The largest size of the same shape that the model sees."""
    width, height = size
    factor = min(1.0, resolution.edge / max(size))
    width, height = max(1, int(width * factor)), max(1, int(height * factor))
    while _patches(width, height) > resolution.tokens:
        shrink = min(0.999, sqrt(resolution.tokens / _patches(width, height)))
        width, height = max(1, int(width * shrink)), max(1, int(height * shrink))
    return width, height


def _patches(width: float, height: float) -> int:
    return ceil(width / _PATCH) * ceil(height / _PATCH)


def _head(data: str | bytes, size: int) -> bytes:
    """The first `size` bytes of what is in base64; what is no base64 gives nothing."""
    piece = data[: (size + 2) // 3 * 4]
    try:
        return base64.b64decode(piece[: len(piece) // 4 * 4])
    except (binascii.Error, ValueError):
        return b""


def _check_picture(source: dict[str, Any]) -> str | None:
    if source.get("media_type") not in IMAGE_TYPES:
        return f"a picture must be one of {', '.join(IMAGE_TYPES)}"
    data = source.get("data")
    if not is_base64(data):
        return "the picture's data is not base64"
    if len(data) > MOST_IMAGE_BASE64:
        return f"a picture may have at most {MOST_IMAGE_BASE64 // MIB} MB in base64"
    head = _head(data, _HEAD)
    found = _format(head)
    if found is None:
        return f"the picture's data is none of {', '.join(IMAGE_TYPES)}"
    if found != source["media_type"]:
        return f"the picture is {found}, and not {source['media_type']} as it says"
    size = picture_size(head)
    if size is None and (found != "image/jpeg" or len(head) < _HEAD):  # a JPEG's may come late
        return "the picture is broken: its size cannot be read"
    if size is not None and max(size) > LONGEST_EDGE:
        return (
            f"a picture may have at most {LONGEST_EDGE} by {LONGEST_EDGE} pixels; "
            f"this has {size.width} by {size.height}"
        )
    return None


def _format(head: bytes) -> str | None:
    """The MIME type that the first bytes of a picture tell."""
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for begin, kind in _BEGINNINGS.items() if head.startswith(begin)), None)


def _check_pdf(source: dict[str, Any], most_pages: int) -> str | None:
    if source.get("media_type") != "application/pdf":
        return "a document in base64 must be application/pdf; plain text goes into a text source"
    data = source.get("data")
    if not is_base64(data):
        return "the document's data is not base64"
    if len(data) > MOST_PDF_BASE64:
        return f"a PDF may have at most {MOST_PDF_BASE64 // MIB} MB in base64"
    if not _head(data, 6).startswith(b"%PDF-"):
        return "the document's data is no PDF"
    if _is_plain(data) and (pages := _pages(data)) > most_pages:
        return f"this model takes at most {most_pages} pages of a PDF; this has {pages}"
    return None


def _check_text(source: dict[str, Any]) -> str | None:
    if source.get("media_type", "text/plain") != "text/plain":
        return "a document given as text must be text/plain"
    if not source.get("data"):
        return "the document's text is empty"
    return None


def _check_url(source: dict[str, Any]) -> str | None:
    try:
        parts = urlsplit(str(source.get("url")))
    except ValueError:  # brackets that are no IPv6 address
        parts = urlsplit("")
    if parts.scheme != "https" or not parts.hostname:
        return "the address must begin with https:// and name a host"
    return None


def is_base64(data: object) -> TypeGuard[str]:
    """Whether it is base64 as the provider takes it: padded, without line breaks."""
    return (
        isinstance(data, str)
        and bool(data)
        and len(data) % 4 == 0
        and _BASE64.fullmatch(data) is not None
    )
