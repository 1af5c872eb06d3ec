"""The body of a request to the provider, as far as the gateway writes it."""

from __future__ import annotations

from typing import Any

import msgspec

CACHE_BREAKPOINT: dict[str, str] = {"type": "ephemeral"}
"""A `cache_control`: the provider remembers the prompt up to its place, for five minutes."""

CACHE_FOR_AN_HOUR: dict[str, str] = {"type": "ephemeral", "ttl": "1h"}

CACHE_MARK = b',"cache_control":{"type":"ephemeral"}'
"""`CACHE_BREAKPOINT` as the last field of a block's JSON."""

MARK_FOR_AN_HOUR = b',"cache_control":{"type":"ephemeral","ttl":"1h"}'
"""`CACHE_FOR_AN_HOUR` as the last field of a block's JSON."""

NO_TOOLS = b"[]"
"""No tools, as JSON: then the field is left out."""


class SystemBlock(msgspec.Struct, frozen=True, tag_field="type", tag="text", omit_defaults=True):
    """One part of the system prompt."""

    text: str
    cache_control: dict[str, str] | None = None


class Tool(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool as the provider takes it."""

    name: str
    description: str
    input_schema: dict[str, Any]
    strict: bool = False
    defer_loading: bool = False
    input_examples: list[dict[str, Any]] = []


class RequestHead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of `POST /v1/messages` without its messages; `tools` is JSON, kept as it is."""

    model: str
    max_tokens: int
    system: list[SystemBlock] = []
    tools: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    thinking: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None
    context_management: dict[str, Any] | None = None
    cache_control: dict[str, str] | None = None
    tool_choice: dict[str, str] | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: dict[str, str] | None = None
    container: str | None = None
    stream: bool
