"""Content blocks in the provider's shapes."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given

from protocol.provider.content import (
    Base64Source,
    CitationsSwitch,
    DocumentBlock,
    ImageBlock,
    PlainTextSource,
    TextBlock,
    UrlSource,
    UserContent,
    block_types,
    has_cited_document,
    has_sealed_text,
    is_blank,
    plain_text,
    user_blocks,
)
from tests.protocol.strategies import values

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


@pytest.mark.parametrize(
    ("content", "is_sealed"),
    [
        ([{"encrypted_content": "x"}], True),
        ([{"type": "text", "citations": [{"url": "u", "encrypted_index": "x"}]}], True),
        ([{"type": "text", "text": '{"encrypted_content":1,"encrypted_index":2}'}], False),
        ('{"encrypted_content":1}', False),
    ],
)
def test_text_that_only_the_provider_can_read_is_found(content: Any, is_sealed: bool) -> None:
    """A text that shows such a field has none."""
    assert has_sealed_text(msgspec.json.encode(content)) is is_sealed


def test_a_document_that_is_to_be_cited_is_found() -> None:
    """As a tool's answer too; the same words in a call's arguments are none."""
    cited = {"type": "document", "citations": {"enabled": True}}
    plain = {"type": "document", "citations": {"enabled": False}}
    answered = {"type": "tool_result", "tool_use_id": "c", "content": [cited]}
    call = {"type": "tool_use", "input": {"citations": {"enabled": True}}}
    found = [
        has_cited_document(msgspec.json.encode(content))
        for content in ([cited], [plain, answered], [plain], [call], "citations")
    ]
    assert found == [True, True, False, False, False]
