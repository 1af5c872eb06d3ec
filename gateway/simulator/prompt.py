"""A prompt as the model reads it: tools, then system, then messages, in measured segments.

A segment is a block with its tokens and, where the request put one, a cache breakpoint. What is
the same prefix has the same digests: a marker is no part of it, nor is it whether a text came as a
string or as a block, or in how many messages of one role. The order of keys in a tool's input and
schema is, since they are read as they are written.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.simulator.attachments import image_tokens, pdf_tokens
from gateway.simulator.reply import Json
from gateway.simulator.server_tools import is_result, readable
from gateway.simulator.tokenizer import BYTES_PER_TOKEN, ByteTokenizer
from gateway.simulator.tool_changes import definition_of, offered, starts_without_tools
from gateway.simulator.transcript import THOUGHTS, blocks_of, every_block, merged

TOKENS_PER_MESSAGE = 4
TOKENS_PER_TOOL = 12
DEFAULT_EFFORT = "high"

UNMARKABLE = THOUGHTS
"""Blocks that cannot carry a breakpoint."""
RUNS = ("tool_use", "tool_result")
"""Blocks of which a run counts as one position when the cache looks back."""

_sort = msgspec.json.Encoder(order="deterministic")
_encode = msgspec.json.Encoder().encode


class Segment(msgspec.Struct, frozen=True):
    """One block of the prompt. `ttl` is set where a cache breakpoint ends it: "5m" or "1h"."""

    tokens: int
    digest: bytes
    ttl: str | None = None
    kind: str = ""


def format_of(body: Json) -> Json | None:
    """The format that the answer is to have, if it is to have one."""
    found = (body.get("output_config") or {}).get("format")
    return found if isinstance(found, dict) else None


def count_tokens(text: str, ratio: float = BYTES_PER_TOKEN) -> int:
    """The tokens of a text: its UTF-8 bytes, divided by `ratio`, rounded up."""
    return ByteTokenizer(bytes_per_token=ratio).count(text)


def segments(body: Json, tokenizer: ByteTokenizer) -> list[Segment]:
    """The request's prompt, in the order in which it is read and cached, as it is billed."""
    found = list(_segments(body, tokenizer))
    _mark_automatically(found, ttl_of(body))
    return list(_billed(found, tokenizer, tokenizer.added(has_tools=bool(offered(body)))))


def _segments(body: Json, tokenizer: ByteTokenizer) -> Iterator[Segment]:
    salt = b"tools" if starts_without_tools(body) else b""
    if (schema := format_of(body)) is not None:  # told in a prompt of its own; all of it counts
        yield _segment("format", schema, tokenizer, 0)
    for tool in body.get("tools") or []:
        yield _segment("tool", tool, tokenizer, TOKENS_PER_TOOL, salt)
        salt = b""
    salt += _system_salt(body)
    for block in blocks_of(body.get("system") or []):
        yield _segment("system", block, tokenizer, 0, salt)
        salt = b""
    salt += _messages_salt(body)
    for message in merged(body["messages"]):
        extra = TOKENS_PER_MESSAGE
        for block in message["content"]:
            yield _segment(message["role"], block, tokenizer, extra, salt)
            extra, salt = 0, b""


def _system_salt(body: Json) -> bytes:
    """What costs the system prompt its cache, and leaves the tools theirs."""
    return _encode([body.get("speed") or "standard", cites(body)])


def cites(body: Json) -> bool:
    """Whether a document of the request is to be cited."""
    return any(b.get("citations") == {"enabled": True} for b in _documents(body))


def _documents(body: Json) -> Iterator[Json]:
    return (b for b in every_block(body["messages"]) if b.get("type") == "document")


def _messages_salt(body: Json) -> bytes:
    """What costs the messages their cache, and leaves tools and system theirs."""
    effort = (body.get("output_config") or {}).get("effort") or DEFAULT_EFFORT
    sees = any(block.get("type") == "image" for block in every_block(body["messages"]))
    return _sort.encode([body.get("thinking"), body.get("tool_choice"), effort, sees])


def _segment(
    role: str, block: Json, tokenizer: ByteTokenizer, extra: int, salt: bytes = b""
) -> Segment:
    canonical = _canonical(block)
    digest = hashlib.blake2b(role.encode() + salt + canonical, digest_size=16).digest()
    tokens = _measure(block, len(canonical), tokenizer) + extra
    return Segment(tokens, digest, _ttl_in(block), str(block.get("type")))


def _canonical(block: Json) -> bytes:
    """A block without its markers; one result of a tool in two spellings is one."""
    plain = {name: value for name, value in block.items() if name != "cache_control"}
    if plain.get("type") == "tool_result":
        parts = blocks_of(plain.get("content"))
        plain["content"] = [
            {name: value for name, value in part.items() if name != "cache_control"}
            for part in parts
        ]
    if (definition := definition_of(plain)) is not None:
        plain["tool"] = msgspec.Raw(_canonical(definition))
    for name in ("input", "input_schema"):
        if name in plain:
            plain[name] = msgspec.Raw(_encode(plain[name]))
    return _sort.encode(plain)


def _measure(block: Json, size: int, tokenizer: ByteTokenizer) -> int:
    match block:
        case {"type": "text", "text": str(text)} | {"type": "thinking", "thinking": str(text)}:
            return tokenizer.count(text)
        case {"type": "redacted_thinking"}:
            return 0
        case {"type": "image", "source": source}:
            return image_tokens(source)
        case {"type": "document", "source": source}:
            return _measure_document(source, tokenizer)
        case {"type": "tool_result"}:
            return TOKENS_PER_MESSAGE + _measure_parts(block.get("content"), tokenizer)
        case {"type": "tool_addition"} if definition_of(block) is not None:
            return TOKENS_PER_TOOL + tokenizer.count_bytes(size)
        case _ if is_result(block):
            return tokenizer.count_bytes(len(_sort.encode(readable(block))))
        case _:
            return tokenizer.count_bytes(size)


def _measure_document(source: Any, tokenizer: ByteTokenizer) -> int:
    match source:
        case {"type": "text", "data": str(text)}:
            return TOKENS_PER_MESSAGE + tokenizer.count(text)
        case {"type": "content", "content": content}:
            return TOKENS_PER_MESSAGE + _measure_parts(content, tokenizer)
        case _:
            return pdf_tokens(source)


def _measure_parts(content: Any, tokenizer: ByteTokenizer) -> int:
    parts = blocks_of(content)
    return sum(_measure(part, len(_sort.encode(part)), tokenizer) for part in parts)


def ttl_of(owner: Json) -> str | None:
    """The life of the cache breakpoint that this block (or request) asks for, if it does."""
    control = owner.get("cache_control")
    if not isinstance(control, dict):
        return None
    return str(control.get("ttl") or "5m")


def _ttl_in(block: Json) -> str | None:
    """The same, of a block that may hold a tool which asks for it."""
    return ttl_of(block) or ttl_of(definition_of(block) or {})


def _mark_automatically(found: list[Segment], ttl: str | None) -> None:
    """Put the request's own breakpoint on the last block that can carry it."""
    if ttl is None:
        return
    for at in range(len(found) - 1, -1, -1):
        if found[at].kind not in UNMARKABLE:
            found[at] = msgspec.structs.replace(found[at], ttl=ttl)
            return


def _billed(found: list[Segment], tokenizer: ByteTokenizer, added: int) -> Iterator[Segment]:
    """The segments at their price: rounded so that they add up, what is added comes first."""
    own = 0
    for segment in found:
        before, own = tokenizer.billed(own), own + segment.tokens
        tokens = tokenizer.billed(own) - before + added
        added = 0
        yield msgspec.structs.replace(segment, tokens=tokens)
