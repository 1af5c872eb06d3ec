"""The provider's stream events, for typed decoding.

Only what the gateway reads is named; everything else of an event is ignored. What must be kept
whole is a plain `Block`. A field without which the answer is whole may be of any type: it is read
loosely where it is used, and what is odd there counts as not told. Figures of a bill are strict.

The provider may add types of events
and of deltas at any time (its page on streaming, November 2026): those that are not listed here are
`UnknownEvent` and `UnknownDelta`. `protocol.provider.decoding` makes events of their bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec

from protocol.provider.content import Block
from protocol.usage import Figure


class CacheCreation(msgspec.Struct, frozen=True):
    """Tokens written to the cache, by lifetime."""

    ephemeral_5m_input_tokens: Figure | None = None
    ephemeral_1h_input_tokens: Figure | None = None


class ServerToolUse(msgspec.Struct, frozen=True):
    """How often the provider's own tools ran."""

    web_search_requests: Figure | None = None


class OutputTokensDetails(msgspec.Struct, frozen=True):
    """The reasoning part of the output tokens."""

    thinking_tokens: Figure | None = None


class ProviderUsage(msgspec.Struct, frozen=True):
    """Usage as the provider tells it. Cumulative: a later figure replaces an earlier one.

    `None` is what it does not tell. What is no figure, or out of range, is refused with its event.
    `iterations` are the passes of a request.
    """

    input_tokens: Figure | None = None
    output_tokens: Figure | None = None
    cache_creation_input_tokens: Figure | None = None
    cache_read_input_tokens: Figure | None = None
    cache_creation: CacheCreation | None = None
    server_tool_use: ServerToolUse | None = None
    output_tokens_details: OutputTokensDetails | None = None
    iterations: Any = None
    inference_geo: Any = None
    speed: Any = None
    service_tier: Any = None


class ProviderMessage(msgspec.Struct, frozen=True):
    """The beginning of an answer. Proxies leave out what they do not know.

    `input_transformations` is read by `protocol.provider.asides`.
    """

    model: Any = None
    usage: ProviderUsage | None = None
    input_transformations: Any = None
    container: Any = None


class TextDelta(msgspec.Struct, frozen=True, tag_field="type", tag="text_delta", gc=False):
    """More text of a text block."""

    text: str


class ThinkingDelta(msgspec.Struct, frozen=True, tag_field="type", tag="thinking_delta", gc=False):
    """More text of a thinking block."""

    thinking: str


class SignatureDelta(msgspec.Struct, frozen=True, tag_field="type", tag="signature_delta"):
    """A thinking block's signature."""

    signature: str


class InputJsonDelta(msgspec.Struct, frozen=True, tag_field="type", tag="input_json_delta"):
    """More of a tool call's arguments, as JSON text."""

    partial_json: str


class CitationsDelta(msgspec.Struct, frozen=True, tag_field="type", tag="citations_delta"):
    """One more citation of a text block."""

    citation: Any


BlockDelta = TextDelta | ThinkingDelta | SignatureDelta | InputJsonDelta | CitationsDelta

TEXTS: dict[type[BlockDelta], Callable[[BlockDelta], str]] = {
    TextDelta: attrgetter("text"),
    ThinkingDelta: attrgetter("thinking"),
    InputJsonDelta: attrgetter("partial_json"),
}
"""The deltas that are a piece of a text, and how to get it."""


class MessageStart(msgspec.Struct, frozen=True, tag_field="type", tag="message_start"):
    """The first event: tells what the input is billed."""

    message: ProviderMessage


class ContentBlockStart(msgspec.Struct, frozen=True, tag_field="type", tag="content_block_start"):
    """A content block opens."""

    index: int
    content_block: Block


class ContentBlockDelta(
    msgspec.Struct, frozen=True, tag_field="type", tag="content_block_delta", gc=False
):
    """A content block grows."""

    index: int
    delta: BlockDelta


class ContentBlockStop(msgspec.Struct, frozen=True, tag_field="type", tag="content_block_stop"):
    """A content block is whole."""

    index: int


class MessageEnd(msgspec.Struct, frozen=True):
    """Why the message stopped; `stop_reason` and `stop_details` are read by `protocol.stopping`.

    `container` is where code was executed, read by `protocol.provider.containers`.
    """

    stop_reason: Any = None
    stop_details: Any = None
    stop_sequence: Any = None
    container: Any = None


class MessageDelta(msgspec.Struct, frozen=True, tag_field="type", tag="message_delta"):
    """The stop reason, and what was billed so far.

    `context_management` is read by `protocol.provider.asides`.
    """

    delta: MessageEnd
    usage: ProviderUsage | None = None
    context_management: Any = None


class MessageStop(msgspec.Struct, frozen=True, tag_field="type", tag="message_stop"):
    """The answer is complete. Without it, it is not."""


class ProviderPing(msgspec.Struct, frozen=True, tag_field="type", tag="ping"):
    """A sign of life that carries nothing."""


class ErrorDetails(msgspec.Struct, frozen=True):
    """What went wrong at the provider; its message is short, and without a secret."""

    type: str = "api_error"
    message: str = ""


class StreamError(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    """A failure in mid-stream."""

    error: ErrorDetails


class UnknownEvent(msgspec.Struct, frozen=True, tag_field="type", tag="unknown"):
    """An event of a type that is not listed here."""

    name: str


class UnknownDelta(msgspec.Struct, frozen=True, tag_field="type", tag="unknown_delta"):
    """A content block grows in a way that is not listed here: what it becomes is not known."""

    index: int
    name: str


class UnreadableStart(msgspec.Struct, frozen=True, tag_field="type", tag="unreadable_start"):
    """A `message_start` whose fields cannot be read: an answer has begun, and is billed."""


KnownEvent = (
    MessageStart
    | ContentBlockStart
    | ContentBlockDelta
    | ContentBlockStop
    | MessageDelta
    | MessageStop
    | ProviderPing
    | StreamError
)
ProviderEvent = KnownEvent | UnknownEvent | UnknownDelta | UnreadableStart


def brings_content(event: ProviderEvent) -> bool:
    """Whether the model says more, so that the provider is not silent: an empty text is nothing."""
    if isinstance(event, ContentBlockDelta):
        said = _SAID.get(type(event.delta))
        return said is None or bool(said(event.delta))
    return isinstance(event, _CONTENT)


_SAID: dict[type[BlockDelta], Callable[[BlockDelta], str]] = {
    **TEXTS,
    SignatureDelta: attrgetter("signature"),
}
_CONTENT = (ContentBlockStart, ContentBlockStop, MessageDelta, MessageStop)


class MalformedEvent(ValueError):
    """The provider sent something that is no event of its protocol."""
