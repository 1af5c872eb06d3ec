"""The events of one answer: its bytes cut, decoded, and handed on, those of one read at once.

What comes at once and is large is handed on in pieces, with a rest for the other tasks before each;
so is what comes at once and is many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import chain
from typing import Protocol

import httpx2
import trio

from actors.ports import TakeEvents
from gateway.anthropic.bodies import BodyTooLong
from gateway.anthropic.errors import clean
from gateway.anthropic.sse import EventReader, ServerSentEvent
from protocol.provider.decoding import LONGEST_TEXT, EventDecoder, in_pieces
from protocol.provider.events import MalformedEvent, MessageStop, ProviderEvent, StreamError
from protocol.provider.joining import joined

DRAIN_SECONDS = 0.2
"""The body ends right after `message_stop`; one that does not is cut off."""


AT_ONCE = 64
"""Events that are handed on without a rest for the other tasks; a read may bring thousands."""


class EventSource(Protocol):
    """A body in pieces; see `gateway.anthropic.bodies.Pieces`."""

    @property
    def is_whole(self) -> bool: ...

    async def each(self, take: Callable[[bytes], bool]) -> bool: ...


class Events:
    """The events in the bytes that answer `request`, which the provider calls `request_id`.

    They come in batches: see `actors.ports.ProviderEvents`. A `message_stop` ends its batch. No
    more than `longest` bytes are taken.
    """

    def __init__(
        self,
        pieces: EventSource,
        request: httpx2.Request,
        request_id: str | None,
        *,
        longest: int,
    ) -> None:
        self.request_id = request_id
        self._request = request
        self._pieces = pieces
        self._left = longest
        self._reader = EventReader()
        self._decoder = EventDecoder()
        self._ready: list[ServerSentEvent] = []
        self._large: deque[ProviderEvent] = deque()
        self._is_over = False
        self._fault: Exception | None = None
        self._complete = False

    async def each(self, take: TakeEvents) -> bool:
        """Give the events to `take`; see `ProviderEvents`.

        What one read brings is given as soon as it is read; the rest of it with rests. Raises
        MalformedEvent, BodyTooLong, httpx2.HTTPError.
        """
        enough = False

        def feed(piece: bytes) -> bool:
            nonlocal enough
            self._left -= len(piece)
            if self._left < 0:
                raise BodyTooLong("the answer does not end")
            self._ready = self._reader.feed(piece)
            enough = self._give(take)
            return enough or bool(self._ready or self._large or self._fault)

        while not enough:
            if self._ready or self._large:
                await trio.lowlevel.checkpoint()
                enough = self._give(take)
            elif self._fault is not None:
                raise self._fault
            elif self._is_over:
                return False
            else:
                await self._read(feed)
        return True

    def _give(self, take: TakeEvents) -> bool:
        batch = self._batch()
        if not batch:
            return False
        self._complete = type(batch[-1]) is MessageStop
        return take(batch)

    async def _read(self, feed: Callable[[bytes], bool]) -> None:
        try:
            has_more = await self._pieces.each(feed)
        except httpx2.HTTPError as error:
            has_more, self._fault = False, error
        if not has_more:
            self._is_over = True
            self._wait_with(self._last())

    def _batch(self) -> list[ProviderEvent]:
        """The next events of what has been read: a piece of a large one, or several small ones."""
        if self._large:
            return [self._large.popleft()]
        ready, self._ready = self._ready, []
        batch: list[ProviderEvent] = []
        for at, (name, data) in enumerate(ready):
            try:
                events = self._decoder.decode(data, name)
            except MalformedEvent as error:
                return self._broken(batch, error)
            kind = type(events[0])  # for what it is not, `isinstance` takes five times as long
            if len(events) > 1 or len(data) > LONGEST_TEXT or kind is StreamError:
                self._wait_with(events)
                self._ready = ready[at + 1 :]
                break
            batch += events
            if kind is MessageStop or len(batch) == AT_ONCE:
                self._ready = ready[at + 1 :]
                break
        return joined(batch) if len(batch) > 1 else batch

    def _broken(self, batch: list[ProviderEvent], error: MalformedEvent) -> list[ProviderEvent]:
        """What came before an event that cannot be read; the error is raised after it."""
        self._fault, self._ready = error, []
        return batch

    def _wait_with(self, events: Iterable[ProviderEvent]) -> None:
        cleaned = (
            clean(event, self._request) if isinstance(event, StreamError) else event
            for event in events
        )
        self._large.extend(chain.from_iterable(map(in_pieces, cleaned)))

    def _last(self) -> list[ProviderEvent]:
        """What no blank line follows: an event, or a part of one, whose name says nothing."""
        decode = self._decoder.decode
        try:
            return [event for _, data in self._reader.finish() for event in decode(data)]
        except MalformedEvent:
            return []

    async def drain(self) -> None:
        """Read a whole answer to the body's end, which keeps the connection for the next one.

        Whatever comes there, and should the body break off, the answer is whole.
        """
        if self._complete and not self._pieces.is_whole:
            with suppress(httpx2.HTTPError, httpx2.StreamError), trio.move_on_after(DRAIN_SECONDS):
                await self._pieces.each(lambda _: False)
