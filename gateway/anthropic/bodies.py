"""What the provider may send as a body, and how much of it: below the SDK, which reads any amount.

The SDK reads the bodies of errors and of lists whole, and its HTTP layer unpacks what is packed
without a bound: some kilobytes can become gigabytes. Here no body is asked for in packed form, one
that comes so all the same is unpacked piece by piece, and each is cut off where it is too long.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

import httpx2
import trio

from gateway.anthropic.http1.body import ResponseBody, TakePiece
from protocol.prompt import Prompt

LONGEST_ERROR = 64 * 1024
"""Bytes of the body of an error or of a redirect; what follows is not read, for its beginning says
what it is."""

LONGEST_LIST = 4 * 1024 * 1024
"""Bytes of any other body that is read whole."""

A_TOKEN = 512
"""Bytes of a stream for each token of output. The smallest event has about 130 bytes."""

BESIDE_TOKENS = 4 * 1024 * 1024
"""Bytes of a stream that are no output: pings, citations, signatures."""

SERVED = 64 * 1024 * 1024
"""Bytes of what the provider's own tools bring, documents among it."""

PIECE = 64 * 1024
"""Bytes that are unpacked at once."""

CLOSE_SECONDS = 1.0

PLAIN = "identity"
UNPACKED = {"accept-encoding": PLAIN}


class BodyTooLong(httpx2.StreamError):
    """The provider sends more than it may."""


class UnreadableBody(httpx2.StreamError):
    """The provider packs its answer in a way that is not read here."""


def longest_answer(prompt: Prompt) -> int:
    """How many bytes the stream that answers this request may have."""
    return prompt.max_tokens * A_TOKEN + BESIDE_TOKENS + SERVED * prompt.has_served_tools


def is_stream_as_asked(body: ResponseBody) -> bool:
    """Whether this is the body of a stream that needs neither unpacking nor a bound of `bound`."""
    return body.is_success and body.header(b"content-encoding") in (None, PLAIN)


async def bound(response: httpx2.Response) -> None:
    """Bound the body of `response`, before it is read. Raises UnreadableBody.

    How long a stream may be depends on its request: that is for `Events` to see to.
    """
    is_error = not response.is_success
    packing = response.headers.pop("content-encoding", PLAIN).strip().lower()
    is_packed = packing in ("gzip", "x-gzip", "deflate")
    if not is_packed and packing != PLAIN and not is_error:
        raise UnreadableBody("the answer is packed")
    is_stream = response.request.url.path.endswith("/messages") and not is_error
    if is_packed or not is_stream:
        response.stream = _Body(response, is_packed=is_packed, is_stream=is_stream)


class Pieces:
    """The body of a stream, in pieces of any size."""

    def __init__(self, body: httpx2.AsyncByteStream) -> None:
        self._body = body
        self._pieces = aiter(self._body)

    @property
    def is_whole(self) -> bool:
        """Whether it is known that all has been read."""
        return isinstance(self._body, ResponseBody) and self._body.is_whole

    async def each(self, take: TakePiece) -> bool:
        """Give the pieces to `take` until it has enough.

        Whether it has; otherwise the body is over. Raises what `take` raises, too.
        """
        if isinstance(self._body, ResponseBody):
            return await self._body.each(take)
        async for piece in self._pieces:
            if take(piece):
                return True
        return False

    async def aclose(self) -> None:
        """Read no more of it; what the HTTP library has opened has a second to close."""
        if isinstance(self._body, ResponseBody):
            self._body.close()
            return
        with trio.move_on_after(CLOSE_SECONDS, shield=True):
            if isinstance(self._pieces, AsyncGenerator):
                await leave(self._pieces)
            await self._body.aclose()


async def leave(body: AsyncIterator[bytes]) -> None:
    """Read no more of a body, and end all the generators that it comes from.

    They stand one inside the other, and the HTTP layer closes only the outer ones. The collector
    has the others closed by a task of its own, or two of them by two tasks at once: then one finds
    its generator running (report: pydantic/httpx2 1195). A cancelled read ends the innermost one
    first, and so each of them. What the HTTP layer has read already still comes, and is dropped.
    """
    with suppress(httpx2.HTTPError, httpx2.StreamError), trio.CancelScope() as scope:
        scope.cancel()
        async for _ in body:
            pass


class _Body(httpx2.AsyncByteStream):
    """A body that is unpacked if need be, and bounded if it is no stream."""

    def __init__(self, response: httpx2.Response, *, is_packed: bool, is_stream: bool) -> None:
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        self._body = response.stream
        self._pieces = aiter(self._body)
        self._is_error = not response.is_success
        most = LONGEST_ERROR if self._is_error else LONGEST_LIST
        self._left: float = math.inf if is_stream else most
        # With the head of gzip or that of zlib.
        self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32) if is_packed else None
        self._packed = self._last = b""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._left < 0 and self._is_error:
            raise StopAsyncIteration  # its beginning says what it is
        if self._left < 0:
            raise BodyTooLong("the answer does not end")
        piece = await self._next()
        self._left -= len(piece)
        return piece

    async def _next(self) -> bytes:
        """The next piece; of what is packed a small one, and a rest for the other tasks."""
        if self._unpacker is None:
            return await anext(self._pieces)
        while not self._unpacker.eof:
            if not self._packed and len(self._last) < PIECE:
                self._packed = await anext(self._pieces)
            try:
                self._last = self._unpacker.decompress(self._packed, PIECE)
            except zlib.error as error:
                raise UnreadableBody("the answer cannot be unpacked") from error
            self._packed = self._unpacker.unconsumed_tail
            await trio.lowlevel.checkpoint()
            if self._last:
                return self._last
        raise StopAsyncIteration  # what follows the end is of nothing, and would be kept

    async def aclose(self) -> None:
        await leave(self._pieces)
        await self._body.aclose()
