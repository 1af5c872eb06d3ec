"""A content block of an answer: how it begins, how it grows, and what text is in it."""

from __future__ import annotations

import json
from types import UnionType
from typing import get_args

import msgspec

from protocol.free_form import HEAVIEST, is_too_deep, weight
from protocol.provider import halves
from protocol.provider.content import Block
from protocol.provider.events import (
    BlockDelta,
    CitationsDelta,
    InputJsonDelta,
    MalformedEvent,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
)

_BEGINNINGS: dict[str, dict[str, type | UnionType]] = {
    "text": {"text": str | None},
    "thinking": {"thinking": str | None},
    "server_tool_use": {"id": str},
}
"""What the fields of a block must be, by its type. A block of another type may have any fields."""

_ANY: tuple[type[BlockDelta], ...] = get_args(BlockDelta)
_GROWTHS: dict[str, tuple[type[BlockDelta], ...]] = {
    "text": (TextDelta, CitationsDelta),
    "thinking": (ThinkingDelta, SignatureDelta),
    "redacted_thinking": (),
    "tool_use": (InputJsonDelta,),
    "server_tool_use": (InputJsonDelta,),
}
"""How a block grows, by its type. A block of another type may grow in any way."""


def _check(block: Block) -> None:
    kind = block.get("type")
    if not isinstance(kind, str):
        raise MalformedEvent("a content block without a type")
    for field, wanted in _BEGINNINGS.get(kind, {}).items():
        if not isinstance(block.get(field), wanted):
            raise MalformedEvent(f"a content block of the type {kind} with a wrong {field}")
    if kind.endswith("tool_result") and not isinstance(block.get("tool_use_id", ""), str):
        raise MalformedEvent("a result of a tool whose use is not named")
    if is_too_deep({**block, "input": None}):  # arguments are judged when they are whole
        raise MalformedEvent("a content block that is nested too deeply")


_TEXTS = ("type", "url", "encrypted_content", "encrypted_index", "cited_text", "error_code")
"""Fields of a citation, and of what a tool of the provider's brought, that are texts or not there.
"""


def goes_back(part: object) -> bool:
    """Whether the provider takes back a part of a block, as far as it is looked at here."""
    return isinstance(part, dict) and all(isinstance(part.get(one, ""), str) for one in _TEXTS)


def _cited(block: Block) -> Block:
    """The block with those of its citations that can be sent back."""
    told = block.get("citations")
    if block["type"] != "text" or told is None:
        return block
    if not isinstance(told, list):
        return {field: value for field, value in block.items() if field != "citations"}
    return {**block, "citations": [one for one in told if goes_back(one)]}


def _growths(kind: str) -> tuple[type[BlockDelta], ...]:
    return _GROWTHS.get(kind, () if kind.endswith("tool_result") else _ANY)


class OpenBlock:
    """A block that still grows: what it began with, and its pieces.

    Raises MalformedEvent for a beginning that cannot be read, and would not be taken back.
    """

    def __init__(self, begun: Block) -> None:
        _check(begun)
        self.begun = _cited(begun)
        self._growths = _growths(begun["type"])
        self.text: list[str] = []
        self.thinking: list[str] = []
        self.json: list[str] = []
        self.signature: list[str] = []
        self.citations: list[Block] = []
        self.is_known = True
        """Whether it grew only in ways that are known, so that it can be sent back as it is."""

    def grow(self, delta: BlockDelta) -> None:
        """Add a piece. One that is of another type than the block has no place in it."""
        if not isinstance(delta, self._growths):
            self.is_known = False
            return
        if isinstance(delta, TextDelta):
            self.text.append(delta.text)
        elif isinstance(delta, ThinkingDelta):
            self.thinking.append(delta.thinking)
        elif isinstance(delta, InputJsonDelta):
            self.json.append(delta.partial_json)
        elif isinstance(delta, SignatureDelta):
            self.signature.append(delta.signature)
        elif goes_back(delta.citation):
            self.citations.append(delta.citation)

    def whole(self) -> Block:
        """The block with all of its pieces."""
        block = dict(self.begun)
        if self.text:
            block["text"] = "".join([text_in(block, "text"), *self.text])
        if self.thinking:
            block["thinking"] = "".join([text_in(block, "thinking"), *self.thinking])
        if self.signature:
            block["signature"] = "".join(self.signature)
        if self.citations:
            begun = block.get("citations")
            block["citations"] = [*(begun if isinstance(begun, list) else ()), *self.citations]
        arguments = "".join(self.json)
        if arguments:  # else its input stands as it began: some send it whole
            block["input"] = _arguments(arguments)
        elif block.get("type") == "tool_use":
            block.setdefault("input", {})
        return block


def _arguments(text: str) -> object:
    """The arguments that were written; what is no JSON, or too heavy, stays the text that it is."""
    if weight(text.encode()) > HEAVIEST:
        return text
    try:
        return _decode_arguments(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _decode_arguments(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:  # the model may have written half a character
        return msgspec.json.decode(halves.dumps(halves.loads(text.encode())))


def text_in(block: Block, field: str) -> str:
    """The text in this field; none where it has something else."""
    text = block.get(field)
    return text if isinstance(text, str) else ""


def text_of(block: Block) -> str:
    """What the model has written of a block: its text, its thinking or its arguments."""
    match block:
        case {"type": "text", "text": str(text)} | {"type": "thinking", "thinking": str(text)}:
            return text
        case {"input": dict(arguments)} if arguments and not is_too_deep(arguments):
            return json.dumps(arguments, ensure_ascii=False)
    return ""
