"""A session as the provider reads it: entries that are only ever added to."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.provider.model_info import Binding
from protocol.records import Attached, Entry
from protocol.transcript import NOTHING, PICTURE, Sums, Transcript
from tests.protocol.entries import (
    CITED,
    HIDDEN,
    REBUILT,
    SEALED,
    THOUGHT,
    added,
    announcement,
    call,
    entry,
    found,
    result,
    search,
    text,
    transcripts,
)

HEAD = b'{"model":"m","stream":true}'
MARK = {"cache_control": {"type": "ephemeral"}}
BINDINGS: tuple[Binding, ...] = ("checked", "appended", "rebuilt")
bindings = st.sampled_from(BINDINGS)
places = st.integers(0, 16)


def transcript(
    *entries: Entry, binding: Binding = "checked", began: int = 0, bare: int = 0
) -> Transcript:
    """What models of a kind get of the entries."""
    made = Transcript(binding, began, bare)
    for one in entries:
        made.add(one)
    return made


def sent(made: Transcript, *, caches: bool = False) -> list[dict[str, Any]]:
    """The messages of its body."""
    body: dict[str, Any] = json.loads(made.body(HEAD, caches=caches))
    assert list(body) == ["model", "stream", "messages"]
    messages: list[dict[str, Any]] = body["messages"]
    return messages


def many(count: int) -> list[dict[str, Any]]:
    """So many blocks."""
    return [text(f"block {number}") for number in range(count)]


# --- what is sent ------------------------------------------------------------------------------


def test_a_request_is_the_head_and_the_messages_behind_it() -> None:
    """As they are stored, in their order."""
    made = transcript(entry(0, "user", [text("Hi")]), entry(1, "assistant", [THOUGHT, text("Ho")]))
    assert made.body(HEAD, caches=False) == (
        b'{"model":"m","stream":true,"messages":['
        b'{"role":"user","content":[{"type":"text","text":"Hi"}]},'
        b'{"role":"assistant","content":[{"type":"thinking","thinking":"Hm.","signature":"s"},'
        b'{"type":"text","text":"Ho"}]}]}'
    )


def test_a_text_that_was_stored_as_such_is_sent_as_a_list_of_one_block() -> None:
    """A breakpoint that is put into it then changes nothing else."""
    assert sent(transcript(entry(0, "user", "Hi"))) == [{"role": "user", "content": [text("Hi")]}]


def is_bare(one: Entry, binding: Binding, began: int, bare: int) -> bool:
    """Whether an answer goes without its thinking."""
    if one.role != "assistant":
        return False
    elsewhere = one.place < began or one.model == REBUILT
    return one.place < bare or (binding == "checked" and elsewhere)


def expected(entries: list[Entry], binding: Binding, began: int, bare: int) -> list[dict[str, Any]]:
    """The messages that such models get."""
    messages = []
    for one in entries:
        content = json.loads(one.content)
        content = [text(content)] if isinstance(content, str) else content
        if one.role == "system" and (binding == "rebuilt" or one.place < began):
            continue
        if is_bare(one, binding, began, bare):
            content = [block for block in content if "thinking" not in block["type"]]
        messages.append({"role": one.role, "content": content})
    return messages


@given(transcripts(), bindings, places, places)
def test_each_kind_of_models_gets_what_it_can_read(
    entries: list[Entry], binding: Binding, began: int, bare: int
) -> None:
    """Before the epoch no announcements, and no thinking where it is checked or was refused.

    Where it is checked, none of models whose head was another.
    """
    made = transcript(*entries, binding=binding, began=began, bare=bare)
    messages = expected(entries, binding, began, bare)
    assert (sent(made) if messages else []) == messages
    assert [one.role for one in made.entries] == [message["role"] for message in messages]
    assert len(made) == len(messages)


@given(transcripts(), bindings, places, places)
def test_a_sum_is_that_of_what_is_sent(
    entries: list[Entry], binding: Binding, began: int, bare: int
) -> None:
    """Of every beginning of it."""
    made = transcript(*entries, binding=binding, began=began, bare=bare)
    for end in range(len(made) + 1):
        first = made.entries[:end]
        messages = expected(first, binding, began, bare)
        blocks = [block["type"] for message in messages for block in message["content"]]
        sizes = [len(msgspec.json.encode(message)) + 1 for message in messages]
        without = sum(
            one.thinking_tokens
            for one in first
            if is_bare(one, binding, began, bare) and b'thinking"' in one.content
        )
        assert made.sums(end) == Sums(
            size=sum(sizes),
            announced=sum(
                size
                for size, message in zip(sizes, messages, strict=True)
                if message["role"] == "system"
            ),
            counted=sum(one.token_count for one in first) - without,
            media=sum(one.media_tokens for one in first),
            pictures=sum(one.attached.pictures for one in first),
            documents=sum(one.attached.documents for one in first),
            blocks=len(blocks),
            results=blocks.count("tool_result"),
            thoughts=blocks.count("thinking") + blocks.count("redacted_thinking"),
            tool_changes=blocks.count("tool_addition") + blocks.count("tool_removal"),
            cited=sum(CITED in message["content"] for message in messages),
            sealed=sum(found("s", SEALED) in message["content"] for message in messages),
        )
    assert made.sums() == made.sums(len(made))


def test_sums_are_added_and_taken_away_figure_by_figure() -> None:
    """What was added can be taken away again."""
    some, more = Sums(1, 2, 3, 4, 5, 6, 7, 8, 9), Sums(size=10, results=1)
    assert some.plus(more) == more.plus(some) == Sums(11, 2, 3, 4, 5, 6, 7, 9, 9)
    assert some.plus(more).minus(more) == some
    assert some.minus(some) == NOTHING


def test_thinking_from_before_the_epoch_does_not_count() -> None:
    """A message that has none is sent to the byte as it is stored."""
    made = transcript(
        entry(0, "user", "1"),
        entry(1, "assistant", [THOUGHT, HIDDEN, text("Yes")], token_count=50, thinking_tokens=40),
        entry(2, "assistant", [text("No")], token_count=5),
        entry(3, "assistant", [THOUGHT, text("So")], token_count=9, thinking_tokens=4),
        began=3,
    )
    assert [message["content"] for message in sent(made)[1:]] == [
        [text("Yes")],
        [text("No")],
        [THOUGHT, text("So")],
    ]
    assert made.sums(3).minus(made.sums(1)).counted == 15
    assert made.sums(4).minus(made.sums(3)).counted == 9


@pytest.mark.parametrize("binding", BINDINGS)
def test_thinking_that_was_refused_goes_whatever_the_model(binding: Binding) -> None:
    """Up to the turn whose request the provider has refused."""
    entries = [entry(place, "assistant", [THOUGHT, text("So.")]) for place in range(3)]
    made = transcript(*entries, binding=binding, bare=2)
    assert [message["content"][0] for message in sent(made)] == [text("So."), text("So."), THOUGHT]


# --- what is known of it -----------------------------------------------------------------------


def test_it_is_known_where_turns_announcements_and_large_pictures_are() -> None:
    """By the numbers of their messages, which are not their places."""
    made = transcript(
        announcement(0, text("old"), turn="a"),
        entry(1, "user", "1", "a", attached=Attached(pictures=1, edge=2_001)),
        entry(4, "assistant", [text("2")], "a"),
        entry(5, "user", "3", "b", attached=Attached(pictures=1, edge=2_000)),
        announcement(6, text("new"), turn="b"),
        began=1,
    )
    assert (made.turns, made.announced, made.large) == ([0, 2], [3], [0])
    assert [made.before(place) for place in (0, 1, 2, 4, 5, 6, 7)] == [0, 0, 1, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("contents", "shares"),
    [
        (["x" * 8_000], [1.0]),
        (["x" * 8_000] * 4, [1 / 4] * 4),
        (["", "x" * 8_000], [0.0, 1.0]),
        ([[{"type": "image", "source": {"data": "x" * 9_999}}], "x" * PICTURE], [0.5, 0.5]),
        ([[text("x" * 3_000), text("x" * 3_000)], "x" * 6_000], [0.5, 0.5]),
    ],
)
def test_answers_of_one_message_share_its_weight(contents: list[Any], shares: list[float]) -> None:
    """By the text that the model reads: a picture's bytes are none."""
    results = [
        {**result(f"c{number}", content), "is_error": False}
        for number, content in enumerate(contents)
    ]
    made = transcript(
        entry(0, "assistant", [call()]),
        entry(1, "user", results, token_count=1_000, media_tokens=400),
        entry(2, "user", [result("d")], token_count=10),
    )
    assert [one.message for one in made.results] == [1] * len(shares) + [2]
    sums = [sum(shares[: number + 1]) for number in range(len(shares))]
    assert [one.counted for one in made.results[:-1]] == pytest.approx(
        [1_000 * share for share in sums], rel=0.01, abs=25
    )
    assert [one.media for one in made.results[:-1]] == pytest.approx(
        [400 * share for share in sums], rel=0.01, abs=10
    )
    assert made.results[-1].counted == pytest.approx(1_010)
    assert made.results[-1].media == pytest.approx(400)


# --- what is remembered ------------------------------------------------------------------------


def marked(messages: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """Where breakpoints are: numbers of messages and of blocks."""
    return [
        (number, place)
        for number, message in enumerate(messages)
        for place, block in enumerate(message["content"])
        if "cache_control" in block
    ]


@pytest.mark.parametrize(
    ("entries", "places"),
    [
        ([], []),
        ([entry(0, "user", many(99))], []),
        ([entry(0, "assistant", many(30)), entry(1, "user", "?")], []),
        ([entry(0, "user", "?"), entry(1, "assistant", many(18)), entry(2, "user", "?")], []),
        ([entry(0, "user", "?"), entry(1, "assistant", many(19)), entry(2, "user", "?")], [(0, 0)]),
        (
            [entry(0, "user", many(2)), entry(1, "assistant", many(1)), entry(2, "user", many(19))],
            [(0, 1)],
        ),
        (
            [
                entry(0, "user", "?"),
                entry(1, "assistant", many(30)),
                entry(2, "user", "?"),
                announcement(3, added()),
                entry(4, "assistant", many(10)),
                entry(5, "assistant", many(9)),
                entry(6, "user", "?"),
            ],
            [(3, 0)],
        ),
    ],
)
def test_where_the_former_request_ended_too_far_away_there_is_a_breakpoint(
    entries: list[Entry], places: list[tuple[int, int]]
) -> None:
    """The provider's cache looks 20 blocks back; the last breakpoint it puts by itself."""
    made = transcript(*entries)
    messages = sent(made, caches=True) if entries else []
    assert marked(messages) == places
    for number, place in places:
        block = messages[number]["content"][place]
        messages[number]["content"][place] = {
            name: value for name, value in block.items() if name not in MARK
        }
        assert block == messages[number]["content"][place] | MARK
    assert messages == (sent(made) if entries else [])


@given(transcripts(), bindings, places, st.booleans(), st.data())
def test_the_history_is_the_messages_without_what_was_announced(
    entries: list[Entry], binding: Binding, began: int, caches: bool, data: st.DataObject
) -> None:
    """With the breakpoint that is sent in it; its size is known without making it."""
    made = transcript(*entries, binding=binding, began=began)
    end = data.draw(st.integers(0, len(made)))
    history = made.history(end, caches=caches)
    assert len(history) == made.history_size(end, caches=caches)
    messages = sent(made, caches=caches)[:end] if len(made) else []
    shown = [message for message in messages if message["role"] != "system"]
    assert json.loads(history or b"[]") == shown
    assert (history == b"") == (shown == [])


@pytest.mark.parametrize("end", [1, 2, 3])
def test_the_history_shows_the_breakpoint_that_is_sent_in_it(end: int) -> None:
    """However much of the request is history."""
    made = transcript(
        entry(0, "user", many(2)), entry(1, "assistant", many(25)), entry(2, "user", "And?")
    )
    history = made.history(end, caches=True)
    assert json.loads(history) == sent(made, caches=True)[:end]
    assert marked(json.loads(history)) == [(0, 1)]
    assert len(history) == made.history_size(end, caches=True)


def test_a_breakpoint_in_an_announcement_is_not_shown_in_the_history() -> None:
    """It belongs to another section."""
    made = transcript(
        entry(0, "user", "?"), announcement(1, text("Now.")), entry(2, "assistant", many(25))
    )
    assert marked(sent(made, caches=True)) == [(1, 0)]
    history = made.history(3, caches=True)
    assert b"cache_control" not in history
    assert len(history) == made.history_size(3, caches=True)


# --- what is known of it -----------------------------------------------------------------------


def test_a_call_is_known_from_its_message_on() -> None:
    """Also one of the provider's own tools; an id in a text or a result is none."""
    made = transcript(
        entry(0, "user", 'The "id":"c".'),
        entry(1, "assistant", [text('"id":"c"'), call("c"), search("s")]),
        entry(2, "user", [result("r")]),
        entry(3, "assistant", [call("c")]),
    )
    assert [made.has_call("c", end) for end in range(5)] == [False, False, True, True, True]
    assert (made.has_call("s", 2), made.has_call("r", 4)) == (True, False)
    made.keep(1)
    assert not made.has_call("c", 1)


def test_it_is_known_whether_only_the_provider_can_read_some_of_it() -> None:
    """A text that speaks of it does not count, nor does what was taken away."""
    said = json.dumps({"encrypted_content": 1}, separators=(",", ":"))
    made = transcript(entry(0, "user", said), entry(1, "assistant", [search(), found("s", SEALED)]))
    assert [made.sums(end).sealed for end in range(3)] == [0, 0, 1]
    made.keep(1)
    assert made.sums().sealed == 0


# --- growing -----------------------------------------------------------------------------------


def state(made: Transcript) -> dict[str, Any]:
    """All that it consists of."""
    return copy.deepcopy(vars(made))


@given(transcripts(), bindings, places, st.data())
def test_growing_is_the_same_as_rendering_anew(
    entries: list[Entry], binding: Binding, began: int, data: st.DataObject
) -> None:
    """However often some are taken away in between."""
    made = Transcript(binding, began)
    for one in entries:
        if data.draw(st.booleans()):
            count = data.draw(st.integers(0, len(made)))
            kept = made.entries[:count]
            made.keep(count)
            assert state(made) == state(transcript(*kept, binding=binding, began=began))
        made.add(one)
    assert state(made) == state(transcript(*made.entries, binding=binding, began=began))


@given(transcripts(), transcripts(), bindings, places, st.data())
def test_a_draft_is_taken_back(
    entries: list[Entry],
    more: list[Entry],
    binding: Binding,
    began: int,
    data: st.DataObject,
) -> None:
    """To the last attribute; inside it is as if the draft had always stood there."""
    made = transcript(*entries, binding=binding, began=began)
    before = state(made)
    keep = data.draw(st.integers(0, len(made)))
    with made.draft(keep, more):
        drafted = transcript(*made.entries, binding=binding, began=began)
        assert state(made) == state(drafted)
    assert state(made) == before


def test_a_draft_is_taken_back_when_what_looks_at_it_fails() -> None:
    """Nothing of it stays."""
    made = transcript(entry(0, "user", "1"), entry(1, "assistant", many(2)))
    before = state(made)
    with pytest.raises(ZeroDivisionError), made.draft(1, [entry(2, "user", "2")]):
        raise ZeroDivisionError
    assert state(made) == before
