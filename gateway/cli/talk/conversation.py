"""A session with the gateway: its turns, which survive a lost connection, and its questions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TypeVar

from agentspace.client import (
    AnswerRefused,
    Client,
    GatewayError,
    Interrupted,
    Resumed,
    Turn,
    TurnEvent,
    UnknownMessage,
    new_id,
)
from agentspace.messages import (
    ChatStreamStart,
    ContextInspect,
    ContextInspection,
    ModelList,
    ModelListing,
    Request,
    SessionCreate,
    SessionHistory,
    SessionHistoryPage,
    SessionList,
    SessionListing,
    ToolApprovalRequest,
    UsageQuery,
    UsageReport,
)
from gateway.cli.talk.weighing import weigh
from gateway.cli.views.harmless import harmless
from gateway.cli.views.turn import Notice, Shown

AnswerT = TypeVar("AnswerT")
MessageT = TypeVar("MessageT")

LOST = Notice("The connection is lost: reconnecting.")
REGAINED = Notice("Connected again.")
LONGEST_TITLE = 80
"""Characters of the first message that name its session."""


class ChatSession:
    """One session at a time. `model` is `None` for the session's own.

    What it gives is harmless for a terminal, unless `raw` is asked for.
    """

    def __init__(
        self,
        client: Client,
        session_id: str | None = None,
        model: str | None = None,
        *,
        raw: bool = False,
    ) -> None:
        self.session_id = session_id
        self.model = model
        self.answered_by: str | None = None
        self._client = client
        self._raw = raw
        self._turn: Turn | None = None

    @property
    def answers(self) -> str:
        """The model that answers, as far as it is known."""
        if self.model is not None:
            return self.model
        if self.answered_by is not None:
            return self.answered_by
        return self._client.hello.default_model if self.session_id is None else ""

    @property
    def link_state(self) -> str:
        """Whether the gateway is there."""
        return self._client.state

    async def turn(self, content: str) -> AsyncGenerator[Shown | AnswerRefused, None]:
        """Send `content`; the turn's messages and notices, up to its terminal frame.

        Raises GatewayError when no session could be made, ConnectionLost when the gateway stays
        away. Use it under `aclosing`.
        """
        session_id = await self.ensure_session(title=content[:LONGEST_TITLE])
        sending = self._client.send(
            content, session_id=session_id, model=self.model, on_leave="detach"
        )
        async with sending as turn:
            self._turn = turn
            try:
                async for event in turn:
                    if (shown := self._shown(event)) is not None:
                        yield shown  # noqa: ASYNC119 - used under aclosing
            except GatewayError as error:
                yield self._cleaned(error.answer)  # noqa: ASYNC119 - used under aclosing
            finally:
                self._turn = None

    def _shown(self, event: TurnEvent) -> Shown | AnswerRefused | None:
        match event:
            case Interrupted():
                return LOST
            case Resumed():
                return REGAINED
            case UnknownMessage():
                return None
            case ChatStreamStart():
                self.answered_by = harmless(event.model)
        return self._cleaned(event)

    def _cleaned(self, message: MessageT) -> MessageT:
        return message if self._raw else harmless(message)

    async def approve(
        self, request: ToolApprovalRequest, *, approved: bool, for_session: bool
    ) -> None:
        """Say whether a tool may run; a turn that is over needs no answer."""
        if self._turn is None:
            return
        if approved:
            await self._turn.approve(request, for_session=for_session)
        else:
            await self._turn.deny(request)

    async def cancel(self) -> None:
        """Stop the turn in flight; its own terminal frame tells that it worked."""
        if self._turn is not None and self._client.state == "connected":
            await self._turn.cancel()

    async def ensure_session(self, title: str | None = None) -> str:
        """The session's id; makes the session when there is none yet."""
        if self.session_id is None:
            create = SessionCreate(id=new_id(), model=self.model, title=title)
            created = await self._ask(create)
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
        return harmless(await weigh(self._client, question))

    async def usage(self, session_id: str | None) -> UsageReport:
        """What was billed, in one session or altogether."""
        return await self._ask(UsageQuery(id=new_id(), session_id=session_id))

    async def sessions(self) -> SessionListing:
        """The most recent sessions."""
        return await self._ask(SessionList(id=new_id(), limit=20))

    async def history(self, limit: int) -> SessionHistoryPage:
        """The last `limit` messages of the session."""
        session_id = await self.ensure_session()
        return await self._ask(SessionHistory(id=new_id(), session_id=session_id, limit=limit))

    async def models(self) -> ModelListing:
        """The models that can be asked for."""
        return await self._ask(ModelList(id=new_id()))

    async def _ask(self, question: Request[AnswerT]) -> AnswerT:
        return harmless(await self._client.ask(question))
