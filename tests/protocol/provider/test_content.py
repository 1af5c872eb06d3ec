"""Content blocks in the provider's shapes."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given

from protocol.bounds import MOST_SCHEMA_NODES
from protocol.provider.content import (
    DEEPEST,
    Base64Source,
    CitationsSwitch,
    DocumentBlock,
    ImageBlock,
    PlainTextSource,
    TextBlock,
    UrlSource,
    UserContent,
    block_types,
    is_blank,
    is_json,
    is_too_deep,
    plain_text,
    schema_fault,
    user_blocks,
)
from tests.protocol.strategies import JSON_VALUES, values

BLOCKS: list[tuple[object, dict[str, Any]]] = [
    (TextBlock("Hi"), {"type": "text", "text": "Hi"}),
    (
        ImageBlock(Base64Source("image/png", "AAAA")),
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"},
        },
    ),
    (
        ImageBlock(UrlSource("https://a.example/b.png")),
        {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
    ),
    (
        DocumentBlock(PlainTextSource("Once"), "A title", "A context", CitationsSwitch(True)),
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "Once"},
            "title": "A title",
            "context": "A context",
            "citations": {"enabled": True},
        },
    ),
    (
        DocumentBlock(UrlSource("https://a.example/b.pdf")),
        {"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}},
    ),
]


@pytest.mark.parametrize(("block", "shape"), BLOCKS)
def test_each_block_has_the_providers_shape(block: object, shape: dict[str, Any]) -> None:
    """As it comes from a client, and as it goes upstream."""
    content = msgspec.json.decode(json.dumps([shape]), type=UserContent)
    assert content == [block]
    assert user_blocks(content) == [shape]


def test_a_string_is_one_text_block() -> None:
    """The short way to say it."""
    assert user_blocks("Hi") == [{"type": "text", "text": "Hi"}]


@given(values(UserContent))
def test_what_goes_upstream_is_what_came(content: UserContent) -> None:
    """Nothing is lost between the types and the blocks."""
    blocks = user_blocks(content)
    text = content if isinstance(content, str) else None
    assert msgspec.convert(blocks, UserContent) == (content if text is None else [TextBlock(text)])


@pytest.mark.parametrize(
    "blank", ["", " \n\t", [], [TextBlock("")], [TextBlock("a"), TextBlock(" ")]]
)
def test_blank_content_is_nothing_to_answer(blank: UserContent) -> None:
    """The provider refuses any blank text."""
    assert is_blank(blank)


@pytest.mark.parametrize("content", ["a", [TextBlock("a")], [ImageBlock(UrlSource("u"))]])
def test_content_that_says_anything_is_not_blank(content: UserContent) -> None:
    """A picture says something."""
    assert not is_blank(content)


@given(JSON_VALUES)
def test_what_json_can_say_is_json(value: object) -> None:
    """And both codecs take it."""
    assert is_json(value)
    for codec in (msgspec.json, msgspec.msgpack):
        assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, 2**64, -(2**63) - 1, b"x", {1: 2}, {"a": [b"x"]}, (1,), object()]
)
def test_what_json_cannot_say_is_not(value: object) -> None:
    """Nor an integer that MessagePack lacks."""
    assert not is_json(value)


@given(JSON_VALUES)
def test_depth_counts_lists_and_objects(value: object) -> None:
    """As many levels as there are brackets around the innermost value."""

    def depth(inner: object) -> int:
        items = inner.values() if isinstance(inner, dict) else inner
        return (
            1 + max(map(depth, items), default=0)
            if isinstance(items, list | type({}.values()))
            else 0
        )

    assert not is_too_deep(value, depth(value))
    assert depth(value) == 0 or is_too_deep(value, depth(value) - 1)


def test_there_is_a_deepest_level() -> None:
    """Nothing recurses further."""
    value: object = []
    for _ in range(DEEPEST - 1):
        value = [value]
    assert not is_too_deep(value)
    assert is_too_deep([value])


@pytest.mark.parametrize(
    ("content", "text", "types"),
    [
        ("Hi", "Hi", ["text"]),
        ([{"type": "text", "text": "Hi"}], "Hi", ["text"]),
        ([{"type": "text", "text": "Hi", "citations": []}], None, ["text"]),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], None, ["text", "text"]),
        ([{"type": "image", "source": {}}], None, ["image"]),
        ([], None, []),
    ],
)
def test_a_content_that_is_one_text_is_read_as_that(
    content: Any, text: str | None, types: list[str]
) -> None:
    """Stored as a text or as the only block of a list; with anything else it is a list."""
    encoded = msgspec.json.encode(content)
    assert (plain_text(encoded), block_types(encoded)) == (text, types)


def deep(levels: int, bottom: object) -> object:
    """Lists in lists, with something in the innermost."""
    value = bottom
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({}, None),
        ({"a": [1, -1.5, None, True, "x", {}]}, None),
        (deep(DEEPEST, 1), None),
        (deep(DEEPEST, math.nan), "only JSON"),
        (deep(DEEPEST, []), "deeper than 64"),
        (deep(DEEPEST + 1, 1), "deeper than 64"),
        ({"a": [2**64]}, "only JSON"),
        ({"a": {1: 2}}, "only JSON"),
        ({"a": [0] * (MOST_SCHEMA_NODES - 1)}, None),
        ({"a": [0] * MOST_SCHEMA_NODES}, "more than 10000 values"),
        (deep(500, [[]] * MOST_SCHEMA_NODES), "deeper than 64"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_schema_is_json_of_a_bounded_size_and_depth(schema: object, fault: str | None) -> None:
    """Whatever it holds, it is not walked any further than that."""
    found = schema_fault(schema)
    assert found is None if fault is None else fault in str(found)
