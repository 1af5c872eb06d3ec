"""Making events of their bytes, those that proxies have bent a little too.

The first attempt is one typed decoding, and nearly always enough. What it does not take is looked
at again: an event or a delta of a type that is not listed, an object whose type stands only in the
event's name, an error that is not quite in its shape, half a character.

A text that is cut within a surrogate pair comes as one half at the end of a delta and the other at
the beginning of the block's next one. The first half is held back until that comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, get_args

import msgspec

from protocol.provider import halves
from protocol.provider.content import Block
from protocol.provider.events import (
    BlockDelta,
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    ErrorDetails,
    InputJsonDelta,
    KnownEvent,
    MalformedEvent,
    MessageDelta,
    MessageEnd,
    MessageStart,
    MessageStop,
    ProviderEvent,
    ProviderMessage,
    ProviderPing,
    ProviderUsage,
    StreamError,
    TextDelta,
    ThinkingDelta,
    UnknownDelta,
    UnknownEvent,
    UnreadableStart,
)

_decode = msgspec.json.Decoder(KnownEvent).decode
_KNOWN_EVENTS = frozenset(kind.__struct_config__.tag for kind in get_args(KnownEvent))
_KNOWN_DELTAS = frozenset(kind.__struct_config__.tag for kind in get_args(BlockDelta))
_TEXTS: dict[str, tuple[str, type[TextDelta | ThinkingDelta | InputJsonDelta]]] = {
    "text_delta": ("text", TextDelta),
    "thinking_delta": ("thinking", ThinkingDelta),
    "input_json_delta": ("partial_json", InputJsonDelta),
}
LONGEST_TEXT = 4 * 1024
"""Characters; a longer text at once would hold up everything else while it is taken in."""

_ERRORS = (msgspec.DecodeError, UnicodeError, RecursionError)


class _Kind(msgspec.Struct, frozen=True):
    type: str


class _Delta(msgspec.Struct, frozen=True):
    index: int
    delta: _Kind


class _Message(msgspec.Struct, frozen=True):
    content: list[Block]
    usage: ProviderUsage


_decode_message = msgspec.json.Decoder(_Message).decode
_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_delta = msgspec.json.Decoder(_Delta).decode


class _Growth(NamedTuple):
    """A text by which a block grows, and the delta that has it."""

    block: int
    kind: str
    text: str
    delta: dict[str, Any]

    @classmethod
    def of(cls, value: dict[str, Any]) -> _Growth | None:
        """The text of an event; `None` if it has none."""
        match value:
            case {
                "type": "content_block_delta",
                "index": int(index),
                "delta": {"type": str(kind), **fields} as delta,
            } if kind in _TEXTS:
                text = fields.get(_TEXTS[kind][0])
                return cls(index, kind, text, delta) if isinstance(text, str) else None
        return None


class EventDecoder:
    """Decodes the events of one answer, in their order."""

    def __init__(self) -> None:
        self._half: _Growth | None = None
        """The first half of a character, from the end of a delta."""

    def decode(self, data: bytes, name: bytes = b"") -> list[ProviderEvent]:
        """The events in an SSE event's `data`; `name` is what its `event` field says.

        Raises MalformedEvent when it is not JSON, or a known type with wrong fields; but that an
        answer has begun is told in any case.
        """
        try:
            event: ProviderEvent = _decode(data)
        except _ERRORS as error:
            try:
                return self._decode_odd(data, name)
            except _ERRORS:
                if _begins_an_answer(data):
                    return [UnreadableStart()]
                raise MalformedEvent("the provider sent an event that cannot be read") from error
        return [event] if self._half is None else self._after_half(event)

    def _decode_odd(self, data: bytes, name: bytes) -> list[ProviderEvent]:
        if (unlisted := _unlisted(data)) is not None:
            return unlisted
        value = halves.loads(data or b"{}")
        if not isinstance(value, dict):
            raise msgspec.DecodeError("no object")
        if "type" not in value:
            value["type"] = name.decode() or ("error" if "error" in value else "")
        if value["type"] == "error":
            return [_error(value.get("error"))]
        if (text := _Growth.of(value)) is not None:
            return [*self._join(text), _decode(halves.dumps(value))]
        whole = halves.dumps(value)
        first, *rest = _unlisted(whole) or [_decode(whole)]
        return [*self._after_half(first), *rest]

    def _join(self, grown: _Growth) -> list[ProviderEvent]:
        """Give a text the half before it, and take the half at its end; what comes before it."""
        before: list[ProviderEvent] = []
        if self._half is not None and self._half[:2] == grown[:2]:
            grown = grown._replace(text=self._half.text + grown.text)
            self._half = None
        else:
            before = self._give_up()
        if halves.is_first_half(grown.text[-1:]):
            self._half = grown._replace(text=grown.text[-1])
            grown = grown._replace(text=grown.text[:-1])
        grown.delta[_TEXTS[grown.kind][0]] = grown.text
        return before

    def _after_half(self, event: ProviderEvent) -> list[ProviderEvent]:
        if isinstance(event, ProviderPing | UnknownEvent):
            return [event]
        return [*self._give_up(), event]

    def _give_up(self) -> list[ProviderEvent]:
        """The half that is held, as the character that stands for it."""
        if (half := self._half) is None:
            return []
        self._half = None
        delta = _TEXTS[half.kind][1]
        return [ContentBlockDelta(half.block, delta(halves.REPLACEMENT))]


def in_pieces(event: ProviderEvent) -> Iterator[ProviderEvent]:
    """An event whose text may be long, as several of which none has more than `LONGEST_TEXT`."""
    match event:
        case ContentBlockDelta(index, TextDelta(text)):
            yield from _cut(index, TextDelta, text)
        case ContentBlockDelta(index, ThinkingDelta(text)):
            yield from _cut(index, ThinkingDelta, text)
        case ContentBlockDelta(index, InputJsonDelta(text)):
            yield from _cut(index, InputJsonDelta, text)
        case ContentBlockStart(index, {"type": "text", "text": str(text)} as block):
            yield ContentBlockStart(index, {**block, "text": ""})
            yield from _cut(index, TextDelta, text)
        case ContentBlockStart(index, {"type": "thinking", "thinking": str(text)} as block):
            yield ContentBlockStart(index, {**block, "thinking": ""})
            yield from _cut(index, ThinkingDelta, text)
        case _:
            yield event


def _cut(index: int, grow: Callable[[str], BlockDelta], text: str) -> Iterator[ProviderEvent]:
    for start in range(0, len(text), LONGEST_TEXT):
        yield ContentBlockDelta(index, grow(text[start : start + LONGEST_TEXT]))


def _unlisted(data: bytes) -> list[ProviderEvent] | None:
    """What comes of an event or a delta of a type that is not listed; `None` for what is listed.

    So it is for what cannot be read. A whole message is made into the events of its stream.
    """
    try:
        kind = _decode_kind(data).type
        if kind == "message":
            return _streamed(data)
        if kind not in _KNOWN_EVENTS:
            return [UnknownEvent(kind)]
        if kind == "content_block_delta":
            grown = _decode_delta(data)
            if grown.delta.type not in _KNOWN_DELTAS:
                return [UnknownDelta(grown.index, grown.delta.type)]
    except _ERRORS:
        pass
    return None


def _begins_an_answer(data: bytes) -> bool:
    try:
        return _decode_kind(data).type in ("message_start", "message")
    except _ERRORS:
        return False


def _streamed(data: bytes) -> list[ProviderEvent]:
    """The events of a message that came as a whole, though it was to be streamed."""
    message = _decode_message(data)
    events: list[ProviderEvent] = [MessageStart(msgspec.json.decode(data, type=ProviderMessage))]
    for index, block in enumerate(message.content):
        events += (ContentBlockStart(index, block), ContentBlockStop(index))
    end = msgspec.json.decode(data, type=MessageEnd)
    return [*events, MessageDelta(end, message.usage), MessageStop()]


def _error(told: object) -> StreamError:
    match told:
        case {"type": str(kind), "message": str(message)}:
            return StreamError(ErrorDetails(kind, message))
        case {"type": str(kind)}:
            return StreamError(ErrorDetails(kind))
    return StreamError(ErrorDetails())
