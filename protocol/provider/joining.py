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
    TEXTS,
    BlockDelta,
    ContentBlockDelta,
    ProviderEvent,
    TextDelta,
)


def joined(events: Sequence[ProviderEvent]) -> list[ProviderEvent]:
    """The same events, where neighbouring pieces of one kind and block are one."""
    whole: list[ProviderEvent] = []
    run = _Run()
    for event in events:
        if isinstance(event, ContentBlockDelta) and run.takes(event):
            continue
        whole += run.end()
        if not (isinstance(event, ContentBlockDelta) and run.begins_with(event)):
            whole.append(event)
    return [*whole, *run.end()]


class _Run:
    """Pieces that can be one."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._length = 0
        self._index = 0
        self._kind: type[BlockDelta] = TextDelta

    def begins_with(self, event: ContentBlockDelta) -> bool:
        """Begin with `event`, if it is such a piece."""
        kind = type(event.delta)
        if kind not in TEXTS:
            return False
        self._index, self._kind, self._length = event.index, kind, 0
        self._add(event)
        return True

    def takes(self, event: ContentBlockDelta) -> bool:
        """Add `event`, if it goes on with the run and does not make it too long."""
        if not self._texts or type(event.delta) is not self._kind or event.index != self._index:
            return False
        if self._length + len(TEXTS[self._kind](event.delta)) > LONGEST_TEXT:
            return False
        self._add(event)
        return True

    def _add(self, event: ContentBlockDelta) -> None:
        text = TEXTS[self._kind](event.delta)
        self._texts.append(text)
        self._length += len(text)

    def end(self) -> list[ProviderEvent]:
        """The run as one piece, and nothing is left; none if there is no run."""
        if not self._texts:
            return []
        text, self._texts = "".join(self._texts), []
        return [ContentBlockDelta(self._index, self._kind(text))]
