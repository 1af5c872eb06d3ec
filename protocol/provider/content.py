"""Conversation content: blocks in the provider's shapes.

A client may send text, images and documents; these are typed, so that a bad one is refused by
name. What the model answered is kept as the provider sent it (`Block`), exactly: thinking blocks
are bound to the transcript by their signatures.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from protocol.bounds import MOST_BLOCKS, MOST_SCHEMA_NODES

Block = dict[str, Any]
"""One content block of the Messages API, as decoded JSON."""

Role = Literal["user", "assistant"]

DEEPEST = 64
"""Levels that free-form JSON may nest: every codec on its further way recurses."""


HEAVIEST = 400_000
"""What the JSON of a block may weigh: a comma weighs one, an opening bracket four.

Decoding costs about 0.2 us a list, and every walk over it more. Megabytes of a text weigh far less.
"""


class Base64Source(msgspec.Struct, frozen=True, tag_field="type", tag="base64"):
    """Bytes in base64 with their MIME type."""

    media_type: str
    data: str


class UrlSource(msgspec.Struct, frozen=True, tag_field="type", tag="url"):
    """An address that the provider fetches itself."""

    url: str


class PlainTextSource(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """A document's text, given inline; `media_type` is `text/plain`."""

    data: str
    media_type: str = "text/plain"


class TextBlock(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """A piece of text."""

    text: str


class ImageBlock(msgspec.Struct, frozen=True, tag_field="type", tag="image"):
    """A picture."""

    source: Base64Source | UrlSource


class CitationsSwitch(msgspec.Struct, frozen=True):
    """Whether the model should cite the document."""

    enabled: bool


class DocumentBlock(
    msgspec.Struct, frozen=True, tag_field="type", tag="document", omit_defaults=True
):
    """A document, with an optional title and context that the model reads next to it."""

    source: Base64Source | UrlSource | PlainTextSource
    title: str | None = None
    context: str | None = None
    citations: CitationsSwitch | None = None


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


_typed = msgspec.json.Decoder(list[_Typed] | str)


def block_types(content: bytes) -> list[str]:
    """The types of a content's blocks, from its JSON; a string is one text block."""
    blocks = _typed.decode(content)
    return ["text"] if isinstance(blocks, str) else [block.type for block in blocks]


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


def is_json(value: Any) -> bool:
    """Whether free-form data is JSON that every codec takes: MessagePack can carry more.

    Keys are texts, numbers are finite, integers have 64 bits.
    """
    match value:
        case None | bool() | str():
            return True
        case int():
            return -(2**63) <= value < 2**64
        case float():
            return math.isfinite(value)
        case list():
            return all(is_json(item) for item in value)
        case dict():
            return all(isinstance(key, str) and is_json(item) for key, item in value.items())
    return False


def weight(text: bytes) -> int:
    """About how many parts the JSON in this text has; see `HEAVIEST`."""
    return text.count(b",") + 4 * (text.count(b"[") + text.count(b"{"))


_OWNERS = (dict, list)


def is_too_deep(value: Any, levels: int = DEEPEST) -> bool:
    """Whether decoded data nests lists and objects deeper than `levels`; walked by level."""
    level = [value] if type(value) in _OWNERS else []
    for _ in range(levels):
        if not level:
            return False
        level = [
            item
            for owner in level
            for item in (owner.values() if type(owner) is dict else owner)
            if type(item) in _OWNERS
        ]
    return bool(level)


def schema_fault(schema: Any) -> str | None:
    """Why a tool's schema cannot be sent on; `None` for one that can. Bounded, whatever it holds.

    It is walked level by level, and a level is counted before it is entered. It has been decoded,
    so its types are exactly these.
    """
    level, nodes, is_plain = [schema], 0, True
    for _ in range(DEEPEST):
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is dict:
                is_plain = is_plain and all(type(key) is str for key in item)
                below += item.values()
            elif kind is list:
                below += item
            elif kind is not str:
                is_plain = is_plain and is_json(item)
        nodes += len(below)
        if nodes > MOST_SCHEMA_NODES:
            return f"it has more than {MOST_SCHEMA_NODES} values."
        if not below:
            break
        level = below
    else:
        if any(isinstance(item, dict | list) for item in level):
            return f"it nests deeper than {DEEPEST} levels."
        is_plain = is_plain and all(map(is_json, level))
    if not is_plain:
        return "only JSON can be sent on: texts as keys, finite numbers, integers of 64 bits."
    return None
