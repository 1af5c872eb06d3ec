"""Asking what the next request weighs, and how good the estimate of the last turn was."""

from __future__ import annotations

import msgspec

from agentspace.client import Client, GatewayError, new_id
from agentspace.messages import ContextInspect, ContextInspection, SessionHistory


async def weigh(client: Client, question: ContextInspect) -> ContextInspection:
    """The answer, with the session's last turn unless the question names another.

    Raises GatewayError and ConnectionLost.
    """
    if question.turn_id is None:
        turn_id = await _last_turn(client, question.session_id)
        last = msgspec.structs.replace(question, id=new_id(), turn_id=turn_id)
        try:
            return await client.ask(last)
        except GatewayError as error:
            if error.code != "TURN_NOT_FOUND":
                raise
            # That turn ended before anything was sent: there is no estimate of it.
    return await client.ask(question)


async def _last_turn(client: Client, session_id: str) -> str | None:
    question = SessionHistory(id=new_id(), session_id=session_id, limit=1)
    page = await client.ask(question)
    turns = [message.turn_id for message in page.messages]
    return turns[-1] if turns and isinstance(turns[-1], str) else None
