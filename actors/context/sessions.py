"""Sessions in memory: what each is to the provider, bounded by the bytes of their text."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec
import trio

from actors.context.estimate.sent import Billed
from actors.ports import SessionStore
from protocol.announcing import Briefing
from protocol.errors import Failure, GatewayError
from protocol.provider.model_info import Binding
from protocol.provider.models import binding as binding_of
from protocol.records import SENT, Change, Entry, Head, SessionRecord, StoredSession, Withheld
from protocol.transcript import Transcript

EMPTY_SESSION = 1_024
"""About how many bytes a session without text takes, so that many of them are bounded too."""

DECODED = 4
"""Decoded JSON takes about so many times its bytes; a briefing's tools are decoded."""

STEP_BYTES = 256 * 1024
"""About so much text is rendered before others have their turn: a millisecond at most."""

AN_ENTRY = 4 * 1024
"""An entry takes as long as so many bytes of text, and its text on top."""

NO_SESSION = Failure(
    code="SESSION_NOT_FOUND",
    message="There is no such session. Leave `sessionId` out to begin a new one.",
)


class Held:
    """One session in memory. `lock` makes its changes follow each other."""

    def __init__(self) -> None:
        self.lock = trio.Lock()
        self.users = 0
        self.counted_size = 0
        """Its size when it was last let go of."""
        self.forget()

    def forget(self) -> None:
        """There is no such session, or it is to be loaded anew."""
        self.session: SessionRecord | None = None
        self.head: Head | None = None
        self.entries: list[Entry] = []
        """Those that go upstream, from the head's first on."""
        self.next_place = 0
        self.told = Briefing({}, [])
        """What the head and the announcements after it say."""
        self.billed: Billed | None = None
        """The latest request whose input was billed, while the session is in memory."""
        self.is_mismatched = False
        """Whether the provider has found thinking that does not fit: the next turn begins anew."""
        self._transcript: Transcript | None = None
        self._bytes = 0

    def load(self, stored: StoredSession) -> None:
        """Take in what the ledger has."""
        self.forget()
        self.head, self.entries = stored.head, stored.entries
        self.next_place = stored.next_place
        self._bytes = sum(entry.byte_count for entry in stored.entries)
        self._brief()
        self.session = stored.session

    @property
    def size(self) -> int:
        """Bytes of text in memory, about: an entry's content is there twice, once as it is sent."""
        if self.session is None:
            return 0
        system, tools = self.session.system or "", self.session.tools or b""
        size = EMPTY_SESSION + len(system) + len(tools) + 2 * self._bytes
        if self.head is None:
            return size
        texts = sum(len(text) for _, text in self.head.system)
        return size + 2 * texts + DECODED * len(self.head.tools)

    @property
    def is_frozen(self) -> bool:
        """Whether an answer or an announcement follows the head: from then on the head stays."""
        began = 0 if self.head is None else self.head.began
        for entry in reversed(self.entries):
            if entry.place < began:
                return False
            if entry.role != "user":
                return True
        return False

    def last_turn(self) -> list[Entry]:
        """The entries of the turn that was last."""
        found: list[Entry] = []
        for entry in reversed(self.entries):
            if found and entry.turn_id != found[-1].turn_id:
                break
            found.append(entry)
        return found[::-1]

    async def transcript(self, binding: Binding) -> Transcript:
        """The session for models of this kind; for the kind of its own model it stays in memory."""
        if self._transcript is not None and self._transcript.binding == binding:
            return self._transcript
        transcript = await rendered(self.entries, binding, self.head)
        if self.session is not None and binding_of(self.session.model) == binding:
            self._transcript = transcript
        return transcript

    def adopt(self, change: Change, transcript: Transcript | None = None) -> None:
        """Take in what was written; for a new epoch, `transcript` has the messages before it.

        Until all of it is taken in there is no session here: should that fail, it is loaded anew.
        """
        self.session = None
        if change.withheld is not None:
            self._withhold(change.withheld)
        if change.head is not None:
            self.head = change.head
            self._leave_out(change.head.first)
        if transcript is not None:
            self._transcript = transcript
            self.is_mismatched = False
        first = 0 if self.head is None else self.head.first
        for entry in change.entries:
            self.next_place = entry.place + 1
            if entry.status in SENT and entry.place >= first:
                self._append(entry)
        if change.head is not None or change.withheld is not None:
            self._brief()
        self.session = msgspec.structs.replace(change.session, version=change.session.version + 1)

    def _append(self, entry: Entry) -> None:
        self.entries.append(entry)
        self._bytes += entry.byte_count
        if self._transcript is not None:
            self._transcript.add(entry)
        if entry.role == "system":
            self.told.fold(entry)

    def _withhold(self, withheld: Withheld) -> None:
        self.entries = [entry for entry in self.entries if not withheld.has(entry)]
        self._bytes = sum(entry.byte_count for entry in self.entries)
        if withheld.last is not None:
            self._transcript = None
        elif self._transcript is not None:
            self._transcript.keep(self._transcript.before(withheld.first))

    def _leave_out(self, first: int) -> None:
        if self.entries and self.entries[0].place < first:
            self.entries = [entry for entry in self.entries if entry.place >= first]
            self._bytes = sum(entry.byte_count for entry in self.entries)

    def _brief(self) -> None:
        """What is told, from the head on: announcements are few."""
        if self.head is None:
            self.told = Briefing({}, [])
            return
        self.told = Briefing.of(self.head)
        for entry in self.entries:
            if entry.role == "system" and entry.place >= self.head.began:
                self.told.fold(entry)


async def rendered(entries: list[Entry], binding: Binding, head: Head | None) -> Transcript:
    """The entries as models of this kind get them; other tasks may run in between."""
    transcript = Transcript(binding, 0 if head is None else head.began, head.bare if head else 0)
    done = 0
    for entry in entries:
        transcript.add(entry)
        done += AN_ENTRY + entry.byte_count
        if done >= STEP_BYTES:
            done = 0
            await trio.lowlevel.checkpoint()
    return transcript


class Sessions:
    """Sessions in memory, least recently used first out, bounded by the bytes of their text."""

    def __init__(self, store: SessionStore, *, keep_bytes: int) -> None:
        self._store = store
        self._keep_bytes = keep_bytes
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._size = 0

    def open(self, session_id: str) -> AbstractAsyncContextManager[Held]:
        """The session, loaded and locked. Raises GatewayError(SESSION_NOT_FOUND)."""
        return _Place(self, session_id, loads=True)

    def create(self, session_id: str) -> AbstractAsyncContextManager[Held]:
        """A new session's place, locked; the caller puts it there once it is stored."""
        return _Place(self, session_id, loads=False)

    @asynccontextmanager
    async def forget(self, session_id: str) -> AsyncIterator[None]:
        """Locked while the caller deletes it; then it is out of memory too."""
        async with self.create(session_id) as held:
            yield
            held.forget()

    async def lock(self, session_id: str) -> Held:
        """Wait until nobody else has the session; no checkpoint, if nobody has."""
        held = self._held.get(session_id)
        if held is None:
            held = self._held[session_id] = Held()
        else:
            self._held.move_to_end(session_id)
        held.users += 1
        if not held.lock.locked():
            held.lock.acquire_nowait()
            return held
        try:
            await held.lock.acquire()
        except BaseException:
            self._leave(session_id, held)
            raise
        return held

    async def load(self, session_id: str, held: Held) -> None:
        """Load a session that is locked. Raises GatewayError(SESSION_NOT_FOUND)."""
        stored = await self._store.load_session(session_id)
        if stored is None:
            raise GatewayError.of(NO_SESSION)
        held.load(stored)

    def release(self, session_id: str, held: Held) -> None:
        """Let others have the session."""
        size = held.size
        self._size += size - held.counted_size
        held.counted_size = size
        held.lock.release()
        self._leave(session_id, held)

    def _leave(self, session_id: str, held: Held) -> None:
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
            self._size -= held.counted_size


class _Place:
    """A session's place in memory, for as long as one task has it."""

    def __init__(self, sessions: Sessions, session_id: str, *, loads: bool) -> None:
        self._sessions = sessions
        self._session_id = session_id
        self._loads = loads

    async def __aenter__(self) -> Held:
        self._held = await self._sessions.lock(self._session_id)
        if self._loads and self._held.session is None:
            try:
                await self._sessions.load(self._session_id, self._held)
            except BaseException:
                self._sessions.release(self._session_id, self._held)
                raise
        return self._held

    async def __aexit__(self, *_: object) -> None:
        self._sessions.release(self._session_id, self._held)
