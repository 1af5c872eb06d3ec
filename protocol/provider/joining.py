"""Neighbouring pieces of one block as one piece: what came with one read costs one pass.

Problem: a provider that writes faster than it is read brings hundreds of small pieces at once, and
each would take the whole way to the client by itself. Nothing that is made of a text depends on
how it was cut, so the pieces of a run are joined. Limits: a piece has about `LONGEST_TEXT`
characters at most, and only texts, thinking and arguments are joined.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol.provider.decoding import LONGEST_TEXT
from protocol.provider.events import (
    ContentBlockDelta,
    InputJsonDelta,
    ProviderEvent,
    TextDelta,
    ThinkingDelta,
)


def joined(events: Sequence[ProviderEvent]) -> list[ProviderEvent]:
    """The same events, where neighbouring pieces of one kind and block are one."""
    whole: list[ProviderEvent] = []
    at = 0
    while at < len(events):
        texts = _run(events, at)
        whole.append(_piece(events[at], texts) if len(texts) > 1 else events[at])
        at += max(len(texts), 1)
    return whole


def _run(events: Sequence[ProviderEvent], start: int) -> list[str]:
    """The texts of the run that begins at `start`; none if no text is there."""
    texts: list[str] = []
    first, length = events[start], 0
    for event in events[start:]:
        text = _text(event)
        if text is None or length + len(text) > LONGEST_TEXT or not _continues(first, event):
            break
        texts.append(text)
        length += len(text)
    return texts


def _text(event: ProviderEvent) -> str | None:
    match event:
        case ContentBlockDelta(delta=TextDelta(text) | ThinkingDelta(text) | InputJsonDelta(text)):
            return text
    return None


def _continues(first: ProviderEvent, event: ProviderEvent) -> bool:
    assert isinstance(first, ContentBlockDelta)
    assert isinstance(event, ContentBlockDelta)
    return first.index == event.index and type(first.delta) is type(event.delta)


def _piece(first: ProviderEvent, texts: list[str]) -> ContentBlockDelta:
    assert isinstance(first, ContentBlockDelta)
    assert isinstance(first.delta, TextDelta | ThinkingDelta | InputJsonDelta)
    return ContentBlockDelta(first.index, type(first.delta)("".join(texts)))
