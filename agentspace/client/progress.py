"""How far a turn has been heard, and what asks for the rest of it.

A turn is not of a connection: the gateway goes on without the client, and keeps what it says. So
after each loss the client asks for what is missing. Until the turn's start is known it sends the
question itself again: the gateway knows a question by its session and its id, attaches to the turn
that it has begun, and never bills it twice. After that it asks for everything past the last event.
"""

from __future__ import annotations

from agentspace.client.ids import new_id
from agentspace.client.inbox import Heard
from agentspace.messages import ChatCancel, ChatResume, ChatSend, ChatStreamStart


class Progress:
    """One turn: its question, its id once that is known, and the last event that was heard."""

    def __init__(self, question: ChatSend) -> None:
        self.turn_id: str | None = None
        self._question = question
        self._seq = -1
        self._asked = question.id

    def request(self) -> ChatSend | ChatResume:
        """What asks for all that is still missing."""
        if self.turn_id is None:
            return self._question
        resume = ChatResume(id=new_id(), turn_id=self.turn_id, after=self._seq)
        self._asked = resume.id
        return resume

    def cancellation(self) -> ChatCancel:
        """What asks the gateway to stop the turn."""
        if self.turn_id is not None:
            return ChatCancel(id=new_id(), turn_id=self.turn_id)
        return ChatCancel(id=new_id(), request_id=self._question.id)

    def is_about(self, message: Heard) -> bool:
        """Whether a message is of this turn, and not an answer to something said in between."""
        return getattr(message, "request_id", None) == self._asked

    def is_news(self, message: Heard) -> bool:
        """Take a message of the turn in; whether it was not heard before."""
        if isinstance(message, ChatStreamStart):
            self.turn_id = message.turn_id
        seq = getattr(message, "seq", None)
        if not isinstance(seq, int):
            return True
        is_news = seq > self._seq
        self._seq = max(seq, self._seq)
        return is_news
