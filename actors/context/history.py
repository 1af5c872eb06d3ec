"""A session's messages in memory, grouped by turn and measured once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from actors.context.estimate.sent import Billed
from actors.ports import SessionStore
from protocol.errors import GatewayError
from protocol.records import MessageRecord, SessionRecord

EMPTY_SESSION = 1_024
"""About how many bytes a session without text takes, so that many of them are bounded too."""


class Turn:
    """One turn's messages, in their order."""

    def __init__(self) -> None:
        self.messages: list[MessageRecord] = []

    @property
    def has_answer(self) -> bool:
        """Whether the model said something."""
        return any(message.role == "assistant" for message in self.messages)

    @property
    def is_refused(self) -> bool:
        """Whether the model would not answer: it is not asked that again."""
        return any(message.status == "refused" for message in self.messages)


class History:
    """A session's turns, oldest first."""

    def __init__(self, messages: Iterable[MessageRecord]) -> None:
        self._turns: dict[str, Turn] = {}
        self.size = 0
        for message in messages:
            self.append(message)

    def append(self, message: MessageRecord) -> None:
        """Add a message behind the others of its turn."""
        self._turns.setdefault(message.turn_id, Turn()).messages.append(message)
        self.size += message.byte_count

    def store_answer(self, turn_id: str, messages: Sequence[MessageRecord]) -> None:
        """Put `messages` behind the turn's question; what was kept of the answer gives way."""
        turn = self._turns.setdefault(turn_id, Turn())
        self.size -= sum(message.byte_count for message in turn.messages[1:])
        del turn.messages[1:]
        for message in messages:
            self.append(message)

    def answer_size(self, turn_id: str) -> int:
        """How many messages the turn has behind its question."""
        turn = self._turns.get(turn_id)
        return 0 if turn is None else max(0, len(turn.messages) - 1)

    def answered(self) -> list[list[MessageRecord]]:
        """The turns that go upstream, each with its messages.

        A question that was never answered is not sent again, nor is one that was refused.
        """
        return [
            list(turn.messages)
            for turn in self._turns.values()
            if turn.has_answer and not turn.is_refused
        ]

    def has_answer(self, turn_id: str) -> bool:
        """Whether the model said something in this turn."""
        turn = self._turns.get(turn_id)
        return turn is not None and turn.has_answer


class Held:
    """A session in memory. `lock` makes its changes follow each other."""

    def __init__(self) -> None:
        self.lock = trio.Lock()
        self.users = 0
        self.session: SessionRecord | None = None
        self.history = History(())
        self.billed: Billed | None = None
        """The latest request whose input was billed, while the session is in memory."""

    @property
    def size(self) -> int:
        """Bytes of text in memory, about."""
        if self.session is None:
            return 0
        system, tools = self.session.system or "", self.session.tools or b""
        return EMPTY_SESSION + len(system) + len(tools) + self.history.size


class Sessions:
    """Sessions in memory, least recently used first out, bounded by the bytes of their text."""

    def __init__(self, store: SessionStore, *, keep_bytes: int) -> None:
        self._store = store
        self._keep_bytes = keep_bytes
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._size = 0

    @asynccontextmanager
    async def open(self, session_id: str) -> AsyncIterator[Held]:
        """The session, loaded and locked. Raises GatewayError(SESSION_NOT_FOUND)."""
        async with self._locked(session_id) as held:
            if held.session is None:
                session = await self._store.load_session(session_id)
                if session is None:
                    raise GatewayError(
                        "SESSION_NOT_FOUND",
                        "There is no such session. Leave `sessionId` out to begin a new one.",
                    )
                # Both or neither: whoever waits may be cancelled in between.
                held.history = History(await self._store.load_messages(session_id))
                held.session = session
            yield held

    def create(self, session_id: str) -> AbstractAsyncContextManager[Held]:
        """A new session's place, locked; the caller puts it there once it is stored."""
        return self._locked(session_id)

    @asynccontextmanager
    async def forget(self, session_id: str) -> AsyncIterator[None]:
        """Locked while the caller deletes it; then it is out of memory too."""
        async with self._locked(session_id) as held:
            yield
            held.session = None
            held.history = History(())
            held.billed = None

    @asynccontextmanager
    async def _locked(self, session_id: str) -> AsyncIterator[Held]:
        held = self._held.setdefault(session_id, Held())
        self._held.move_to_end(session_id)
        held.users += 1
        try:
            async with held.lock:
                size = held.size
                try:
                    yield held
                finally:
                    self._size += held.size - size
        finally:
            held.users -= 1
            if held.session is None and not held.users:
                del self._held[session_id]
            self._evict()

    def _evict(self) -> None:
        while self._size > self._keep_bytes:
            session_id, held = next(iter(self._held.items()))
            if held.users:
                return
            del self._held[session_id]
            self._size -= held.size
