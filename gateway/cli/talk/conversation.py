"""A session with the gateway: its turns, which survive a lost connection, and its questions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

import msgspec

from gateway.cli.talk.link import Link
from gateway.cli.talk.weighing import weigh
from gateway.cli.target import ask_in_time
from gateway.cli.views.harmless import harmless
from gateway.cli.views.turn import Notice, Shown
from gateway.client import Client, ConnectionLost, new_id
from protocol.client import (
    AnyClientMessage,
    ChatCancel,
    ChatResume,
    ChatSend,
    ContextInspect,
    ModelList,
    SessionCreate,
    SessionHistory,
    SessionList,
    ToolApprovalResponse,
    UsageQuery,
)
from protocol.server import (
    AnyServerMessage,
    ChatStreamEnd,
    ChatStreamStart,
    ContextInspection,
    ErrorMessage,
    ModelListing,
    ServerMessage,
    SessionCreated,
    SessionHistoryPage,
    SessionListing,
    UsageReport,
)

AnswerT = TypeVar("AnswerT", bound=ServerMessage)

LOST = Notice("The connection is lost: reconnecting.")
REGAINED = Notice("Connected again.")
LONGEST_TITLE = 80
"""Characters of the first message that name its session."""


class _Turn(msgspec.Struct):
    """How far the turn in flight has come."""

    send: ChatSend
    turn_id: str | None = None
    seq: int = -1

    def request(self) -> ChatSend | ChatResume:
        """What asks for what is still missing.

        Before its start is known the question itself is sent again: the gateway knows its id in
        this session, and attaches.
        """
        if self.turn_id is None:
            return self.send
        return ChatResume(id=new_id(), turn_id=self.turn_id, after=self.seq)

    def note(self, message: AnyServerMessage) -> None:
        """Keep what a resumption needs."""
        if isinstance(message, ChatStreamStart):
            self.turn_id = message.turn_id
        self.seq = getattr(message, "seq", self.seq)


class ChatSession:
    """One session at a time. `model` is `None` for the session's own.

    What it gives is harmless for a terminal, unless `raw` is asked for.
    """

    def __init__(
        self,
        link: Link,
        session_id: str | None = None,
        model: str | None = None,
        *,
        raw: bool = False,
    ) -> None:
        self.session_id = session_id
        self.model = model
        self.answered_by: str | None = None
        self._link = link
        self._raw = raw
        self._turn: _Turn | None = None

    @property
    def answers(self) -> str:
        """The model that answers, as far as it is known."""
        if self.model is not None:
            return self.model
        if self.answered_by is not None:
            return self.answered_by
        return self._link.default_model if self.session_id is None else ""

    @property
    def link_state(self) -> str:
        """Whether the gateway is there."""
        return self._link.state

    async def turn(self, content: str) -> AsyncGenerator[Shown, None]:
        """Send `content`; the turn's messages and notices, up to its terminal frame.

        Raises GatewayError when no session could be made, ConnectionLost when the gateway stays
        away. Use it under `aclosing`.
        """
        session_id = await self.ensure_session(title=content[:LONGEST_TITLE])
        turn = _Turn(
            ChatSend(id=new_id(), content=content, session_id=session_id, model=self.model)
        )
        self._turn = turn
        try:
            async with aclosing(self._persist(turn)) as messages:
                async for message in messages:
                    yield message  # noqa: ASYNC119 - used under aclosing
        finally:
            self._turn = None

    async def _persist(self, turn: _Turn) -> AsyncGenerator[Shown, None]:
        """The turn's messages over as many connections as it takes."""
        while True:
            client = await self._link.client()
            if turn.seq >= 0:
                yield REGAINED
            try:
                async with aclosing(client.stream(turn.request())) as messages:
                    async for message in messages:
                        self._note(turn, message)
                        yield message if self._raw else harmless(message)  # noqa: ASYNC119 - used under aclosing
                        if isinstance(message, ChatStreamEnd | ErrorMessage):
                            return
            except ConnectionLost:
                yield LOST

    def _note(self, turn: _Turn, message: AnyServerMessage) -> None:
        turn.note(message)
        if isinstance(message, ChatStreamStart):
            self.answered_by = message.model

    async def approve(self, call_id: str, *, approved: bool, for_session: bool) -> bool:
        """Say whether a tool may run, again over each new connection; whether it was too late.

        There is no answer to a word in time: this lasts until it is cancelled.
        """
        is_first = True
        while True:
            response = ToolApprovalResponse(
                id=new_id(),
                tool_call_id=call_id,
                approved=approved,
                session_approve=for_session,
            )
            try:
                client = await self._link.client()
                async with aclosing(client.stream(response)) as refusals:
                    async for _ in refusals:
                        # What the first connection took with it may have arrived all the same.
                        return is_first
            except ConnectionLost:
                is_first = False

    async def cancel(self) -> None:
        """Stop the turn in flight; its own terminal frame tells that it worked."""
        if self._turn is None or self._link.state != "connected":
            return
        client = await self._link.client()
        by_turn = self._turn.turn_id is not None
        await client.send(
            ChatCancel(
                id=new_id(),
                turn_id=self._turn.turn_id,
                request_id=None if by_turn else self._turn.send.id,
            )
        )

    async def ensure_session(self, title: str | None = None) -> str:
        """The session's id; makes the session when there is none yet."""
        if self.session_id is None:
            create = SessionCreate(id=new_id(), model=self.model, title=title)
            created = await self._ask(create, SessionCreated)
            self.session_id = created.session_id
        return self.session_id

    def enter(self, session_id: str | None) -> None:
        """Go on in another session; `None` is a new one."""
        self.session_id = session_id
        self.answered_by = None

    async def inspect(self, content: str | None) -> ContextInspection:
        """What the next request would weigh, and the last one's estimate beside its bill."""
        session_id = await self.ensure_session()
        question = ContextInspect(
            id=new_id(), session_id=session_id, content=content, model=self.model
        )
        return harmless(await weigh(await self._link.client(), question))

    async def usage(self, session_id: str | None) -> UsageReport:
        """What was billed, in one session or altogether."""
        return await self._ask(UsageQuery(id=new_id(), session_id=session_id), UsageReport)

    async def sessions(self) -> SessionListing:
        """The most recent sessions."""
        return await self._ask(SessionList(id=new_id(), limit=20), SessionListing)

    async def history(self, limit: int) -> SessionHistoryPage:
        """The last `limit` messages of the session."""
        session_id = await self.ensure_session()
        return await self._ask(
            SessionHistory(id=new_id(), session_id=session_id, limit=limit), SessionHistoryPage
        )

    async def models(self) -> ModelListing:
        """The models that can be asked for."""
        return await self._ask(ModelList(id=new_id()), ModelListing)

    async def _ask(self, question: AnyClientMessage, expected: type[AnswerT]) -> AnswerT:
        client: Client = await self._link.client()
        return harmless(await ask_in_time(client, question, expected))
