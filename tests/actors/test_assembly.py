"""Assembly: what is inspected is what is sent."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.assembly import (
    IMAGE_TOKENS,
    RESPONSE_FORMAT,
    Parts,
    countable,
    encode_content,
    fit,
    system_texts,
    title_of,
)
from actors.history import History
from actors.ports import AgentFiles, Skill
from protocol.content import Base64Source, ImageBlock, TextBlock, UserContent
from protocol.provider import Tool
from protocol.records import MessageRecord

NOTHING = AgentFiles(memory="", skills=())
texts = st.text(max_size=20)
contents: st.SearchStrategy[UserContent] = texts | st.lists(
    st.builds(TextBlock, texts), min_size=1, max_size=3
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(-1e6, 1e6) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
tools = st.lists(
    st.builds(Tool, texts, texts, st.dictionaries(texts, json_values, max_size=3)), max_size=2
)
files = st.builds(
    AgentFiles,
    memory=texts,
    skills=st.lists(st.builds(Skill, texts, texts), max_size=2).map(tuple),
)


def record(turn: int, role: str, content: Any, tokens: int = 1) -> MessageRecord:
    """A stored message."""
    encoded = msgspec.json.encode(content)
    return MessageRecord(
        session_id="s",
        turn_id=f"turn_{turn}",
        role=role,  # type: ignore[arg-type]
        content=encoded,
        status="complete",
        created_at=turn,
        byte_count=len(encoded),
        token_count=tokens,
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Turns, some of which were never answered."""
    messages = []
    for turn, (question, answer) in enumerate(
        draw(st.lists(st.tuples(contents, st.none() | texts), max_size=5))
    ):
        messages.append(record(turn, "user", question))
        if answer is not None:
            messages.append(record(turn, "assistant", [{"type": "text", "text": answer}]))
    return History(messages)


def shown(content: Any) -> str:
    """How a section shows a message's content: a string as it is."""
    return content if isinstance(content, str) else msgspec.json.encode(content).decode()


@given(files, texts, st.booleans(), tools, histories(), st.none() | contents)
def test_the_sections_are_the_request_part_for_part(
    files: AgentFiles,
    prompt: str,
    response_format: bool,
    tools: list[Tool],
    history: History,
    content: UserContent | None,
) -> None:
    """Each section's text is found in the body, once, in its place, and the body has no more."""
    parts = Parts(
        system=system_texts(system_prompt=prompt, response_format=response_format, files=files),
        tools=msgspec.json.encode(tools) if tools else None,
        history=[message for turn in history.answered() for message in turn.messages],
        user=None if content is None else encode_content(content),
    )
    sections = parts.texts()
    body = msgspec.json.decode(
        parts.request(model="m", max_tokens=9, thinking={"type": "adaptive"}, effort="low")
    )
    assert list(sections) == [
        *("system_prompt", "response_format", "memory", "skills"),
        *("tools", "history", "user_message"),
    ]
    system = [sections[name] for name in list(sections)[:4] if sections[name]]
    assert body.pop("system", []) == [{"type": "text", "text": text} for text in system]
    assert body.pop("tools", []) == json.loads(sections["tools"] or "[]")
    messages = body.pop("messages")
    if content is not None:
        assert messages.pop() == {"role": "user", "content": msgspec.to_builtins(content)}
        assert sections["user_message"] == shown(msgspec.to_builtins(content))
    else:
        assert sections["user_message"] == ""
    assert messages == json.loads(sections["history"] or "[]")
    assert [message["role"] for message in messages] == ["user", "assistant"] * (len(messages) // 2)
    assert body == {
        "model": "m",
        "max_tokens": 9,
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low"},
        "stream": True,
    }


def test_what_is_not_asked_for_is_not_sent() -> None:
    """No empty system prompt, no empty tools, no thinking of `null`."""
    parts = Parts(
        system=system_texts(system_prompt="", response_format=False, files=NOTHING),
        tools=None,
        history=[],
        user=encode_content("Hi."),
    )
    assert json.loads(parts.request(model="m", max_tokens=9, thinking=None, effort=None)) == {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi."}],
        "stream": True,
    }


def test_the_system_prompt_has_four_sections() -> None:
    """What the agent remembers and can do follows what it is told."""
    files = AgentFiles(memory="Tea, no milk.", skills=(Skill("brew", "Brews tea."),))
    assert system_texts(system_prompt="Be brief.", response_format=True, files=files) == {
        "system_prompt": "Be brief.",
        "response_format": RESPONSE_FORMAT,
        "memory": "# Memory\n\nTea, no milk.",
        "skills": "# Skills\n\nYou have been given these skills:\n- brew: Brews tea.",
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Hi.", ("Hi.", 0)),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], ("a\nb", 0)),
        ([{"type": "thinking", "thinking": "hm", "signature": "x" * 999}], ("hm", 0)),
        ([{"type": "redacted_thinking", "data": "x" * 999}], ("", 0)),
        ([{"type": "image", "source": {"type": "base64", "data": "x"}}], ("", IMAGE_TOKENS)),
        ([{"type": "document", "source": {"type": "text", "data": "doc"}}], ("doc", 0)),
        ([{"type": "document", "source": {"type": "base64", "data": "x" * 300}}], ("", 10)),
        ([{"type": "document", "source": {"type": "url", "url": "u"}}], ("", IMAGE_TOKENS)),
        ([{"type": "tool_use", "input": {}}], ('{"type":"tool_use","input":{}}', 0)),
    ],
)
def test_each_kind_of_content_is_counted_in_its_own_way(
    content: Any, expected: tuple[str, int]
) -> None:
    """Text as text, pictures by their size, signatures not at all."""
    assert countable(msgspec.json.encode(content)) == expected


@given(st.lists(st.integers(0, 100), max_size=12), st.floats(-10, 600))
def test_as_few_of_the_oldest_turns_are_left_out_as_need_be(turns: list[int], room: float) -> None:
    """The rest fits, and with one more turn it would not."""
    skipped = fit(turns, room)
    assert 0 <= skipped <= len(turns)
    assert skipped == len(turns) or sum(turns[skipped:]) <= room
    assert skipped == 0 or sum(turns[skipped - 1 :]) > room


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("  What is tea?\nTell me.", "What is tea?"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        (" ", None),
        ([TextBlock("In a block")], "In a block"),
        ([ImageBlock(Base64Source("image/png", "x"))], None),
    ],
)
def test_a_session_is_called_by_its_first_line(content: UserContent, title: str | None) -> None:
    """At most 60 characters of it."""
    assert title_of(content) == title
