"""No two calls of a session have one id."""

from __future__ import annotations

import json
from typing import Any

from actors.context.call_ids import distinct
from protocol.mail import NewMessage
from tests.protocol.entries import entry

CALL = {"type": "tool_use", "id": "call_0", "name": "clock", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "call_0", "content": "Noon."}


def message(role: Any, *blocks: dict[str, Any]) -> NewMessage:
    """A message that is not stored yet."""
    return NewMessage(role=role, content=json.dumps(blocks, separators=(",", ":")).encode())


def ids(messages: list[NewMessage]) -> list[str]:
    """The ids in messages, of calls and of results."""
    blocks = [block for one in messages for block in json.loads(one.content)]
    return [block.get("id") or block["tool_use_id"] for block in blocks]


def stored(*blocks: dict[str, Any]) -> Any:
    """An answer that the session has."""
    return entry(0, "assistant", list(blocks))


def test_an_id_that_no_earlier_call_has_stays() -> None:
    """Nor does a text that speaks of it matter."""
    said = stored({"type": "text", "text": 'It is "id":"call_0".'})
    messages = [message("assistant", CALL), message("user", RESULT)]
    assert distinct(messages, [said], "turn_2", {}) == messages


def test_a_call_that_has_an_earlier_ones_id_gets_another_and_so_does_its_result() -> None:
    """Also when the result comes later than the call."""
    renamed: dict[str, str] = {}
    text = {"type": "text", "text": "Well."}
    (call,) = distinct([message("assistant", text, CALL)], [stored(CALL)], "turn_2", renamed)
    other = {**RESULT, "tool_use_id": "call_1"}
    (results,) = distinct([message("user", RESULT, other)], [stored(CALL)], "turn_2", renamed)
    assert json.loads(call.content) == [text, {**CALL, "id": "turn_2_again_1"}]
    assert ids([results]) == ["turn_2_again_1", "call_1"]
