"""What comes from a server, at a pace that leaves the gateway to others.

The SDK starts a task for each message and has no bound of its own. A server that floods waits here,
and so in the end at its own pipe or socket; one that talks nothing but nonsense is given up.
"""

from __future__ import annotations

import math
from types import TracebackType
from typing import Final, Self

import anyio
import trio
from mcp.client._transport import ReadStream
from mcp.shared.message import SessionMessage

from gateway.mcp.sift import Sift
from gateway.mcp.state import ServerLost

MESSAGES_PER_SECOND: Final = 500
"""That a server may send on and on."""
MESSAGES_AT_ONCE: Final = 2_000
"""That it may send in a burst."""
MOST_NONSENSE: Final = 1_000
"""Lines without meaning, on end; some servers print a banner or a log to their stdout."""


class TokenBucket:
    """A bucket of `burst` messages that is filled with `rate` a second."""

    def __init__(self, rate: float, burst: float) -> None:
        self._step = 1 / rate
        self._slack = burst / rate
        self._due = -math.inf

    def delay(self, now: float) -> float:
        """Seconds that a message must wait which comes now."""
        self._due = max(self._due, now - self._slack) + self._step
        return max(0.0, self._due - now)


class PacedStream:
    """A transport's stream of messages (`mcp.client._transport.ReadStream`), held to a pace."""

    def __init__(self, stream: ReadStream[SessionMessage | Exception], sift: Sift) -> None:
        self._stream = stream
        self._sift = sift
        self._pace = TokenBucket(MESSAGES_PER_SECOND, MESSAGES_AT_ONCE)
        self._nonsense = 0

    async def receive(self) -> SessionMessage | Exception:
        """The next message. Raises ServerLost for too much nonsense."""
        item = await self._stream.receive()
        self._nonsense = self._nonsense + 1 if isinstance(item, Exception) else 0
        if self._nonsense > MOST_NONSENSE:
            raise ServerLost("talks nonsense")
        if delay := self._pace.delay(trio.current_time()):
            await trio.sleep(delay)
        if isinstance(item, SessionMessage):
            self._sift.clean(item)
        return item

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """Close the transport's stream."""
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return await self._stream.__aexit__(kind, error, traceback)  # noqa: ASYNC102 - in memory
