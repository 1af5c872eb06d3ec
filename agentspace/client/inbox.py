"""What a gateway has said to somebody who has not heard it yet."""

from __future__ import annotations

from collections import deque
from typing import Final

import anyio
import msgspec

from agentspace.client.errors import ConnectionLost, again
from agentspace.messages import ServerMessage

MOST_BYTES: Final = 16 * 1024 * 1024
EACH: Final = 512
"""Bytes that a message costs besides its text."""


class UnknownMessage(msgspec.Struct, frozen=True):
    """A message of a newer gateway, of a `kind` that is not known here; `fields` is all of it."""

    kind: str
    request_id: str
    fields: dict[str, object]


Heard = ServerMessage | UnknownMessage


class Inbox:
    """The messages of one exchange, bounded in bytes; it says how the exchange was lost."""

    def __init__(self) -> None:
        self._messages: deque[tuple[Heard, int]] = deque()
        self._size = 0
        self._lost: ConnectionLost | None = None
        self._is_left = False
        self._changed = anyio.Event()

    async def get(self) -> Heard:
        """The next message. Raises ConnectionLost once there is no other."""
        while not self._messages:
            if self._lost is not None:
                raise again(self._lost)
            await self._changed.wait()
        message, size = self._messages.popleft()
        self._size -= size
        self._tell()
        return message

    async def room(self) -> None:
        """Wait until there is room for more, or nobody reads any more."""
        while self._size > MOST_BYTES and not self._is_left:
            await self._changed.wait()

    def put(self, message: Heard, size: int) -> None:
        """Add a message; wait for `room` first."""
        if not self._is_left:
            self._messages.append((message, size + EACH))
            self._size += size + EACH
            self._tell()

    def lose(self, why: ConnectionLost) -> None:
        """No more comes."""
        self._lost = why
        self._tell()

    def leave(self) -> None:
        """Nobody reads it any more."""
        self._is_left = True
        self._messages.clear()
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
