"""Where Markdown is cut while it is still being written."""

from __future__ import annotations

import pytest

from gateway.cli.views.blocks import LONGEST_LINES, LONGEST_TEXT, Blocks, Cut

PAGE = """# Title
First paragraph,
two lines.

- one
- two

  still two

- three

```python
def f():

    return 1
```
after

| a | b |
|---|---|
| 1 | 2 |
"""


def cut(text: str, size: int) -> list[Cut]:
    """The blocks of `text` when it comes in pieces of `size` characters."""
    blocks = Blocks()
    found: list[Cut] = []
    for at in range(0, len(text), size):
        found += blocks.add(text[at : at + size])
    return found + blocks.end()


def longest_rest(text: str) -> int:
    """The most that was unfinished at any time, in characters."""
    blocks = Blocks()
    longest = 0
    for at in range(0, len(text), 16):
        blocks.add(text[at : at + 16])
        longest = max(longest, len(blocks.rest.source))
    return longest


def test_blocks_end_at_blank_lines_headings_and_fences() -> None:
    """A paragraph, a list item with what is indented below it, a fence, a table: one block each."""
    assert [block.source.rstrip("\n") for block in cut(PAGE, 1_000)] == [
        "# Title",
        "First paragraph,\ntwo lines.",
        "- one\n- two\n\n  still two",
        "- three",
        "```python\ndef f():\n\n    return 1\n```",
        "after",
        "| a | b |\n|---|---|\n| 1 | 2 |",
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_the_pieces_it_comes_in_do_not_matter(size: int) -> None:
    """The same text is cut at the same places however its deltas are cut."""
    assert cut(PAGE, size) == cut(PAGE, len(PAGE))


def test_items_of_one_list_stay_close() -> None:
    """An item that follows an item asks for no blank line above it."""
    joined = {block.source.rstrip(): block.joined for block in cut(PAGE, 5)}
    assert joined["- three"]
    assert not joined["after"]


def test_a_long_fence_is_closed_and_opened_again() -> None:
    """Each part of a long listing is a listing of the same language; no line is lost."""
    lines = [f"x = {number}" for number in range(3 * LONGEST_LINES)]
    found = cut("\n".join(["```python", *lines, "```"]), 9)
    assert len(found) > 1
    assert all(block.source.startswith("```python\n") for block in found)
    assert all(block.source.endswith("\n```") for block in found)
    kept = [line for block in found for line in block.source.splitlines()[1:-1]]
    assert kept == lines


@pytest.mark.parametrize(
    "text",
    [
        "word " * 20_000,
        "x" * 50_000,
        "- item\n" * 5_000,
        "```\n" + "code\n" * 5_000,
        "```\n" + "x" * 50_000,
        "line\n" * 10_000,
    ],
    ids=["one line", "one word", "list", "listing", "listing of one line", "paragraph"],
)
def test_what_is_unfinished_has_a_bound(text: str) -> None:
    """Whatever the model writes, what is drawn again at each refresh stays short."""
    assert longest_rest(text) <= LONGEST_TEXT + 100


def test_a_text_that_is_cut_in_mid_line_keeps_its_words() -> None:
    """A very long line is cut between words."""
    text = " ".join(f"word{number}" for number in range(3_000))
    assert " ".join(block.source for block in cut(text, 11)).split() == text.split()
