"""The sessions that there are: made, listed, read and deleted."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from actors.context.sessions import Sessions
from actors.context.toolset import server_tools
from actors.ports import Clock, Names, SessionStore
from protocol.client import (
    ServerTool,
    ServerToolOptions,
    SessionCreate,
    SessionDelete,
    SessionHistory,
    SessionList,
)
from protocol.errors import GatewayError
from protocol.moments import written
from protocol.provider.content import plain_text
from protocol.records import Entry, EntryStatus, SessionRecord
from protocol.server import (
    HistoryMessage,
    SessionCreated,
    SessionDeleted,
    SessionHistoryPage,
    SessionListing,
    SessionSummary,
)

LONGEST_PLACE = 18
"""Decimal digits: what a database's 64-bit integer surely takes."""


class Archive:
    """What a context actor answers of sessions; a new one has `model` and the `tools`.

    A page has `page_size` rows when its reader does not say how many, and `longest_page` at most.
    """

    def __init__(
        self,
        sessions: Sessions,
        store: SessionStore,
        *,
        model: str,
        tools: tuple[ServerTool | ServerToolOptions, ...],
        page_size: int,
        longest_page: int,
        clock: Clock,
        names: Names,
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._model = model
        self._tools = server_tools(tools)
        self._page_size = page_size
        self._longest_page = longest_page
        self._clock = clock
        self._names = names

    def new(
        self, *, agent_id: str | None, model: str | None, system: str | None, title: str | None
    ) -> SessionRecord:
        """A session that is not stored yet."""
        now = self._clock.now()
        return SessionRecord(
            session_id=self._names.new("session"),
            agent_id=agent_id or "default",
            model=model or self._model,
            system=system,
            tools=self._tools,
            title=title,
            created_at=now,
            last_active_at=now,
        )

    async def create(self, request: SessionCreate) -> SessionCreated:
        """Store an empty session."""
        session = self.new(
            agent_id=request.agent_id,
            model=request.model,
            system=request.system,
            title=request.title,
        )
        await self._store.create_session(session)
        return SessionCreated(
            session_id=session.session_id, session_key=session.key, request_id=request.id
        )

    async def list(self, request: SessionList) -> SessionListing:
        """A page of sessions."""
        limit = self._limit(request.limit)
        sessions = await self._store.list_sessions(limit + 1, request.before)
        page = sessions[:limit]
        return SessionListing(
            request_id=request.id,
            sessions=[_summary(session) for session in page],
            next=page[-1].session_id if len(sessions) > limit else UNSET,
        )

    async def read(self, request: SessionHistory) -> SessionHistoryPage:
        """A page of a session's messages."""
        limit = self._limit(request.limit)
        before = _place(request.before)
        entries = await self._store.page_entries(request.session_id, limit + 1, before)
        if entries is None:
            raise GatewayError("SESSION_NOT_FOUND", "There is no such session.")
        page = entries[-limit:]
        return SessionHistoryPage(
            request_id=request.id,
            session_id=request.session_id,
            messages=[_history_message(entry) for entry in page],
            next=str(page[0].place) if len(entries) > limit else UNSET,
        )

    async def delete(self, request: SessionDelete) -> SessionDeleted:
        """Forget a session."""
        async with self._sessions.forget(request.session_id):
            existed = await self._store.delete_session(request.session_id)
        if not existed:
            raise GatewayError("SESSION_NOT_FOUND", "There is no such session.")
        return SessionDeleted(request_id=request.id, session_id=request.session_id)

    def _limit(self, wanted: int | None) -> int:
        return min(wanted or self._page_size, self._longest_page)


def _summary(session: SessionRecord) -> SessionSummary:
    return SessionSummary(
        session_id=session.session_id,
        session_key=session.key,
        model=session.model,
        created_at=written(session.created_at),
        last_active_at=written(session.last_active_at),
        message_count=session.message_count,
        title=session.title or UNSET,
    )


def _history_message(entry: Entry) -> HistoryMessage:
    """The entry as clients read it: a question that is one text is shown as that."""
    text = plain_text(entry.content) if entry.role == "user" else None
    return HistoryMessage(
        role="assistant" if entry.role == "assistant" else "user",
        content=msgspec.json.decode(entry.content) if text is None else text,
        created_at=written(entry.created_at),
        tokens=entry.token_count + entry.media_tokens,
        turn_id=entry.turn_id,
        status=_status(entry.status),
    )


def _status(status: EntryStatus) -> Literal["partial", "unanswered", "refused"] | UnsetType:
    """What is said of an entry that is not whole, or that the model does not get."""
    match status:
        case "partial" | "unanswered" | "refused":
            return status
    return UNSET


def _place(before: str | None) -> int | None:
    if before is None:
        return None
    if not before.isdecimal() or len(before) > LONGEST_PLACE:
        raise GatewayError("INVALID_MESSAGE", "`before`: take it from a former page's `next`.")
    return int(before)
