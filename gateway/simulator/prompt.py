"""A prompt as the model reads it: tools, then system, then messages, in measured segments.

A segment is a block with its tokens and, where the request put one, a cache breakpoint. The
tokenizer is this module's own: bytes divided by a ratio. It is deterministic and cheap, and like
any other tokenizer it is not a client's estimate.
"""

import hashlib
from collections.abc import Iterator
from math import ceil
from typing import Any

import msgspec

from gateway.simulator.reply import Json

BYTES_PER_TOKEN = 3.6
TOKENS_PER_MESSAGE = 4
TOKENS_PER_TOOL = 12
TOKENS_FOR_TOOLS = 290
TOKENS_PER_IMAGE = 1_500
TOKENS_PER_PDF = 3_000

_encoder = msgspec.json.Encoder(order="deterministic")


class Segment(msgspec.Struct, frozen=True):
    """One block of the prompt. `ttl` is set where a cache breakpoint ends it: "5m" or "1h"."""

    tokens: int
    digest: bytes
    ttl: str | None = None


def count_tokens(text: str, ratio: float = BYTES_PER_TOKEN) -> int:
    """The tokens of a text: its UTF-8 bytes, divided by `ratio`, rounded up."""
    return ceil(len(text.encode()) / ratio)


def blocks_of(content: Any) -> list[Json]:
    """A message's content as blocks; a string is one text block."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content if isinstance(content, list) else []


def segments(body: Json, ratio: float = BYTES_PER_TOKEN) -> list[Segment]:
    """The request's prompt, in the order in which it is read and cached."""
    found = list(_segments(body, ratio))
    ttl = _ttl(body)
    if ttl and found:
        found[-1] = msgspec.structs.replace(found[-1], ttl=ttl)
    return found


def _segments(body: Json, ratio: float) -> Iterator[Segment]:
    for position, tool in enumerate(body.get("tools") or []):
        extra = TOKENS_PER_TOOL + (0 if position else TOKENS_FOR_TOOLS)
        yield _segment("tool", tool, ratio, extra)
    for block in blocks_of(body.get("system") or []):
        yield _segment("system", block, ratio, 0)
    # A change of these two costs the messages their cache, and leaves tools and system theirs.
    settings = _encoder.encode([body.get("thinking"), body.get("tool_choice")])
    for message in body["messages"]:
        extra = TOKENS_PER_MESSAGE
        for block in blocks_of(message["content"]):
            yield _segment(message["role"], block, ratio, extra, settings)
            extra, settings = 0, b""


def _segment(role: str, block: Json, ratio: float, extra: int, salt: bytes = b"") -> Segment:
    canonical = _encoder.encode({k: v for k, v in block.items() if k != "cache_control"})
    digest = hashlib.blake2b(role.encode() + salt + canonical, digest_size=16).digest()
    return Segment(_measure(block, canonical, ratio) + extra, digest, _ttl(block))


def _measure(block: Json, canonical: bytes, ratio: float) -> int:
    match block:
        case {"type": "text", "text": str(text)}:
            return count_tokens(text, ratio)
        case {"type": "thinking", "thinking": str(text)}:
            return count_tokens(text, ratio)
        case {"type": "redacted_thinking"}:
            return 0
        case {"type": "image"}:
            return TOKENS_PER_IMAGE
        case {"type": "document", "source": {"type": "base64" | "url" | "file"}}:
            return TOKENS_PER_PDF
        case {"type": "tool_result", "content": list(parts)}:
            return TOKENS_PER_MESSAGE + sum(
                _measure(part, _encoder.encode(part), ratio) for part in parts
            )
        case _:
            return ceil(len(canonical) / ratio)


def _ttl(owner: Json) -> str | None:
    control = owner.get("cache_control")
    if not isinstance(control, dict):
        return None
    return str(control.get("ttl") or "5m")
