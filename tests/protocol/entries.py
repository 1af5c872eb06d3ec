"""Entries of transcripts for tests: a short way to write them, and any that a session may have."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from protocol.provider.content import Block
from protocol.records import Announced, Attached, Entry, EntryRole

THOUGHT: Block = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
HIDDEN: Block = {"type": "redacted_thinking", "data": "d"}
SEALED: Block = {"type": "web_search_result", "title": "Tea", "encrypted_content": "x"}
CITED: Block = {"type": "document", "source": {}, "citations": {"enabled": True}}
REBUILT = "claude-sonnet-5"
"""A model that takes no announcements: its requests are made anew from the beginning."""


def text(said: str) -> Block:
    """A block of text."""
    return {"type": "text", "text": said}


def call(name: str = "c") -> Block:
    """The model calls a tool of ours."""
    return {"type": "tool_use", "id": name, "name": "brew", "input": {}}


def result(name: str = "c", content: Any = "Done.") -> Block:
    """The answer to the call."""
    return {"type": "tool_result", "tool_use_id": name, "content": content}


def search(name: str = "s") -> Block:
    """The model uses a tool of the provider's own."""
    return {"type": "server_tool_use", "id": name, "name": "web_search", "input": {}}


def found(name: str = "s", *pages: Block) -> Block:
    """The result of that use."""
    return {"type": "web_search_tool_result", "tool_use_id": name, "content": [*pages]}


def added(name: str = "brew", **fields: Any) -> Block:
    """A tool is announced."""
    return {
        "type": "tool_addition",
        "tool": {"type": "tool_definition", "definition": {"name": name, **fields}},
    }


def entry(place: int, role: EntryRole, content: Any, turn: str = "t", **fields: Any) -> Entry:
    """A measured entry: a token a byte of its content, unless it is said otherwise."""
    encoded = msgspec.json.encode(content)
    measured = {"token_count": len(encoded), **fields}
    return Entry(
        place=place,
        turn_id=turn,
        role=role,
        content=encoded,
        status=measured.pop("status", "complete"),
        created_at=1,
        byte_count=len(encoded),
        **measured,
    )


def announcement(place: int, *blocks: Block, turn: str = "t") -> Entry:
    """A `system` entry: a text changes the memory, anything else the tools."""
    sections = tuple(
        Announced("memory" if block["type"] == "text" else "tools", 10, 7) for block in blocks
    )
    return entry(place, "system", [*blocks], turn, sections=sections, token_count=7 * len(blocks))


# --- any ---------------------------------------------------------------------------------------

_texts = st.text(max_size=6).map(text)
_shown = st.one_of(
    st.text(max_size=6),
    st.lists(st.one_of(_texts, st.just({"type": "image", "source": {}})), min_size=1, max_size=2),
)
_questions = st.one_of(
    st.text(max_size=6),
    st.lists(st.one_of(_texts, st.just(CITED)), min_size=1, max_size=3),
    st.lists(st.builds(result, st.just("c"), _shown), min_size=1, max_size=3),
)
_answers = st.builds(
    lambda thoughts, texts: [*thoughts, *texts],
    st.lists(st.sampled_from([THOUGHT, HIDDEN]), max_size=2),
    st.lists(
        st.one_of(_texts, *map(st.just, [call(), call("d"), search(), found("s", SEALED)])),
        min_size=1,
        max_size=25,
    ),
)
_announced = st.lists(
    st.one_of(_texts, st.just(added()), st.just({"type": "tool_removal", "tool": {"name": "b"}})),
    min_size=1,
    max_size=3,
)


@st.composite
def _entries(draw: st.DrawFn, place: int) -> Entry:
    turn = f"t{draw(st.integers(0, 2))}"
    role: EntryRole = draw(st.sampled_from(["user", "assistant", "system"]))
    if role == "system":
        return announcement(place, *draw(_announced), turn=turn)
    if role == "assistant":
        thinking = draw(st.integers(0, 3))
        model = draw(st.sampled_from(["", "claude-sonnet-5-5", REBUILT]))
        return entry(place, role, draw(_answers), turn, thinking_tokens=thinking, model=model)
    edge = draw(st.sampled_from([0, 3_000]))
    attached = Attached(pictures=draw(st.integers(0, 2)), documents=draw(st.integers(0, 1)))
    return entry(
        place,
        role,
        draw(_questions),
        turn,
        media_tokens=draw(st.integers(0, 9)),
        attached=msgspec.structs.replace(attached, edge=edge),
    )


@st.composite
def transcripts(draw: st.DrawFn, most: int = 8) -> list[Entry]:
    """Entries in the order of their places, of which some may be missing."""
    places = sorted(draw(st.sets(st.integers(0, 2 * most), max_size=most)))
    return [draw(_entries(place)) for place in places]
