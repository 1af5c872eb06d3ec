"""The events of one answer: its bytes cut, decoded, and handed on one by one.

What comes at once and is large is handed on in pieces, with a rest for the other tasks before each;
so is what comes at once and is many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from itertools import chain

import httpx2
import trio

from gateway.anthropic.errors import clean, request_id_of
from gateway.anthropic.sse import EventReader, ServerSentEvent
from protocol.provider.decoding import LONGEST_TEXT, EventDecoder, in_pieces
from protocol.provider.events import MalformedEvent, MessageStop, ProviderEvent, StreamError

DRAIN_SECONDS = 0.2
"""The body ends right after `message_stop`; one that does not is cut off."""


AT_ONCE = 64
"""Events that are handed on without a rest for the other tasks; a read may bring thousands."""


class Events:
    """The events in a response's bytes; the provider calls the request `request_id`."""

    def __init__(self, chunks: AsyncIterator[bytes], response: httpx2.Response) -> None:
        self.request_id = request_id_of(response)
        self._request = response.request
        self._chunks = chunks
        self._reader = EventReader()
        self._decoder = EventDecoder()
        self._ready: Iterator[ServerSentEvent] = iter(())
        self._waiting: deque[ProviderEvent] = deque()
        self._at_once = 0
        self._over: Exception | None = None
        self._complete = False

    def __aiter__(self) -> AsyncIterator[ProviderEvent]:
        return self

    async def __anext__(self) -> ProviderEvent:
        while True:
            if self._waiting:
                return await self._piece()
            self._at_once += 1
            if self._at_once >= AT_ONCE:
                self._at_once = 0
                await trio.lowlevel.checkpoint()
            for name, data in self._ready:
                events = self._decoder.decode(data, name)
                event = events[0]
                is_error = isinstance(event, StreamError)
                if is_error or len(events) > 1 or len(data) > LONGEST_TEXT:
                    self._wait_with(events)
                    break
                self._complete = isinstance(event, MessageStop)
                return event
            else:
                if self._over is not None:
                    raise self._over
                try:
                    self._ready = iter(self._reader.feed(await anext(self._chunks)))
                except (StopAsyncIteration, httpx2.HTTPError) as over:
                    self._over = over
                    self._wait_with(self._last())

    def _wait_with(self, events: Iterable[ProviderEvent]) -> None:
        self._waiting.extend(chain.from_iterable(map(in_pieces, events)))

    async def _piece(self) -> ProviderEvent:
        """One of several events that came as one, with a rest for the other tasks before it."""
        await trio.lowlevel.checkpoint()
        event = self._waiting.popleft()
        self._complete = isinstance(event, MessageStop)
        return clean(event, self._request) if isinstance(event, StreamError) else event

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
        if self._complete:
            with suppress(httpx2.HTTPError, httpx2.StreamError), trio.move_on_after(DRAIN_SECONDS):
                async for _ in self._chunks:
                    pass
