"""Conversation content: blocks in the provider's shapes.

A client may send text, images and documents; these are typed, so that a bad one is refused by
name. What the model answered is kept as the provider sent it (`Block`), exactly: thinking blocks
are bound to the transcript by their signatures.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from protocol.bounds import MOST_BLOCKS

Block = dict[str, Any]
"""One content block of the Messages API, as decoded JSON."""

Role = Literal["user", "assistant"]


class Base64Source(msgspec.Struct, frozen=True, tag_field="type", tag="base64"):
    """Bytes in base64 with their MIME type."""

    media_type: str
    """The MIME type, as image/png."""
    data: str
    """The bytes in base64."""


class UrlSource(msgspec.Struct, frozen=True, tag_field="type", tag="url"):
    """An address that the provider fetches itself."""

    url: str
    """An https address."""


class PlainTextSource(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """A document's text, given inline; `media_type` is `text/plain`."""

    data: str
    """The text."""
    media_type: str = "text/plain"
    """Always text/plain."""


class TextBlock(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """A piece of text."""

    text: str
    """The text."""


class ImageBlock(msgspec.Struct, frozen=True, tag_field="type", tag="image"):
    """A picture."""

    source: Base64Source | UrlSource
    """Where its bytes are."""


class CitationsSwitch(msgspec.Struct, frozen=True):
    """Whether the model should cite the document."""

    enabled: bool
    """Whether it should."""


class DocumentBlock(
    msgspec.Struct, frozen=True, tag_field="type", tag="document", omit_defaults=True
):
    """A document, with an optional title and context that the model reads next to it."""

    source: Base64Source | UrlSource | PlainTextSource
    """Where its bytes or its text are."""
    title: str | None = None
    """The document's name, for the model."""
    context: str | None = None
    """What the model should know of the document."""
    citations: CitationsSwitch | None = None
    """Whether the model should cite it."""


UserBlock = TextBlock | ImageBlock | DocumentBlock
UserContent = str | Annotated[list[UserBlock], Meta(max_length=MOST_BLOCKS)]


def user_blocks(content: UserContent) -> list[Block]:
    """The provider's blocks for a client's `content`; a string becomes one text block."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    blocks: list[Block] = msgspec.to_builtins(content)
    return blocks


class _Typed(msgspec.Struct):
    type: str


_CITED = b'"citations":{"enabled":true}'
_typed = msgspec.json.Decoder(list[_Typed] | str)


def block_types(content: bytes) -> list[str]:
    """The types of a content's blocks, from its JSON; a string is one text block."""
    blocks = _typed.decode(content)
    return ["text"] if isinstance(blocks, str) else [block.type for block in blocks]


def has_cited_document(content: bytes) -> bool:
    """Whether a content has a document that the model is to cite, also as a tool's answer."""
    if _CITED not in content:
        return False
    waiting: list[Any] = [msgspec.json.decode(content)]
    while waiting:
        match waiting.pop():
            case list(blocks):
                waiting += blocks
            case {"type": "tool_result", "content": inner}:
                waiting.append(inner)
            case {"type": "document", "citations": {"enabled": True}}:
                return True
    return False


def has_sealed_text(content: bytes) -> bool:
    """Whether a content has text that only the provider can read (its pages on server tools).

    It stands in fields whose names begin with `encrypted_`. A text that speaks of such a field has
    its quotes escaped.
    """
    # A pattern takes several times as long to go through a picture.
    if b'"encrypted_' not in content:
        return False
    return b'{"encrypted_' in content or b',"encrypted_' in content


def plain_text(content: bytes) -> str | None:
    """The text of a content that is one text block and nothing else; `None` for any other."""
    match msgspec.json.decode(content):
        case [{"type": "text", "text": str(text), **rest}] if not rest:
            return text
        case str(text):
            return text
    return None


def is_blank(content: UserContent) -> bool:
    """Whether there is nothing for a model to read: the provider refuses blank text."""
    if isinstance(content, str):
        return not content.strip()
    return not content or any(
        isinstance(block, TextBlock) and not block.text.strip() for block in content
    )


def without_blank_texts(content: list[UserBlock]) -> list[UserBlock]:
    """The content without blank texts next to other blocks, which the provider refuses.

    Its reference of errors: "messages: text content blocks must contain non-whitespace text".
    """
    kept = [block for block in content if not isinstance(block, TextBlock) or block.text.strip()]
    return kept if kept and len(kept) < len(content) else content
