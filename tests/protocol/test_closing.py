"""The end of a transcript, where a turn broke off, before a question follows it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.simulator.validation import check_body
from protocol.closing import NO_ANSWER, Closing, closing, without_gap
from protocol.provider.content import Block
from protocol.provider.features import INLINE_TOOLS
from protocol.records import Entry, EntryRole
from protocol.tools import CUT_OFF, tool_result
from tests.protocol.entries import (
    HIDDEN,
    THOUGHT,
    announcement,
    call,
    entry,
    found,
    result,
    search,
    text,
)

Said = tuple[EntryRole, list[Block]]
ASKED: Said = ("user", [text("?")])
TOLD: Said = ("system", [text("Now.")])


def turn(*said: Said) -> list[Entry]:
    """The last turn, whose first place is 4."""
    return [
        announcement(place, *content) if role == "system" else entry(place, role, content)
        for place, (role, content) in enumerate(said, start=4)
    ]


def mended(entries: list[Entry]) -> list[tuple[EntryRole, Any]]:
    """The turn as it stands once it is mended."""
    found = closing(entries)
    kept: list[tuple[EntryRole, Any]] = [
        (one.role, json.loads(one.content))
        for one in entries
        if found.first is None or one.place < found.first
    ]
    return kept + [(mend.entry.role, json.loads(mend.content)) for mend in found.written]


@pytest.mark.parametrize(
    "said",
    [
        [],
        [ASKED],
        [ASKED, ("assistant", [THOUGHT, text("So.")])],
        [ASKED, TOLD, ("assistant", [text("So.")])],
        [ASKED, ("assistant", [search(), found(), text("So.")])],
        [ASKED, ("assistant", [call()]), ("user", [result()]), ("assistant", [text("So.")])],
        [ASKED, ("assistant", [THOUGHT, search()]), ("assistant", [found(), text("So.")])],
    ],
)
def test_an_end_that_the_provider_takes_is_left_alone(said: list[Said]) -> None:
    """Also when the result of a search came with the next answer."""
    assert closing(turn(*said)) == Closing(None, [])


def test_a_question_that_was_stored_as_a_text_is_left_alone() -> None:
    """It has no blocks."""
    assert closing([entry(4, "user", "?")]) == Closing(None, [])


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        ([text("a"), search()], [text("a")]),
        ([search("1"), found("1"), search("2")], [search("1"), found("1")]),
        ([THOUGHT, text("a"), search(), text("b")], [THOUGHT, text("a"), text("b")]),
        (
            [THOUGHT, text("a"), search(), THOUGHT, HIDDEN, text("b")],
            [THOUGHT, text("a"), text("b")],
        ),
        ([text("a"), THOUGHT, search()], [text("a")]),
        ([text("a"), THOUGHT, HIDDEN, search()], [text("a")]),
    ],
)
def test_a_use_of_a_search_without_its_result_goes(answer: list[Block], left: list[Block]) -> None:
    """And the thinking behind it, which is bound to it, and thinking that would be the end."""
    entries = turn(ASKED, ("assistant", answer))
    found = closing(entries)
    assert found.first == 5
    assert [mend.entry for mend in found.written] == [entries[1]]
    assert mended(entries) == [ASKED, ("assistant", left)]


@pytest.mark.parametrize("answer", [[search()], [THOUGHT, search()], [search(), THOUGHT]])
def test_an_answer_of_which_nothing_is_left_is_no_more(answer: list[Block]) -> None:
    """The question stays without an answer."""
    assert closing(turn(ASKED, ("assistant", answer))) == Closing(5, [])
    assert mended(turn(ASKED, ("assistant", answer))) == [ASKED]


def test_where_only_an_announcement_is_left_a_few_words_take_the_answers_place() -> None:
    """A question must not follow it."""
    entries = turn(ASKED, TOLD, ("assistant", [search()]))
    found = closing(entries)
    assert found.first == 6
    (mend,) = found.written
    assert (mend.entry.role, mend.entry.sections, mend.entry.turn_id) == ("assistant", (), "t")
    assert mended(entries) == [ASKED, TOLD, ("assistant", NO_ANSWER)]


@pytest.mark.parametrize(
    "said", [[ASKED, TOLD], [ASKED, ("assistant", [THOUGHT, call()]), ("user", [result()])]]
)
def test_an_announcement_or_results_at_the_end_get_the_same_words(said: list[Said]) -> None:
    """There has been no answer: nothing is taken away."""
    entries = turn(*said)
    assert closing(entries).first is None
    assert mended(entries) == [*said, ("assistant", NO_ANSWER)]


@pytest.mark.parametrize("beside", [[], [search()], [search("1"), found("1")]])
def test_a_call_that_a_dead_process_left_is_told_to_have_been_cut_off(beside: list[Block]) -> None:
    """It may have had its effect; a search that is still pending beside it goes as ever."""
    entries = turn(ASKED, ("assistant", [THOUGHT, *beside, call("a"), call("b")]))
    stays = beside if len(beside) == 2 else []
    assert mended(entries) == [
        ASKED,
        ("assistant", [THOUGHT, *stays, call("a"), call("b")]),
        ("user", [tool_result("a", CUT_OFF), tool_result("b", CUT_OFF)]),
        ("assistant", NO_ANSWER),
    ]
    assert [mend.entry.model for mend in closing(entries).written][-2:] == ["", ""]


def test_what_our_tools_answered_beside_a_search_stays() -> None:
    """With the call that it answers, and a word behind it."""
    entries = turn(
        ASKED, TOLD, ("assistant", [THOUGHT, search(), call()]), ("user", [result(), text("!")])
    )
    assert mended(entries) == [
        ASKED,
        TOLD,
        ("assistant", [THOUGHT, call()]),
        ("user", [result(), text("!")]),
        ("assistant", NO_ANSWER),
    ]


def test_what_was_said_after_the_gap_stays_without_its_thinking() -> None:
    """Here the search was left pending by the first of three answers."""
    entries = turn(
        ASKED,
        ("assistant", [THOUGHT, search("1"), call("c1")]),
        ("user", [result("c1")]),
        ("assistant", [THOUGHT, text("a"), search("2"), call("c2")]),
        ("user", [result("c2")]),
        ("assistant", [HIDDEN, text("b"), THOUGHT]),
    )
    assert closing(entries).first == 5
    assert mended(entries) == [
        ASKED,
        ("assistant", [THOUGHT, call("c1")]),
        ("user", [result("c1")]),
        ("assistant", [text("a"), call("c2")]),
        ("user", [result("c2")]),
        ("assistant", [text("b")]),
    ]


def test_what_was_said_before_the_gap_is_not_written_again() -> None:
    """It goes upstream as it came."""
    entries = turn(
        ASKED,
        ("assistant", [THOUGHT, call()]),
        ("user", [result()]),
        ("assistant", [THOUGHT, text("a"), search()]),
    )
    found = closing(entries)
    assert (found.first, len(found.written)) == (7, 1)
    assert mended(entries)[-1] == ("assistant", [THOUGHT, text("a")])


@pytest.mark.parametrize(
    ("gone", "left"),
    [
        ([], [THOUGHT, text("a"), HIDDEN, text("b"), THOUGHT]),
        ([1], [THOUGHT, text("b")]),
        ([3], [THOUGHT, text("a"), HIDDEN]),
        ([0], [text("a"), text("b")]),
        ([1, 3], [THOUGHT]),
    ],
)
def test_thinking_behind_a_missing_block_goes(gone: list[int], left: list[Block]) -> None:
    """It is bound to all that stood before it."""
    blocks = [THOUGHT, text("a"), HIDDEN, text("b"), THOUGHT]
    assert without_gap(blocks, gone) == left


# --- what is written is acceptable -------------------------------------------------------------


@st.composite
def broken_off(draw: st.DrawFn) -> list[Said]:
    """A turn that ran tools of ours and searched, and ended anywhere."""
    said: list[Said] = [ASKED, *([TOLD] if draw(st.booleans()) else [])]
    for number in range(draw(st.integers(0, 3))):
        blocks: list[Block] = []
        calls = []
        for place in range(draw(st.integers(1, 5))):
            name = f"{number}_{place}"
            match draw(st.sampled_from(["text", "thought", "call", "search", "pending"])):
                case "text":
                    blocks.append(text("a"))
                case "thought":
                    blocks.append(THOUGHT)
                case "call":
                    blocks.append(call(name))
                    calls.append(result(name))
                case "search":
                    blocks += [search(name), found(name)]
                case _:
                    blocks.append(search(name))
        while blocks and blocks[-1] == THOUGHT:
            blocks.pop()
        if blocks:
            said.append(("assistant", blocks))
        if calls:
            said.append(("user", calls))
    return said


@given(broken_off(), st.booleans())
def test_what_is_mended_may_be_followed_by_a_question(said: list[Said], dies: bool) -> None:
    """As the simulated provider judges; mended once, there is nothing more to mend.

    Where the process dies while tools run, their results are missing.
    """
    if dies and len(said) > 2 and said[-1][0] == "user":
        said = said[:-1]
    left = mended(turn(*said))
    messages = [{"role": role, "content": content} for role, content in left]
    tools = [
        {"name": "brew", "input_schema": {"type": "object"}},
        {"type": "web_search_20250305", "name": "web_search"},
    ]
    body = {
        "model": "claude-sonnet-5-5",
        "max_tokens": 9,
        "tools": tools,
        "messages": [*messages, {"role": "user", "content": [text("And?")]}],
    }
    check_body(body, frozenset({INLINE_TOOLS}))
    assert closing(turn(*left)) == Closing(None, [])
