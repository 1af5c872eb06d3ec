"""What stands before a block of thinking, as digests that grow with the conversation.

The rules are those of the page "Prefix checks on thinking blocks": the system prompt, the set of
tools and every message before the block count, and the earlier blocks of its own message.
Thinking does not, nor do `cache_control`, the order of tools, the order of keys and white space.

What the documents leave open is read strictly, so each of these is a change:

- a string in the place of a list that holds one text block, in `system` and in `content`
- two messages of one role in the place of one
- a field that is null in the place of one that is absent
- another URL of an image or a document (the real check compares the bytes behind it)
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.simulator.reply import Json
from gateway.simulator.signature import Prefix
from gateway.simulator.tool_definitions import is_deferred
from gateway.simulator.transcript import THOUGHTS, blocks_of

_encode = msgspec.json.Encoder(order="deterministic").encode


class Growing:
    """The prefix at a place that moves on: message by message, block by block."""

    def __init__(self, body: Json) -> None:
        system = body.get("system") or None  # nothing is shown of an empty one
        self._system = _digest(_encode(_plain_content(system)))
        self._tools: list[Json] = body.get("tools") or []
        self._referenced: set[str] = set()
        self._messages = b""

    def open(self, role: str) -> None:
        """A message of this role begins."""
        self._messages = _digest(self._messages + b"message" + role.encode())

    def add(self, part: Json | str) -> None:
        """A block of the message, or its whole text; thinking leaves no trace."""
        if isinstance(part, dict):
            if part.get("type") in THOUGHTS:
                return
            self._referenced.update(_references(part))
        self._messages = _digest(self._messages + _encode(_plain(part)))

    def here(self) -> Prefix:
        """The digests of all that came so far."""
        return Prefix(self._system, self._tool_set(), self._messages)

    def _tool_set(self) -> bytes:
        """A deferred tool counts from where something names it: before that nobody sees it."""
        seen = (
            _encode(_plain(tool))
            for tool in self._tools
            if not is_deferred(tool) or tool.get("name") in self._referenced
        )
        return _digest(b"\n".join(sorted(seen)))


def parts_of(message: Json) -> list[Any]:
    """What a message adds to the prefix: its blocks, or its one string."""
    content = message["content"]
    return [content] if isinstance(content, str) else list(content)


def _plain_content(content: Any) -> Any:
    return [_plain(block) for block in content] if isinstance(content, list) else content


def _plain(part: Any) -> Any:
    """A block without its breakpoints, those of the blocks inside it too."""
    if not isinstance(part, dict):
        return part
    plain = {name: value for name, value in part.items() if name != "cache_control"}
    match plain:
        case {"type": "tool_result", "content": list(content)}:
            plain["content"] = _plain_content(content)
        case {"type": "tool_addition", "tool": {"definition": definition, **more}}:
            plain["tool"] = {**more, "definition": _plain(definition)}
    return plain


def _references(block: Json) -> Iterator[str]:
    """The tools that a block names: an addition, or what a search for tools brought."""
    match block:
        case {"type": "tool_addition", "tool": {"type": "tool_reference", "name": str(name)}}:
            yield name
        case {"type": "tool_result"}:
            yield from _found(blocks_of(block.get("content")))
        case {"type": "tool_search_tool_result", "content": {"tool_references": list(found)}}:
            yield from _found(found)


def _found(parts: list[Any]) -> Iterator[str]:
    for part in parts:
        match part:
            case {"type": "tool_reference", "tool_name": str(name)}:
                yield name


def _digest(raw: bytes) -> bytes:
    return hashlib.blake2b(raw, digest_size=16).digest()
