"""Assembling a request: the texts of its system prompt, its head, a session's title."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.context.assembly import RESPONSE_FORMAT, Shape, marked, system_texts, title_of
from actors.context.estimate.clearing import clearing
from actors.ports import AgentFiles, Skill
from protocol.context import SectionName
from protocol.provider.content import Base64Source, ImageBlock, TextBlock, UserContent
from protocol.wishes import Wishes

BREAKPOINT = {"type": "ephemeral"}
SYSTEM: tuple[tuple[SectionName, str], ...] = (("system_prompt", "Be brief."), ("memory", "Tea."))


def shape(**fields: Any) -> Shape:
    """A request but for its texts."""
    plain = {"model": "m", "max_tokens": 9, "thinking": None, "effort": None, "edits": None}
    return Shape(**{**plain, "caches": False, **fields})


def test_what_is_not_asked_for_is_not_sent() -> None:
    """No empty system prompt, no empty tools, no thinking of `null`."""
    assert json.loads(shape().head((), b"[]")) == {"model": "m", "max_tokens": 9, "stream": True}


def test_what_is_asked_for_is_sent() -> None:
    """Tools to the byte, as they come."""
    asked = shape(thinking={"type": "adaptive"}, effort="low", edits=clearing(100))
    head = asked.head(SYSTEM, b'[{"name": "brew"}]')
    assert b'"tools":[{"name": "brew"}],' in head
    assert json.loads(head) == {
        "model": "m",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Tea."}],
        "tools": [{"name": "brew"}],
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low"},
        "context_management": clearing(100),
        "stream": True,
    }


def test_what_the_provider_is_to_remember_has_a_breakpoint() -> None:
    """At the end of the system prompt, and one that the provider puts at the end of all."""
    head = json.loads(shape(caches=True).head(SYSTEM, b"[]"))
    assert [block.get("cache_control") for block in head["system"]] == [None, BREAKPOINT]
    assert head["cache_control"] == BREAKPOINT


def test_how_a_model_is_to_think_is_known_by_a_number() -> None:
    """Another kind or another effort has another; the length of the answer does not matter."""
    kinds = [
        shape(),
        shape(effort="low"),
        shape(thinking={"type": "adaptive"}),
        shape(thinking={"type": "enabled", "budget_tokens": 2_000}),
    ]
    assert len({one.kind_of_thinking for one in kinds}) == len(kinds)
    assert shape(max_tokens=5).kind_of_thinking == shape().kind_of_thinking


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


def test_a_schema_and_an_hour_are_asked_for() -> None:
    """The schema to the byte; every breakpoint for the same time."""
    asked = shape(caches=True, for_an_hour=True, effort="low", output_format=b'{"type": "string"}')
    head = asked.head(SYSTEM, b"[]")
    hour = {"type": "ephemeral", "ttl": "1h"}
    assert b'"schema":{"type": "string"}' in head
    told = json.loads(head)
    assert told["output_config"]["effort"] == "low"
    assert told["cache_control"] == told["system"][-1]["cache_control"] == hour
    assert json.loads(b"{" + asked.mark[1:] + b"}") == {"cache_control": hour}
    assert json.loads(marked(b'[{"name":"a"}]', caches=True, for_an_hour=True)) == [
        {"name": "a", "cache_control": hour}
    ]


def test_a_forced_tool_is_another_way_to_think() -> None:
    """It costs the messages their cache, once: the turn's later requests are not forced."""
    forced = shape(wishes=Wishes(tool_choice={"type": "any"}))
    assert forced.kind_of_thinking != shape().kind_of_thinking
    assert forced.going_on("tool_use") == shape()
    assert json.loads(forced.head((), b"[]"))["tool_choice"] == {"type": "any"}
