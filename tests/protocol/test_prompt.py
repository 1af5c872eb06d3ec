"""A request in pieces: what stays the same when it grows, and where the provider's cache breaks."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.prompt import LOOKBACK, Allowance, Prompt, ends_in_thoughtless_calls, sent_messages
from protocol.records import MessageRecord

HEAD = b'{"model":"m","stream":true}'
MARK = {"cache_control": {"type": "ephemeral"}}


def record(role: str, content: Any, *, tokens: int = 1, media: int = 0) -> MessageRecord:
    """A measured message."""
    encoded = msgspec.json.encode(content)
    return MessageRecord(
        session_id="s",
        turn_id="t",
        role=role,  # type: ignore[arg-type]
        content=encoded,
        status="complete",
        created_at=1,
        byte_count=len(encoded),
        token_count=tokens,
        media_tokens=media,
    )


def texts(count: int) -> list[dict[str, Any]]:
    """So many blocks."""
    return [{"type": "text", "text": f"block {number}"} for number in range(count)]


def prompt(*turns: list[MessageRecord], current: list[MessageRecord], **fields: Any) -> Prompt:
    """A request."""
    allowance = Allowance(limit=1_000, room=1_000, most_attached=0)
    settings = {"fixed_tokens": 7, "has_tools": False, "caches": True, **fields}
    return Prompt(
        model="m",
        head=HEAD,
        turns=list(turns),
        current=current,
        allowance=allowance,
        **settings,
    )


def contents(*records: MessageRecord, caches: bool = True) -> list[Any]:
    """The contents as they are sent."""
    sent = sent_messages(records, caches=caches)
    return [msgspec.json.decode(message.content) for message in sent]


def test_the_body_is_the_head_and_the_messages() -> None:
    """History first, then this turn; one JSON object, the head to the byte."""
    past = [record("user", "Hi"), record("assistant", texts(1))]
    body = prompt(past, current=[record("user", "And?")]).body()
    assert body.startswith(HEAD[:-1])
    assert json.loads(body) == {
        "model": "m",
        "stream": True,
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": texts(1)},
            {"role": "user", "content": "And?"},
        ],
    }


def test_a_request_weighs_what_its_parts_weigh() -> None:
    """Text as the tokenizer counts; pictures and documents apart."""
    past = [record("user", "Hi", tokens=2, media=100), record("assistant", texts(1), tokens=3)]
    weighed = prompt(past, current=[record("user", "And?", tokens=4, media=50)])
    assert (weighed.counted_tokens, weighed.media_tokens) == (7 + 2 + 3 + 4, 150)


@given(st.lists(st.integers(1, 3), max_size=4), st.integers(1, 3), st.integers(1, 3))
def test_a_prompt_that_grows_begins_with_what_it_was(
    history: list[int], answer: int, results: int
) -> None:
    """To the byte: else the provider would remember nothing of it."""
    turns = [
        [record("user", f"question {number}"), record("assistant", texts(blocks))]
        for number, blocks in enumerate(history)
    ]
    before = prompt(*turns, current=[record("user", "Now?")])
    grown = [*before.current, record("assistant", texts(answer)), record("user", texts(results))]
    after = msgspec.structs.replace(before, current=grown)
    assert after.body().startswith(before.body()[:-2] + b",")


@pytest.mark.parametrize("question", ["Now?", texts(2)])
@pytest.mark.parametrize(("blocks", "marked"), [(LOOKBACK - 2, False), (LOOKBACK - 1, True)])
def test_a_breakpoint_is_put_where_the_provider_would_not_look(
    question: Any, blocks: int, marked: bool
) -> None:
    """Behind the former request, when what is new has too many blocks; a text becomes a block."""
    sent = contents(
        record("user", "Hi"),
        record("assistant", texts(1)),
        record("user", question),
        record("assistant", texts(blocks)),
        record("user", "And?"),
    )
    blocks_of = [{"type": "text", "text": "Now?"}] if isinstance(question, str) else question
    expected = [*blocks_of[:-1], {**blocks_of[-1], **MARK}] if marked else question
    assert sent[2] == expected
    assert json.dumps([*sent[:2], *sent[3:]]).count("cache_control") == 0


def test_without_a_cache_nothing_is_marked() -> None:
    """However many blocks there are."""
    assert contents(
        record("user", "Hi"),
        record("assistant", texts(99)),
        record("user", "And?"),
        caches=False,
    ) == ["Hi", texts(99), "And?"]


def test_a_first_request_has_none_before_it() -> None:
    """Also one of many blocks."""
    assert contents(record("user", texts(99))) == [texts(99)]
    assert contents() == []


THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
HIDDEN = {"type": "redacted_thinking", "data": "d"}
CALL = {"type": "tool_use", "id": "c", "name": "n", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "c", "content": "No."}


@pytest.mark.parametrize(
    ("records", "thoughtless"),
    [
        ([], False),
        ([("user", "Hi")], False),
        ([("user", "Hi"), ("assistant", texts(1)), ("user", "And?")], False),
        ([("user", "Hi"), ("assistant", [CALL]), ("user", [RESULT]), ("user", "And?")], True),
        ([("user", "Hi"), ("assistant", [*texts(1), CALL]), ("user", [RESULT])], True),
        ([("user", "Hi"), ("assistant", [THOUGHT, CALL]), ("user", [RESULT])], False),
        (
            [("user", "Hi"), *[("assistant", [CALL]), ("user", [RESULT])] * 2, ("user", "And?")],
            True,
        ),
        (
            [
                ("user", "Hi"),
                ("assistant", [THOUGHT, CALL]),
                ("user", [RESULT]),
                ("assistant", [CALL]),
                ("user", [RESULT]),
                ("user", "And?"),
            ],
            False,
        ),
        ([("user", "Hi"), ("assistant", [HIDDEN, CALL]), ("user", [RESULT])], False),
        ([("user", "Hi"), ("assistant", [CALL]), ("user", [RESULT]), ("assistant", [])], False),
    ],
)
def test_calls_without_a_thought_before_them_are_told(
    records: list[tuple[str, Any]], thoughtless: bool
) -> None:
    """Until the model has said something behind their results."""
    stored = [record(role, content) for role, content in records]
    assert ends_in_thoughtless_calls(stored) == thoughtless
