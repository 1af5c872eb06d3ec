"""No two calls of a session have one id: the provider refuses a conversation in which two do.

Some that speak the provider's language count the calls of each answer from the beginning again.
Within a turn `protocol.calls` has seen to it; here a call's id is held against the turns before.
The clients of a turn go on with the id that they were shown, and the session has another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from protocol.mail import NewMessage
from protocol.provider.content import Block
from protocol.records import Entry

_ID = re.compile(rb'"id":"([a-zA-Z0-9_-]{1,64})"')
"""An id needs no escape, and a text has no bare quotes."""

_decode = msgspec.json.Decoder(list[Block]).decode
_encode = msgspec.json.Encoder().encode


class DistinctIds:
    """The ids of one turn's calls, as the session has them."""

    def __init__(self, turn_id: str) -> None:
        self._turn_id = turn_id
        self._taken: frozenset[bytes] | None = None
        self._renamed: dict[str, str] = {}

    def distinct(self, messages: Iterable[NewMessage], before: Sequence[Entry]) -> list[NewMessage]:
        """The turn's `messages` with ids that no turn before it has.

        What is renamed stays so for the rest of the turn, in which the results are yet to come.
        The entries `before` are searched once, for they may have megabytes.
        """
        return [self._distinct(message, before) for message in messages]

    def _distinct(self, message: NewMessage, before: Sequence[Entry]) -> NewMessage:
        if b'"tool_' not in message.content:
            return message
        if self._taken is None:
            answers = (entry.content for entry in before if entry.role == "assistant")
            self._taken = frozenset(found for said in answers for found in _ID.findall(said))
        blocks = _decode(message.content)
        for block in blocks:
            if block["type"] == "tool_use" and block["id"].encode() in self._taken:
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
