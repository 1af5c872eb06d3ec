"""How much the provider's own tools bring."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from protocol.provider.brought import AROUND, SEALED, size_brought
from protocol.sizes import JSON_DENSITY

TEXT = "tea " * 250


def named(name: str) -> float:
    """What a member's name weighs, with the quotes around it."""
    return (len(name) + AROUND) * JSON_DENSITY


@pytest.mark.parametrize(
    ("part", "size"),
    [
        (TEXT, 1_000),
        ("茶" * 30, 120),
        ([TEXT, TEXT], 2_000),
        ({"text": TEXT}, named("text") + 1_000),
        ({"encrypted_content": TEXT}, named("encrypted_content") + 1_000 * SEALED),
        ({"encrypted_content": [TEXT]}, named("encrypted_content") + 1_000),
        ({"type": "base64", "data": TEXT}, 1_000 * SEALED),
        ({"type": "text", "data": TEXT}, named("type") + 4 + named("data") + 1_000),
        (None, AROUND),
        (7, AROUND),
    ],
)
def test_what_cannot_be_read_weighs_its_bytes(part: Any, size: float) -> None:
    """And what can be read its characters."""
    assert size_brought(part) == size


def test_what_can_be_read_weighs_about_its_json() -> None:
    """The model reads the titles and addresses, too; JSON has more tokens than prose."""
    found = {
        "type": "web_search_result",
        "url": "https://tea.example/",
        "title": "Tea",
        "age": None,
    }
    block = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [found] * 50}
    size = len(msgspec.json.encode(block))
    assert size < size_brought(block) < JSON_DENSITY * size
