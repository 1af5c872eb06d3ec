"""Images and documents in a request: what they cost, and which of them are refused.

The limits are those of the documentation's pages on vision, PDFs and request sizes.
"""

import base64
import binascii
import re
from typing import Any

from gateway.simulator.errors import ApiError, invalid
from gateway.simulator.image import Image, read_image
from gateway.simulator.models import ModelSpec
from gateway.simulator.reply import Json
from gateway.simulator.transcript import blocks_of, every_block

IMAGE_LIMIT = 10 * 1024 * 1024
"""Characters of base64."""
EDGE_LIMIT = 8000
EDGE_LIMIT_AMONG_MANY = 2000
MANY = 20
ATTACHMENTS = 600
ATTACHMENTS_OF_SMALL_WINDOW = 100
SMALL_WINDOW = 200_000

TOKENS_PER_UNSEEN_IMAGE = 1_600
"""An image by URL or by file."""
TOKENS_PER_PAGE = 2_000
"""Of a PDF; a page costs 1,500 to 3,000."""

MEDIA_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")

_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")


def image_tokens(source: Any) -> int:
    """The tokens of an image; one that cannot be seen here costs a constant."""
    match source:
        case {"type": "base64", "data": str(data)}:
            image = read_image(data)
            return image.tokens if image else TOKENS_PER_UNSEEN_IMAGE
        case _:
            return TOKENS_PER_UNSEEN_IMAGE


def pdf_tokens(source: Any) -> int:
    """The tokens of a PDF; one that cannot be seen here is taken for a single page."""
    return TOKENS_PER_PAGE * _pages(source)


def _pages(source: Any) -> int:
    match source:
        case {"type": "base64", "data": str(data)}:
            return max(1, len(_PAGE.findall(_decoded(data) or b"")))
        case _:
            return 1


def _decoded(data: str) -> bytes | None:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None


def check_attachments(body: Json, model: ModelSpec) -> None:
    """Refuse images and documents that are too many, too large, or not what they say."""
    attached = [b for b in every_block(body["messages"]) if b.get("type") in ("image", "document")]
    images = sum(block["type"] == "image" for block in attached)
    most = ATTACHMENTS_OF_SMALL_WINDOW if model.window <= SMALL_WINDOW else ATTACHMENTS
    if len(attached) > most:
        documents = len(attached) - images
        raise invalid(f"messages: too many images and documents: {images} + {documents} > {most}")
    edge = EDGE_LIMIT_AMONG_MANY if images > MANY else EDGE_LIMIT
    for at, message in enumerate(body["messages"]):
        for place, block in enumerate(blocks_of(message["content"])):
            _check(block, f"messages.{at}.content.{place}", edge, most)


def _check(block: Json, place: str, edge: int, pages: int) -> None:
    match block:
        case {"type": "image"}:
            _check_image(block.get("source"), f"{place}.image.source", edge)
        case {"type": "document"}:
            _check_document(block.get("source"), f"{place}.document.source", pages)
        case {"type": "tool_result"}:
            for at, part in enumerate(blocks_of(block.get("content"))):
                _check(part, f"{place}.tool_result.content.{at}", edge, pages)


def _check_image(source: Any, place: str, edge: int) -> None:
    match source:
        case {"type": "base64", "data": str(data), "media_type": media_type}:
            if media_type not in MEDIA_TYPES:
                raise invalid(f"{place}.base64.media_type: Input should be {_choice(MEDIA_TYPES)}")
            _check_image_data(data, media_type, f"{place}.base64", edge)
        case {"type": "url", "url": str(url)} if url:
            _check_url(url, place)
        case {"type": "file", "file_id": str()}:
            pass
        case _:
            raise invalid(f"{place}: Input should be a base64, url or file source")


def _check_image_data(data: str, media_type: str, place: str, edge: int) -> None:
    if len(data) > IMAGE_LIMIT:
        raise invalid(
            f"{place}: image exceeds {IMAGE_LIMIT // 1024**2} MB maximum: "
            f"{len(data)} bytes > {IMAGE_LIMIT} bytes"
        )
    match read_image(data):
        case None:
            raise ApiError(400, "Could not process image")
        case Image(found) if found != media_type:
            raise invalid(
                f"{place}: The image was specified using the {media_type} media type, "
                f"but the image appears to be a {found} image"
            )
        case Image(_, width, height) if max(width, height) > edge:
            raise invalid(
                f"{place}.data: At least one of the image dimensions exceed max allowed size: "
                f"{edge} pixels"
            )


def _check_document(source: Any, place: str, most: int) -> None:
    match source:
        case {"type": "base64", "data": str(data), "media_type": "application/pdf"}:
            raw = _decoded(data)
            if raw is None or not raw.startswith(b"%PDF-"):
                raise invalid(f"{place}.base64.data: The PDF specified was not valid.")
            if _pages(source) > most:
                raise invalid(f"{place}: A maximum of {most} PDF pages may be provided.")
        case {"type": "text", "data": str(text), "media_type": "text/plain"}:
            if not text:
                raise invalid(f"{place}.text.data: String should have at least 1 character")
        case {"type": "content", "content": str() | list()} | {"type": "file", "file_id": str()}:
            pass
        case {"type": "url", "url": str(url)} if url:
            _check_url(url, place)
        case _:
            raise invalid(f"{place}: Input should be a base64, text, content, url or file source")


def _check_url(url: str, place: str) -> None:
    if not url.startswith("https://"):
        raise invalid(f"{place}.url.url: Only HTTPS URLs are supported.")


def _choice(words: tuple[str, ...]) -> str:
    quoted = [f"'{word}'" for word in words]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"
