"""Counting: the tokens of texts, and those of pictures and documents, which are no text.

A message is counted once, when it is stored, and a text that comes with every request once, when
it is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from actors.attachments import attached_by
from actors.ports import Media, Tokenizer
from protocol.provider.content import Block
from protocol.records import Attached

KEPT_CHARACTERS = 4_194_304
"""Of texts whose count is remembered; beyond that it begins anew."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Block]).decode


class Measure(NamedTuple):
    """Tokens of a content: of its text as the tokenizer counts, and of what is no text.

    `thinking` is a part of the text.
    """

    counted: int
    thinking: int = 0
    media: int = 0
    attached: Attached = Attached()


class Counter:
    """Counts, and remembers the counts of what comes again."""

    def __init__(self, tokenizer: Tokenizer, media: Media) -> None:
        self._tokenizer = tokenizer
        self._media = media
        self._counts: dict[str, int] = {}
        self._characters = 0

    async def measure(self, model: str, contents: Sequence[bytes]) -> list[Measure]:
        """What each content, as JSON, weighs for `model`."""
        found = [countable(content) for content in contents]
        texts = [text for text, _ in found] + [_thoughts(content) for content in contents]
        counts = await self._tokenizer.count_many(texts)
        whole, thinking = counts[: len(found)], counts[len(found) :]
        return [
            await self._measured(model, counted, thought, media)
            for counted, thought, (_, media) in zip(whole, thinking, found, strict=True)
        ]

    async def _measured(
        self, model: str, counted: int, thinking: int, media: list[Block]
    ) -> Measure:
        if not media:
            return Measure(counted, thinking)
        weights = await self._media.weigh(model, media)
        attached = [attached_by(*one) for one in zip(media, weights, strict=True)]
        tokens = sum(weight.tokens for weight in weights)
        return Measure(counted, thinking, tokens, sum(attached, Attached()))

    async def count_again(self, text: str) -> int:
        """Tokens of a text that comes again and again: counted once."""
        if not text:
            return 0
        count = self._counts.get(text)
        if count is None:
            (count,) = await self._tokenizer.count_many([text])
            self._remember(text, count)
        return count

    def _remember(self, text: str, count: int) -> None:
        if self._characters + len(text) > KEPT_CHARACTERS:
            self._counts.clear()
            self._characters = 0
        self._counts[text] = count
        self._characters += len(text)


def countable(content: bytes) -> tuple[str, list[Block]]:
    """What to count of a content's JSON: its text, and the pictures and documents in it.

    A document that is text is both.
    Signatures and encrypted pieces are left out; of tool calls the JSON is counted.
    """
    decoded = msgspec.json.decode(content)
    if isinstance(decoded, str):
        return decoded, []
    texts: list[str] = []
    media: list[Block] = []
    for block in decoded:
        texts += _texts(block, media)
    return "\n".join(texts), media


def _thoughts(content: bytes) -> str:
    """The text of a content's thinking."""
    if b'"thinking"' not in content or content.startswith(b'"'):
        return ""  # nearly always, and without reading it
    blocks = _decode(content)
    return "\n".join(str(one.get("thinking", "")) for one in blocks if one["type"] == "thinking")


def _texts(block: dict[str, Any], media: list[Block]) -> list[str]:
    """A block's texts; what is no text is put into `media`."""
    match block:
        case {"type": "text", "text": str(text)} | {"type": "thinking", "thinking": str(text)}:
            return [text]
        case {"type": "redacted_thinking"}:
            return []
        case {"type": "image"}:
            media.append(block)
            return []
        case {"type": "document", "source": dict(source)}:
            media.append(block)
            texts = [str(block[name]) for name in ("title", "context") if block.get(name)]
            return [*texts, str(source.get("data"))] if source.get("type") == "text" else texts
        case {"type": "tool_result", "content": list(parts)}:
            rest = {name: value for name, value in block.items() if name != "content"}
            return [
                _encode(rest).decode(),
                *(text for part in parts for text in _texts(part, media)),
            ]
    return [_encode(_readable(block) if _is_brought(block) else block).decode()]


def _is_brought(block: dict[str, Any]) -> bool:
    """Whether it is what one of the provider's own tools brought."""
    return str(block.get("type", "")).endswith("_tool_result")


def _readable(value: Any, levels: int = 6) -> Any:
    """What the provider's tools brought, without what is no text: what is encrypted, or a file.

    Its results are flat: what is deeper than `levels` is left as it is.
    """
    match value:
        case list() if levels:
            return [_readable(one, levels - 1) for one in value]
        case {"type": "base64"}:
            return {name: one for name, one in value.items() if name != "data"}
        case dict() if levels:
            return {
                name: _readable(one, levels - 1)
                for name, one in value.items()
                if not name.startswith("encrypted_")
            }
    return value
