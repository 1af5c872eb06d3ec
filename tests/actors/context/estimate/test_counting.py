"""Counting: text as text, pictures and documents apart."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.context.estimate import counting
from actors.context.estimate.counting import Counter, Measure, countable
from protocol.records import Attached
from tests.actors.fakes import FakeMedia, FakeTokenizer

IMAGE = {"type": "image", "source": {"type": "base64", "data": "x" * 999}}
NOTE = {"type": "document", "source": {"type": "text", "data": "doc"}}
PDF = {"type": "document", "source": {"type": "base64", "data": "x" * 999}}


@pytest.mark.parametrize(
    ("content", "text", "media"),
    [
        ("Hi.", "Hi.", []),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb", []),
        ([{"type": "thinking", "thinking": "hm", "signature": "x" * 999}], "hm", []),
        ([{"type": "redacted_thinking", "data": "x" * 999}], "", []),
        ([IMAGE, {"type": "text", "text": "What?"}], "What?", [IMAGE]),
        ([NOTE], "doc", [NOTE]),
        ([PDF], "", [PDF]),
        ([{**PDF, "title": "T", "context": None}], "T", [{**PDF, "title": "T", "context": None}]),
        ([{"type": "tool_use", "input": {}}], '{"type":"tool_use","input":{}}', []),
        (
            [{"type": "tool_result", "content": [{"type": "text", "text": "seen"}, IMAGE]}],
            '{"type":"tool_result"}\nseen',
            [IMAGE],
        ),
        (
            [
                {
                    "type": "web_search_tool_result",
                    "content": [{"title": "Tea", "encrypted_content": "x" * 999}],
                }
            ],
            '{"type":"web_search_tool_result","content":[{"title":"Tea"}]}',
            [],
        ),
        (
            [
                {
                    "type": "web_fetch_tool_result",
                    "content": {"content": {"source": {"type": "base64", "data": "x" * 999}}},
                }
            ],
            '{"type":"web_fetch_tool_result","content":{"content":{"source":{"type":"base64"}}}}',
            [],
        ),
        (
            [{"type": "x_tool_result", "content": [[[[[[[{"encrypted_deep": 1}]]]]]]]}],
            '{"type":"x_tool_result","content":[[[[[[[{"encrypted_deep":1}]]]]]]]}',
            [],
        ),
        (
            [{"type": "tool_result", "content": "seen"}],
            '{"type":"tool_result","content":"seen"}',
            [],
        ),
    ],
)
def test_each_kind_of_content_is_counted_in_its_own_way(
    content: Any, text: str, media: list[Any]
) -> None:
    """Signatures not at all; pictures wherever they are."""
    assert countable(msgspec.json.encode(content)) == (text, media)


async def test_pictures_are_measured_apart_from_text() -> None:
    """The learned ratio is one of text."""
    counter = Counter(FakeTokenizer(), FakeMedia())
    contents = [b'"Hello"', msgspec.json.encode([IMAGE, PDF, {"type": "text", "text": "What?"}])]
    assert await counter.measure("m", contents) == [
        Measure(5),
        Measure(5, 0, 2_000, Attached(pictures=1, documents=1, edge=100)),
    ]


async def test_thinking_is_a_part_of_the_text() -> None:
    """It is known how much of it, for it may be left out one day; a text is not searched for it."""
    counter = Counter(FakeTokenizer(), FakeMedia())
    thoughts = [{"type": "thinking", "thinking": one, "signature": "x"} for one in ("Hm.", "So?")]
    contents = [
        msgspec.json.encode([*thoughts, {"type": "text", "text": "Yes."}]),
        msgspec.json.encode([{"type": "redacted_thinking", "data": "x" * 99}]),
        msgspec.json.encode('a "thinking" text'),
        msgspec.json.encode([{"type": "text", "text": "thinking"}]),
    ]
    assert await counter.measure("m", contents) == [
        Measure(len("Hm.\nSo?\nYes."), len("Hm.\nSo?")),
        Measure(0),
        Measure(len('a "thinking" text')),
        Measure(len("thinking")),
    ]


async def test_a_text_that_comes_again_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered is bounded, and stays right."""
    tokenizer = FakeTokenizer()
    counter = Counter(tokenizer, FakeMedia())
    assert [await counter.count_again(text) for text in ("abc", "", "abc")] == [3, 0, 3]
    assert tokenizer.texts == ["abc"]
    monkeypatch.setattr(counting, "KEPT_CHARACTERS", 5)
    assert [await counter.count_again(text) for text in ("defg", "abc")] == [4, 3]
    assert tokenizer.texts == ["abc", "defg", "abc"]
