"""No two calls of a session have one id."""

from __future__ import annotations

import json
import time
from typing import Any

from actors.context.call_ids import DistinctIds
from protocol.mail import NewMessage
from protocol.transcript import Transcript
from tests.protocol.entries import entry

CALL = {"type": "tool_use", "id": "call_0", "name": "clock", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "call_0", "content": "Noon."}


def message(role: Any, *blocks: dict[str, Any]) -> NewMessage:
    """A message that is not stored yet."""
    return NewMessage(role=role, content=json.dumps(blocks, separators=(",", ":")).encode())


def ids_in(messages: list[NewMessage]) -> list[str]:
    """The ids in messages, of calls and of results."""
    blocks = [block for one in messages for block in json.loads(one.content)]
    return [block.get("id") or block["tool_use_id"] for block in blocks]


def stored(*blocks: dict[str, Any]) -> Transcript:
    """A session that has this answer."""
    session = Transcript("checked", 0)
    session.add(entry(0, "assistant", list(blocks)))
    return session


def test_an_id_that_no_earlier_call_has_stays() -> None:
    """Nor does a text that speaks of it matter."""
    said = stored({"type": "text", "text": 'It is "id":"call_0".'})
    messages = [message("assistant", CALL), message("user", RESULT)]
    assert DistinctIds("turn_2").distinct(messages, said, 1) == messages


def test_a_call_that_has_an_earlier_ones_id_gets_another_and_so_does_its_result() -> None:
    """Also when the result comes later than the call."""
    ids = DistinctIds("turn_2")
    text = {"type": "text", "text": "Well."}
    (call,) = ids.distinct([message("assistant", text, CALL)], stored(CALL), 1)
    other = {**RESULT, "tool_use_id": "call_1"}
    (results,) = ids.distinct([message("user", RESULT, other)], stored(CALL), 1)
    assert json.loads(call.content) == [text, {**CALL, "id": "turn_2_again_1"}]
    assert ids_in([results]) == ["turn_2_again_1", "call_1"]


def test_the_turns_own_calls_are_no_earlier_ones() -> None:
    """The session has them when their results come."""
    session = stored(CALL)
    assert DistinctIds("turn_2").distinct([message("user", RESULT)], session, 0) == [
        message("user", RESULT)
    ]
    again = DistinctIds("turn_2").distinct([message("assistant", CALL)], session, 0)
    assert ids_in(again) == ["call_0"]


def test_many_calls_are_held_against_a_long_session_at_once() -> None:
    """Searching the session for each of them, or once a turn, held the loop."""
    said = stored({"type": "text", "text": "word \n" * 700_000}, CALL)
    calls = [{**CALL, "id": f"call_{number}"} for number in range(500)]
    began = time.process_time()
    (renamed,) = DistinctIds("turn_2").distinct([message("assistant", *calls)], said, 1)
    assert time.process_time() - began < 0.01
    assert ids_in([renamed])[:2] == ["turn_2_again_1", "call_1"]
