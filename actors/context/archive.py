"""The sessions that there are: made, listed, read and deleted."""

from __future__ import annotations

from actors.context.history import Sessions
from actors.context.toolset import server_tools
from actors.ports import Clock, Names, SessionStore
from protocol.client import ServerTool
from protocol.errors import GatewayError
from protocol.mail import (
    CreateSession,
    DeleteSession,
    Done,
    HistoryPage,
    ListSessions,
    ReadHistory,
    SessionPage,
)
from protocol.records import SessionRecord

LONGEST_MESSAGE_ID = 18
"""Decimal digits: what a database's 64-bit integer surely takes."""


class Archive:
    """What a context actor answers of sessions; a new one has `model` and the `tools`."""

    def __init__(
        self,
        sessions: Sessions,
        store: SessionStore,
        *,
        model: str,
        tools: tuple[ServerTool, ...],
        clock: Clock,
        names: Names,
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._model = model
        self._tools = server_tools(tools)
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

    async def create(self, request: CreateSession) -> SessionRecord:
        """Store an empty session."""
        session = self.new(
            agent_id=request.agent_id,
            model=request.model,
            system=request.system,
            title=request.title,
        )
        await self._store.save_session(session)
        return session

    async def list(self, request: ListSessions) -> SessionPage:
        """A page of sessions."""
        sessions = await self._store.list_sessions(request.limit + 1, request.before)
        page = sessions[: request.limit]
        return SessionPage(
            sessions=page,
            next=page[-1].session_id if len(sessions) > request.limit else None,
        )

    async def read(self, request: ReadHistory) -> HistoryPage:
        """A page of a session's messages."""
        before = _message_id(request.before)
        async with self._sessions.open(request.session_id) as held:
            messages = await self._store.page_messages(
                request.session_id, request.limit + 1, before
            )
            page = messages[-request.limit :]
            answered = [m.turn_id for m in page if held.history.has_answer(m.turn_id)]
        return HistoryPage(
            messages=page,
            answered=answered,
            next=str(page[0].message_id) if len(messages) > request.limit else None,
        )

    async def delete(self, request: DeleteSession) -> Done:
        """Forget a session."""
        async with self._sessions.forget(request.session_id):
            existed = await self._store.delete_session(request.session_id)
        if not existed:
            raise GatewayError("SESSION_NOT_FOUND", "There is no such session.")
        return Done()


def _message_id(before: str | None) -> int | None:
    if before is None:
        return None
    if not before.isdecimal() or len(before) > LONGEST_MESSAGE_ID:
        raise GatewayError("INVALID_MESSAGE", "`before`: take it from a former page's `next`.")
    return int(before)
