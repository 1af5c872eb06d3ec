"""No two calls of a session have one id: the provider refuses a conversation in which two do.

Some that speak the provider's language count the calls of each answer from the beginning again.
Within a turn `protocol.calls` has seen to it; here a call's id is held against the turns before.
The clients of a turn go on with the id that they were shown, and the session has another one.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from protocol.mail import NewMessage
from protocol.provider.content import Block
from protocol.transcript import Transcript

_decode = msgspec.json.Decoder(list[Block]).decode
_encode = msgspec.json.Encoder().encode


class DistinctIds:
    """The ids of one turn's calls, as the session has them."""

    def __init__(self, turn_id: str) -> None:
        self._turn_id = turn_id
        self._renamed: dict[str, str] = {}

    def distinct(
        self, messages: Iterable[NewMessage], session: Transcript, own: int
    ) -> list[NewMessage]:
        """The turn's `messages` with ids that no turn before it has.

        In the session, the turn begins with message number `own`. What is renamed stays so for the
        rest of the turn, in which the results are yet to come.
        """
        return [self._distinct(message, session, own) for message in messages]

    def _distinct(self, message: NewMessage, session: Transcript, own: int) -> NewMessage:
        if b'"tool_' not in message.content:
            return message
        blocks = _decode(message.content)
        for block in blocks:
            if block["type"] == "tool_use" and session.has_call(block["id"], own):
                self._renamed[block["id"]] = f"{self._turn_id}_again_{len(self._renamed) + 1}"
        if not self._renamed:
            return message
        content = _encode([self._named(block) for block in blocks])
        return msgspec.structs.replace(message, content=content)

    def _named(self, block: Block) -> Block:
        match block:
            case {"type": "tool_use", "id": str(call_id)} if call_id in self._renamed:
                return {**block, "id": self._renamed[call_id]}
            case {"type": "tool_result", "tool_use_id": str(call_id)} if call_id in self._renamed:
                return {**block, "tool_use_id": self._renamed[call_id]}
        return block
