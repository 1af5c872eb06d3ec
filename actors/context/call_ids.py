"""No two calls of a session have one id: the provider refuses a conversation in which two do.

Some that speak the provider's language count the calls of each answer from the beginning again.
Within a turn `protocol.calls` has seen to it; here a call's id is held against the turns before.
The clients of a turn go on with the id that they were shown, and the session has another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from protocol.mail import NewMessage
from protocol.provider.content import Block
from protocol.records import Entry

_decode = msgspec.json.Decoder(list[Block]).decode
_encode = msgspec.json.Encoder().encode


def distinct(
    messages: Iterable[NewMessage], before: Sequence[Entry], turn_id: str, renamed: dict[str, str]
) -> list[NewMessage]:
    """A turn's `messages` with ids that are in no entry `before`.

    What is `renamed` stays so for the rest of the turn, in which the results are yet to come.
    """
    return [_distinct(message, before, turn_id, renamed) for message in messages]


def _distinct(
    message: NewMessage, before: Sequence[Entry], turn_id: str, renamed: dict[str, str]
) -> NewMessage:
    if b'"tool_' not in message.content:
        return message
    blocks = _decode(message.content)
    for block in blocks:
        if block["type"] == "tool_use" and _is_taken(block["id"], before):
            renamed[block["id"]] = f"{turn_id}_again_{len(renamed) + 1}"
    if not renamed:
        return message
    return msgspec.structs.replace(message, content=_encode([_named(b, renamed) for b in blocks]))


def _is_taken(call_id: str, before: Sequence[Entry]) -> bool:
    """Whether an earlier call has this id. An id needs no escape, and a text has no bare quotes."""
    wanted = b'"id":"%b"' % call_id.encode()
    return any(wanted in entry.content for entry in before if entry.role == "assistant")


def _named(block: Block, renamed: dict[str, str]) -> Block:
    match block:
        case {"type": "tool_use", "id": str(call_id)} if call_id in renamed:
            return {**block, "id": renamed[call_id]}
        case {"type": "tool_result", "tool_use_id": str(call_id)} if call_id in renamed:
            return {**block, "tool_use_id": renamed[call_id]}
    return block
