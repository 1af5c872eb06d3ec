"""A client's questions: which actor answers which."""

from __future__ import annotations

from typing import assert_never

import msgspec

from actors.mailbox import Address
from protocol.client import (
    ContextInspect,
    ModelList,
    SessionCreate,
    SessionDelete,
    SessionHistory,
    SessionList,
    UsageQuery,
)
from protocol.errors import GatewayError
from protocol.mail import EndSession, InspectTurn
from protocol.server import ContextInspection, ServerMessage, SessionDeleted

Question = (
    ContextInspect
    | UsageQuery
    | SessionCreate
    | SessionList
    | SessionHistory
    | SessionDelete
    | ModelList
)
"""A client's message that an actor answers with one message."""


class Queries:
    """Answers what needs no stream."""

    def __init__(self, *, context: Address, llm: Address, usage: Address) -> None:
        self._context = context
        self._llm = llm
        self._usage = usage

    async def answer(self, question: Question) -> ServerMessage:
        """The answer. Raises GatewayError."""
        match question:
            case SessionCreate() | SessionList() | SessionHistory() | ModelList():
                return await self._context.ask(question)
            case SessionDelete():
                return await self._delete(question)
            case ContextInspect():
                return await self._inspect(question)
            case UsageQuery():
                return await self._usage.ask(question)
        assert_never(question)

    async def _inspect(self, question: ContextInspect) -> ContextInspection:
        found = await self._context.ask(question)
        if question.turn_id is None:
            return found
        request = InspectTurn(session_id=question.session_id, turn_id=question.turn_id)
        return msgspec.structs.replace(found, turn=await self._usage.ask(request))

    async def _delete(self, question: SessionDelete) -> SessionDeleted:
        """The session's turn is stopped too: nobody should pay for an answer without a place."""
        missing: GatewayError | None = None
        try:
            await self._context.ask(question)
        except GatewayError as error:
            if error.failure.code != "SESSION_NOT_FOUND":
                raise
            missing = error  # another client may have deleted it just now, and not waited
        await self._llm.ask(EndSession(session_id=question.session_id))
        if missing is not None:
            raise missing
        return SessionDeleted(request_id=question.id, session_id=question.session_id)
