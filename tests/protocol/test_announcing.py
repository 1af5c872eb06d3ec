"""What has changed since the model was told, as one `system` entry."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.announcing import TEXT_SECTIONS, Briefing, Piece, changes
from protocol.context import SectionName
from protocol.provider.content import Block
from protocol.records import Announced, Entry, Head
from tests.protocol.entries import entry

BREW: dict[str, Any] = {"name": "brew", "description": "Brews.", "input_schema": {}}
POUR: dict[str, Any] = {"name": "pour", "description": "Pours.", "input_schema": {}}
SEARCH: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search"}


def briefing(*tools: dict[str, Any], **texts: str) -> Briefing:
    """What a model is told, or is to know."""
    return Briefing(texts, tools)  # type: ignore[arg-type]


def head(*tools: dict[str, Any], **texts: str) -> Head:
    """The head that says so."""
    told = briefing(*tools, **texts)
    return Head(epoch=0, first=0, began=1, system=told.system, tools=told.definitions)


def announced(pieces: list[Piece]) -> Entry:
    """The pieces as they are stored; a piece has as many bytes as its section."""
    blocks = [piece.block for piece in pieces]
    sections = tuple(
        Announced(piece.section, len(msgspec.json.encode(piece.block)), 1) for piece in pieces
    )
    return entry(3, "system", blocks, sections=sections)


def found(told: Briefing, wanted: Briefing) -> list[tuple[SectionName, Block]]:
    """What is to be announced; there is no conflict."""
    pieces = changes(told, wanted)
    assert pieces is not None
    return [(piece.section, piece.block) for piece in pieces]


# --- each kind of change -----------------------------------------------------------------------


def test_what_stays_is_not_announced() -> None:
    """However its tools are ordered, and blank texts count for none."""
    told = briefing(BREW, POUR, memory="Tea.", skills="")
    assert found(told, briefing(POUR, BREW, memory="Tea.")) == []


def test_how_arguments_are_sent_is_no_change_of_a_tool() -> None:
    """One that was told without it stays; one that has changed, or is new, has it."""
    eager = [{**tool, "eager_input_streaming": True} for tool in (BREW, POUR)]
    assert found(briefing(BREW), briefing(eager[0])) == []
    assert found(briefing(eager[0]), briefing(BREW)) == []
    other = {**eager[0], "description": "Brews tea."}
    pieces = found(briefing(BREW), briefing(other, eager[1]))
    assert [block["tool"]["definition"] for _, block in pieces] == [other, eager[1]]


@pytest.mark.parametrize(
    ("section", "heading"),
    [
        (
            "system_prompt",
            "Your general instructions have changed. What follows replaces all that was said of",
        ),
        (
            "response_format",
            "The rules for the format of your answers have changed. What follows replaces all",
        ),
        ("memory", "Your memory has changed. What follows replaces all that was said of it"),
        ("skills", "The list of your skills has changed. What follows replaces all that was"),
    ],
)
def test_a_text_that_has_changed_is_said_anew(section: SectionName, heading: str) -> None:
    """All of it, under a heading that overrules what was said before."""
    told, wanted = briefing(**{section: "Old."}), briefing(**{section: "New."})
    ((name, block),) = found(told, wanted)
    assert (name, block["type"]) == (section, "text")
    assert block["text"].startswith(f"\n\n{heading}")
    assert block["text"].endswith("before.\n\nNew.")
    told.fold(announced([Piece(name, block)]))
    assert told.texts == {section: "New."}


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("system_prompt", "Your general instructions are withdrawn: what was said of them before"),
        ("memory", "Your memory is withdrawn: what was said of it before counts no more."),
    ],
)
def test_a_text_that_is_no_more_is_withdrawn(section: SectionName, told: str) -> None:
    """Then it is not told, and can be told anew."""
    known = briefing(**{section: "Old."})
    ((name, block),) = found(known, briefing())
    assert block["text"].startswith(f"\n\n{told}")
    known.fold(announced([Piece(name, block)]))
    assert known.system == ()
    assert found(known, briefing()) == []
    assert len(found(known, briefing(**{section: "Old."}))) == 1


def test_a_tool_that_is_new_or_another_is_defined() -> None:
    """A definition replaces the one of its name."""
    other = {**POUR, "description": "Pours slowly."}
    assert found(briefing(POUR), briefing(BREW, other)) == [
        ("tools", {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": one}})
        for one in (BREW, other)
    ]


def test_a_tool_that_is_no_more_is_removed() -> None:
    """By its name."""
    removal = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "brew"}}
    assert found(briefing(BREW, POUR), briefing(POUR)) == [("tools", removal)]


def test_what_goes_is_told_before_what_comes() -> None:
    """Tools first, then the texts in their order."""
    told = briefing(BREW, system_prompt="1", memory="2")
    pieces = found(told, briefing(POUR, system_prompt="3", skills="4"))
    assert [(name, block["type"]) for name, block in pieces] == [
        ("tools", "tool_removal"),
        ("tools", "tool_addition"),
        ("system_prompt", "text"),
        ("memory", "text"),
        ("skills", "text"),
    ]


def test_a_name_that_another_kind_of_tool_has_cannot_be_announced() -> None:
    """The provider refuses it, and after its removal too, as we read its page."""
    ours = {**BREW, "name": "web_search"}
    told = briefing(SEARCH)
    assert changes(told, briefing(ours)) is None
    pieces = changes(told, briefing())
    assert pieces is not None
    told.fold(announced(pieces))
    assert told.tools == {}
    assert changes(told, briefing(ours)) is None
    assert found(told, briefing(SEARCH))[0][1]["type"] == "tool_addition"


def test_a_kind_that_was_announced_is_known_too() -> None:
    """Not the head alone tells of tools."""
    told = briefing()
    told.fold(announced(changes(told, briefing(SEARCH)) or []))
    assert changes(told, briefing({**BREW, "name": "web_search"})) is None


# --- told and wanted ---------------------------------------------------------------------------

_texts = st.dictionaries(
    st.sampled_from(TEXT_SECTIONS), st.sampled_from(["", "Tea.", "Coffee.\n", "\n\nWater."])
)
_own = st.builds(
    lambda name, said: {"name": name, "description": said, "input_schema": {"type": "object"}},
    st.sampled_from(["brew", "pour", "sip"]),
    st.sampled_from(["Now.", "Later."]),
)
_tools = st.lists(st.one_of(_own, st.just(SEARCH)), unique_by=lambda tool: tool["name"])
briefings = st.builds(Briefing, _texts, _tools)


@given(briefings, st.lists(briefings, max_size=4))
def test_what_was_announced_is_known(told: Briefing, wishes: list[Briefing]) -> None:
    """The head and all announcements, folded, are what was wanted last."""
    known = Briefing.of(Head(epoch=0, first=0, began=1, system=told.system, tools=told.definitions))
    assert (known.texts, known.tools) == (told.texts, told.tools)
    for wanted in wishes:
        pieces = changes(known, wanted)
        assert pieces is not None
        known.fold(announced(pieces))
        assert known.system == wanted.system
        assert known.tools == wanted.tools
        assert changes(known, wanted) == []


@given(briefings)
def test_a_head_is_the_same_head_again(told: Briefing) -> None:
    """Written down and read, with its order."""
    made = Head(epoch=0, first=0, began=1, system=told.system, tools=told.definitions)
    known = Briefing.of(made)
    assert (known.system, known.definitions, known.kinds) == (
        told.system,
        told.definitions,
        told.kinds,
    )
    assert known.superseded == {}


def test_the_texts_have_an_order() -> None:
    """That of the system prompt, whatever came first."""
    told = briefing(skills="4", memory="3", system_prompt="1", response_format="")
    assert told.system == (("system_prompt", "1"), ("memory", "3"), ("skills", "4"))


# --- what is superseded ------------------------------------------------------------------------


def test_what_is_said_anew_supersedes_what_was_said() -> None:
    """Bytes of the head first, then of each announcement, heading and all."""
    known = Briefing.of(head(BREW, memory="☕", skills="1"))
    assert known.superseded == {}
    first = announced(changes(known, briefing(BREW, memory="Tea.", skills="1")) or [])
    known.fold(first)
    assert known.superseded == {"memory": len("☕".encode())}
    other = {**BREW, "description": "Brews slowly."}
    known.fold(announced(changes(known, briefing(other, skills="1")) or []))
    assert known.superseded == {
        "memory": len("☕".encode()) + first.sections[0].byte_count,
        "tools": len(msgspec.json.encode(BREW)),
    }


def test_what_is_new_supersedes_nothing() -> None:
    """A section that was empty, and a tool that was not there."""
    known = briefing()
    known.fold(announced(changes(known, briefing(BREW, memory="Tea.")) or []))
    assert known.superseded == {"tools": 0, "memory": 0}
