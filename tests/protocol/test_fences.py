"""Prose and fenced code are told apart, however the text is cut."""

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.fences import FenceSplitter, NoFences
from protocol.turn import Text

LONGEST = 256

# Texts made of what fences are made of.
fragments = st.sampled_from(
    [
        "`",
        "``",
        "```",
        "````",
        "~",
        "~~~",
        "~~~~",
        " ",
        "   ",
        "\t",
        "\n",
        "\n\n",
        "\r\n",
        "a",
        "py",
    ]
)
texts = st.lists(fragments | st.text(max_size=3), max_size=25).map("".join)
long_texts = st.lists(
    fragments | st.sampled_from([" " * 300, "x" * 300, "`" * 300, "`" * 250, " " * 250]),
    max_size=12,
).map("".join)


def split(*deltas: str) -> list[Text]:
    splitter = FenceSplitter()
    pieces = [piece for delta in deltas for piece in splitter.feed(delta)]
    return pieces + splitter.flush()


def kinds(pieces: list[Text]) -> str:
    """One letter a character of text: `t` for prose, `c` for code."""
    return "".join(piece.kind[0] * len(piece.text) for piece in pieces)


def together(pieces: list[Text]) -> str:
    return "".join(piece.text for piece in pieces)


def joined(pieces: list[Text]) -> list[Text]:
    result: list[Text] = []
    for piece in pieces:
        if result and result[-1].kind == piece.kind:
            result[-1] = Text(result[-1].text + piece.text, piece.kind)
        else:
            result.append(piece)
    return result


def by_the_book(text: str) -> str:
    """`kinds` of a whole text: CommonMark 0.31, section 4.5, line by line."""
    result, fence = "", ""
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        content = line.removesuffix("\n").removesuffix("\r")
        indent = len(content) - len(content.lstrip(" "))
        marker = content[indent : indent + 1]
        run = len(content[indent:]) - len(content[indent:].lstrip(marker)) if marker else 0
        rest = content[indent + run :]
        is_fence = indent <= 3 and run >= 3 and marker in ("`", "~")
        if fence:
            if is_fence and marker * run >= fence and marker == fence[0] and not rest.strip(" \t"):
                result += "c" * len(line.removesuffix("\n")) + "t" * line.endswith("\n")
                fence = ""
            else:
                result += "c" * len(line)
        elif is_fence and not (marker == "`" and "`" in rest):
            fence = marker * run
            result += "c" * len(line)
        else:
            result += "t" * len(line)
    return result


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(ends)]


@given(texts | long_texts, st.lists(st.integers(0, 10_000)))
@example("```" + "x" * 300 + "`\ny", [10, 257, 258, 300])
@example("```\n```" + " " * 300 + "x\ny", [10, 100, 300])
def test_no_cut_changes_a_character_or_its_kind(text: str, places: list[int]) -> None:
    """The pieces of any deltas are the pieces of the whole text."""
    pieces = split(*cut(text, places))
    assert together(pieces) == text
    assert joined(pieces) == joined(split(text))
    assert all(piece.text for piece in pieces)


@given(texts)
def test_one_character_at_a_time_is_no_different(text: str) -> None:
    """The smallest deltas there are."""
    assert joined(split(*text)) == joined(split(text))


@given(texts.filter(lambda text: not re.search(r"\r(?!\n)", text)))
def test_fences_are_those_of_commonmark(text: str) -> None:
    """As a straightforward reader of the whole text finds them."""
    assert kinds(split(text)) == by_the_book(text)


@given(texts | long_texts)
def test_little_is_ever_held_back(text: str) -> None:
    """Less than one line, and less than the longest that is judged."""
    splitter = FenceSplitter()
    shown = 0
    for at, character in enumerate(text, 1):
        shown += len(together(splitter.feed(character)))
        held = at - shown
        assert held < LONGEST
        assert held <= at - (text.rfind("\n", 0, at) + 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n```\nb\n```\nc", "ttccccccccctt"),
        ("```py\nb\n```", "c" * 11),
        ("~~~ `a`\nb\n~~~\n", "c" * 13 + "t"),
        ("   ```\n   ```\n", "c" * 13 + "t"),
        ("    ```\n", "t" * 8),
        ("``\n", "ttt"),
        ("``` a` \n", "t" * 8),
        ("````\n```\n````\n", "c" * 13 + "t"),
        ("```\n~~~\n```\n", "c" * 11 + "t"),
        ("```\n``` a\n", "c" * 10),
        ("```\r\na\r\n``` \t\r\nb", "c" * 14 + "tt"),
        ("a ```\n", "t" * 6),
        ("```", "ccc"),
        ("", ""),
    ],
)
def test_each_rule_of_a_fence(text: str, expected: str) -> None:
    """Length, indentation, info string, closing: the rules of section 4.5."""
    assert kinds(split(text)) == expected


def test_prose_passes_at_once() -> None:
    """Only what may become a fence waits."""
    splitter = FenceSplitter()
    assert splitter.feed("Hel") == [Text("Hel", "text")]
    assert splitter.feed("lo ``") == [Text("lo ``", "text")]
    assert splitter.feed("") == []
    assert splitter.feed("\n``") == [Text("\n", "text")]
    assert splitter.feed("x") == [Text("``x", "text")]
    assert splitter.flush() == []


def test_code_passes_at_once() -> None:
    """Only what may close the fence waits."""
    splitter = FenceSplitter()
    assert splitter.feed("```py\nx = 1") == [Text("```py\nx = 1", "code")]
    assert splitter.feed(" + 1\n``") == [Text(" + 1\n", "code")]
    assert splitter.feed("`") == []
    assert splitter.flush() == [Text("```", "code")]


def test_text_may_go_on_after_a_flush() -> None:
    """What was decided stays decided: the rest of the line is of the line's kind."""
    splitter = FenceSplitter()
    assert splitter.feed("``") == []
    assert splitter.flush() == [Text("``", "text")]
    assert splitter.feed("`\n```") == [Text("`\n", "text")]
    assert splitter.flush() == [Text("```", "code")]


def test_a_long_line_is_judged_by_its_beginning() -> None:
    """It is not held for ever."""
    info = "```" + "x" * LONGEST
    assert FenceSplitter().feed(info) == [Text(info, "code")]


def test_a_text_that_is_data_has_no_fences() -> None:
    """All of it passes at once, as it is."""
    plain = NoFences()
    assert plain.feed("```\nx") == [Text("```\nx", "text")]
    assert plain.feed("") == plain.flush() == []
