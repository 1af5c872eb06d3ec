"""Which uses of the provider's own tools, and which results, it takes back."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.provider.content import Block
from protocol.server_uses import ServerUses

USE: Block = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
FOUND: Block = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}


def taken(*blocks: Block) -> list[bool]:
    """Which of these blocks are taken, one after the other."""
    uses = ServerUses()
    return [uses.takes(block) for block in blocks]


@pytest.mark.parametrize(
    "name", ["", "a b", "é", "x" * 129, "mail\n", {"name": "web_search"}, None]
)
def test_a_use_needs_a_name(name: Any) -> None:
    """Without one, its result is that of no use."""
    assert taken({**USE, "name": name}, FOUND) == [False, False]


@pytest.mark.parametrize("use", ["", "a b", "toolu_1", "x" * 500, "srvtoolu_", "srvtoolu_1\n"])
def test_a_use_needs_an_id_of_its_own_kind(use: str) -> None:
    """Nothing else matches the provider's pattern."""
    assert taken({**USE, "id": use}, {**FOUND, "tool_use_id": use}) == [False, False]


def test_no_two_uses_have_the_same_id() -> None:
    """Nor does a use have two results, or one before it, or that of another."""
    assert taken(USE, FOUND, USE, FOUND) == [True, True, False, False]
    assert taken(USE, FOUND, FOUND) == [True, True, False]
    assert taken(FOUND, USE) == [False, True]
    assert taken(USE, {**FOUND, "tool_use_id": "srvtoolu_2"}) == [True, False]


@pytest.mark.parametrize(
    ("content", "is_taken"),
    [([], True), ([{}], True), ({}, True), (["a"], False), ("a", False), (None, False)],
)
def test_a_result_is_a_block_or_a_list_of_them(content: object, is_taken: bool) -> None:
    """A failed search is one block."""
    assert taken(USE, {**FOUND, "content": content}) == [True, is_taken]


@pytest.mark.parametrize("kind", ["text", "tool_use", "mcp_tool_result", "from_the_future"])
def test_other_blocks_are_no_matter_of_it(kind: str) -> None:
    """They are judged elsewhere, or kept as they came."""
    assert taken({"type": kind}) == [True]
