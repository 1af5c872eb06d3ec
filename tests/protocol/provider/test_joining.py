"""Neighbouring pieces of one block as one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from protocol.answer import Answer
from protocol.provider.decoding import LONGEST_TEXT
from protocol.provider.events import (
    ContentBlockDelta,
    ContentBlockStart,
    InputJsonDelta,
    MessageStart,
    ProviderEvent,
    ProviderMessage,
    ProviderPing,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
)
from protocol.provider.joining import joined

TEXTS = st.text("a`\n ", max_size=5)
KINDS = st.sampled_from([TextDelta, ThinkingDelta, InputJsonDelta, SignatureDelta])
DELTAS = st.builds(
    lambda index, kind, text: ContentBlockDelta(index, kind(text)), st.integers(0, 1), KINDS, TEXTS
)
EVENTS = st.lists(DELTAS | st.just(ProviderPing()), max_size=30)


def text(piece: str, index: int = 0) -> ContentBlockDelta:
    """More text of a block."""
    return ContentBlockDelta(index, TextDelta(piece))


def test_neighbours_of_one_kind_and_block_are_one() -> None:
    """Whatever stands between them parts them."""
    thought = ContentBlockDelta(0, ThinkingDelta("t"))
    events: list[ProviderEvent] = [
        text("a"),
        text("b"),
        thought,
        text("c"),
        text("d", 1),
        ProviderPing(),
        text("e", 1),
    ]
    assert joined(events) == [text("ab"), thought, *events[3:]]


def test_nothing_joins_nothing() -> None:
    """Of no event no event is made."""
    assert joined([]) == []


def test_a_piece_does_not_grow_without_a_bound() -> None:
    """Taking in a long one would hold up everything else."""
    sizes = [len(event.delta.text) for event in joined([text("x" * 300)] * 64)]  # type: ignore[union-attr]
    assert sum(sizes) == 300 * 64
    assert LONGEST_TEXT - 300 < sizes[0] <= LONGEST_TEXT
    assert joined([text("x" * 5_000), text("y")]) == [text("x" * 5_000), text("y")]


@given(EVENTS)
def test_an_answer_is_the_same_of_the_joined_events(events: list[ProviderEvent]) -> None:
    """Its blocks, its size and what is shown of it, to the character."""
    apart, together = answer_of(events), answer_of(joined(events))
    assert apart == together


def answer_of(events: list[ProviderEvent]) -> object:
    """An answer of two blocks, of which any piece may be."""
    answer = Answer()
    answer.feed(MessageStart(ProviderMessage()))
    for index in range(2):
        answer.feed(ContentBlockStart(index, {"type": "from_the_future"}))
    shown: dict[str, str] = {}
    for event in events:
        for piece in answer.feed(event):
            kind = getattr(piece, "kind", "reasoning")
            shown[kind] = shown.get(kind, "") + piece.text  # type: ignore[union-attr]
    return shown, answer.text, round(answer.size, 6), answer.flush()
