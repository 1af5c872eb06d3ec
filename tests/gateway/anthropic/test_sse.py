"""Server-sent events from bytes."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.anthropic import sse
from gateway.anthropic.sse import EventReader
from protocol.provider.events import MalformedEvent

BODY = (
    b'\xef\xbb\xbfevent: a\r\ndata: {"x":1}\r\n\r\n: a comment\n\nevent: b\ndata: one\ndata:two\n\n'
    b"data: naive caf\xc3\xa9\r\rid: 7\n\n\nevent:c\n\n\n\ndata: last\r\n\r"
)
EVENTS = [
    (b"a", b'{"x":1}'),
    (b"b", b"one\ntwo"),
    (b"", "naive café".encode()),
    (b"", b"last"),
]


def read(pieces: list[bytes]) -> list[tuple[bytes, bytes]]:
    """The events of a body that comes in these pieces."""
    reader = EventReader()
    events: list[tuple[bytes, bytes]] = []
    for piece in pieces:
        events += reader.feed(piece)
    return [*events, *reader.finish()]


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    """The body, cut at these places."""
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    return [body[start:end] for start, end in pairwise(places)]


CUTS = st.lists(st.integers(0, len(BODY)), max_size=40)


@given(CUTS)
def test_events_are_the_same_however_their_bytes_arrive(cuts: list[int]) -> None:
    """Cut anywhere, also within a line end or the mark at the beginning, the same events."""
    assert read(cut(BODY, cuts)) == EVENTS


@given(CUTS, st.sampled_from([b"\n", b"\r", b"\r\n"]), st.integers(0, 2))
def test_every_line_end_is_one(cuts: list[int], end: bytes, last: int) -> None:
    """Line feeds, carriage returns or both; and the last event needs no blank line."""
    body = end.join([b"event: a", b"data: 1", b"", b": quiet", b"", b"data: 2", b"data: 3"])
    body += end * last
    assert read(cut(body, cuts)) == [(b"a", b"1"), (b"", b"2\n3")]


PLAIN = [b"event: %d\ndata: {%d}\n\n" % (number, number) for number in range(6)]
ODD = [b"data: odd\n\n", b": quiet\n\n", b"\n", b"event: 9\n\n", b"event: x\ndata: \n\n", b"x"]


@given(st.lists(st.sampled_from(PLAIN) | st.sampled_from(ODD)), CUTS)
def test_plain_events_are_cut_as_all_others_are(events: list[bytes], cuts: list[int]) -> None:
    """Where only such come with one read, and where something else stands between them."""
    body = b"".join(events)
    spelled = body.replace(b"event: ", b"event:").replace(b"data: ", b"data:")
    assert read(cut(body, cuts)) == read([spelled])


@pytest.mark.parametrize("end", [b"\r\r", b"\n\n", b"\r\n\r\n"])
def test_an_event_is_given_out_once_it_is_whole(end: bytes) -> None:
    """Also where a further line feed may follow, which belongs to the line end."""
    reader = EventReader()
    assert reader.feed(b"data: 1" + end) == [(b"", b"1")]
    assert reader.feed(b"\ndata: 2" + end) == [(b"", b"2")]


@given(CUTS)
def test_a_body_that_is_json_is_the_data_of_an_event(cuts: list[int]) -> None:
    """A provider that answers without a stream."""
    body = b'\n {\n  "type": "error"\n}\n'
    assert read(cut(body, cuts)) == [(b"", b'{\n  "type": "error"\n}\n')]


def test_a_long_event_in_many_pieces_costs_what_its_bytes_cost() -> None:
    """Fifteen megabytes in pieces of 16 KiB: each byte is looked at once."""
    piece = b"x" * 16_384
    began = time.perf_counter()
    events = read([b"data: ", *[piece] * 960, b"\n", b"\ndata: next\n\n"])
    assert time.perf_counter() - began < 1.0
    assert [len(data) for _, data in events] == [960 * 16_384, 4]


def test_an_event_that_does_not_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The buffer is bounded."""
    monkeypatch.setattr(sse, "LONGEST_EVENT", 100)
    with pytest.raises(MalformedEvent):
        EventReader().feed(b"data: " + b"x" * 200)


def test_an_event_of_too_many_parts_is_refused() -> None:
    """Decoding it would take long."""
    with pytest.raises(MalformedEvent):
        read([b"data: ", *[b"[]," * 5_000] * 100, b"\n\n"])


@pytest.mark.parametrize("line", [b":\n", b"data:\n"])
def test_an_event_of_too_many_lines_is_refused(line: bytes) -> None:
    """A million of them are half a second of work."""
    with pytest.raises(MalformedEvent):
        read([line * 10_000] * 100)


def test_any_number_of_blank_lines_is_nothing() -> None:
    """They end events that have no line."""
    assert read([b"\n" * 65_536] * 10 + [b"data: x\n\n"]) == [(b"", b"x")]
