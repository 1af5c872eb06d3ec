"""A tool's result, as MCP has it, in what the provider takes: text, and images of four kinds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from mcp_types import (
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from gateway.media.pictures import IMAGE_TYPES, is_base64
from protocol.provider.content import Block
from protocol.tools import ToolAnswer

Hide = Callable[[str], str]
"""Takes out of a text what nobody may see."""

LONGEST_IMAGE: Final = 5 * 1024 * 1024
"""Characters of base64 that the provider takes in one image."""
MOST_IMAGES: Final = 20
NO_OUTPUT: Final = "(The tool gave no output.)"
LONGEST_TEXT: Final = 256 * 1024
"""Characters of one answer's text; the rest is left out, and the model is told."""
_LONGEST_NAME = 200


def to_answer(result: CallToolResult, hide: Hide = str) -> ToolAnswer:
    """What the model is to see of a result; `hide` takes out of a text what nobody may see."""
    blocks = [_block(content, hide) for content in result.content]
    if result.structured_content is not None and all(block.get("text") == "" for block in blocks):
        blocks = [_text(json.dumps(result.structured_content, ensure_ascii=False))]
    # Before anything is cut: half a key would not be found.
    blocks = [_text(hide(block["text"])) if "text" in block else block for block in blocks]
    blocks = _bounded([block for block in blocks if block.get("text") != ""])
    if all(block["type"] == "text" for block in blocks):
        text = "\n".join(block["text"] for block in blocks)
        nothing = "The tool failed and gave no reason." if result.is_error else NO_OUTPUT
        return ToolAnswer(content=text or nothing, is_error=result.is_error)
    return ToolAnswer(content=blocks, is_error=result.is_error)


def _block(content: ContentBlock, hide: Hide) -> Block:
    match content:
        case TextContent(text=text) | EmbeddedResource(resource=TextResourceContents(text=text)):
            return _text(text)
        case ImageContent():
            return _image(content, hide)
        case EmbeddedResource(resource=resource):
            return _note("a resource that is no text", resource.uri, resource.mime_type, hide)
        case ResourceLink():
            return _note("a link to a resource", content.uri, content.mime_type, hide)
        case _:
            return _note("a sound", None, content.mime_type, hide)


def _image(image: ImageContent, hide: Hide) -> Block:
    kind = image.mime_type.lower()
    if kind not in IMAGE_TYPES or len(image.data) > LONGEST_IMAGE or not is_base64(image.data):
        return _note("an image that cannot be shown", None, image.mime_type, hide)
    source = {"type": "base64", "media_type": kind, "data": image.data}
    return {"type": "image", "source": source}


def _note(what: str, where: str | None, kind: str | None, hide: Hide) -> Block:
    details = ", ".join(hide(str(one))[:_LONGEST_NAME] for one in (kind, where) if one)
    return _text(f"[The tool gave {what}{f': {details}' if details else ''}.]")


def _text(text: str) -> Block:
    return {"type": "text", "text": text.replace("\0", "\N{REPLACEMENT CHARACTER}")}


def _bounded(blocks: list[Block]) -> list[Block]:
    """The blocks without what is too much, and a note of it."""
    kept: list[Block] = []
    room, images, cut = LONGEST_TEXT, 0, 0
    for block in blocks:
        if block["type"] == "image":
            images += 1
            if images <= MOST_IMAGES:
                kept.append(block)
        elif len(block["text"]) <= room:
            room -= len(block["text"])
            kept.append(block)
        else:
            cut += len(block["text"]) - room
            if room:
                kept.append(_text(block["text"][:room]))
            room = 0
    if cut:
        kept.append(_text(f"[{cut} further characters of the tool's output are left out.]"))
    if images > MOST_IMAGES:
        kept.append(_text(f"[{images - MOST_IMAGES} further images are left out.]"))
    return kept
