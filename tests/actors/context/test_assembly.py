"""Assembly: what is inspected is what is sent."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.context.assembly import RESPONSE_FORMAT, Parts, system_texts, title_of
from actors.context.estimate.clearing import clearing
from actors.context.history import History
from actors.context.toolset import Toolset, assemble_tools
from actors.ports import AgentFiles, Skill
from protocol.prompt import Allowance, Prompt
from protocol.provider.content import Base64Source, ImageBlock, TextBlock, UserContent
from protocol.records import MessageRecord
from protocol.tools import OfferedTool

NOTHING = AgentFiles(memory="", skills=())
NO_TOOLS = Toolset(json=None, text="", rules=[], client_names=[])
BREAKPOINT = {"type": "ephemeral"}
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
    st.builds(
        OfferedTool,
        name=texts,
        description=texts,
        input_schema=st.dictionaries(texts, json_values, max_size=3),
    ),
    max_size=2,
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


def body_of(parts: Parts, **fields: Any) -> dict[str, Any]:
    """The request's body, decoded."""
    asked = {"thinking": None, "effort": None, "edits": None, **fields}
    prompt = Prompt(
        model="m",
        head=parts.head(model="m", max_tokens=9, **asked),
        turns=parts.turns,
        current=[] if parts.user is None else [parts.user],
        fixed_tokens=0,
        has_tools=parts.has_tools,
        allowance=Allowance(limit=0, room=0, most_attached=0),
        caches=parts.caches,
    )
    body: dict[str, Any] = json.loads(prompt.body())
    return body


@given(files, texts, st.booleans(), tools, histories(), st.none() | contents, st.booleans())
def test_the_sections_are_the_request_part_for_part(
    files: AgentFiles,
    prompt: str,
    response_format: bool,
    tools: list[OfferedTool],
    history: History,
    content: UserContent | None,
    caches: bool,
) -> None:
    """Each section's text is found in the body, once, in its place, and the body has no more."""
    parts = Parts(
        system=system_texts(system_prompt=prompt, response_format=response_format, files=files),
        toolset=assemble_tools(tools, None, caches=caches),
        turns=history.answered(),
        user=None if content is None else record(99, "user", content),
        caches=caches,
    )
    sections = {name: content.decode() for name, content in parts.contents().items()}
    body = body_of(parts, thinking={"type": "adaptive"}, effort="low", edits=clearing(100))
    assert list(sections) == [
        *("system_prompt", "response_format", "memory", "skills"),
        *("tools", "history", "user_message"),
    ]
    system = [sections[name] for name in list(sections)[:4] if sections[name]]
    sent = body.pop("system", [])
    assert [part["text"] for part in sent] == system
    assert [part.get("cache_control") for part in sent if "cache_control" in part] == [
        BREAKPOINT for _ in sent[-1:] if caches
    ]
    assert body.pop("tools", []) == json.loads(sections["tools"] or "[]")
    messages = body.pop("messages")
    if content is not None:
        assert messages.pop() == {"role": "user", "content": msgspec.to_builtins(content)}
        assert sections["user_message"] == shown(msgspec.to_builtins(content))
    else:
        assert sections["user_message"] == ""
    assert messages == json.loads(sections["history"] or "[]")
    assert [message["role"] for message in messages] == ["user", "assistant"] * (len(messages) // 2)
    assert body.pop("cache_control", None) == (BREAKPOINT if caches else None)
    assert body == {
        "model": "m",
        "max_tokens": 9,
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low"},
        "context_management": clearing(100),
        "stream": True,
    }


def test_what_is_not_asked_for_is_not_sent() -> None:
    """No empty system prompt, no empty tools, no thinking of `null`."""
    parts = Parts(
        system=system_texts(system_prompt="", response_format=False, files=NOTHING),
        toolset=NO_TOOLS,
        turns=[],
        user=record(1, "user", "Hi."),
        caches=False,
    )
    assert body_of(parts) == {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hi."}],
        "stream": True,
    }


def test_the_history_is_shown_with_the_breakpoint_that_is_sent_in_it() -> None:
    """It lies behind the former question when the answer had many blocks."""
    answer = [{"type": "text", "text": f"{number}"} for number in range(25)]
    history = History([record(1, "user", "Why?"), record(1, "assistant", answer)])
    parts = Parts(
        system=system_texts(system_prompt="", response_format=False, files=NOTHING),
        toolset=NO_TOOLS,
        turns=history.answered(),
        user=record(2, "user", "And?"),
        caches=True,
    )
    shown_messages = json.loads(parts.contents()["history"])
    assert shown_messages[0]["content"][0]["cache_control"] == BREAKPOINT
    assert shown_messages == body_of(parts)["messages"][:-1]


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
