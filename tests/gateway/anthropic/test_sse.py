"""Server-sent events from bytes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.anthropic import sse
from gateway.anthropic.sse import EventReader
from protocol.provider.events import MalformedEvent

BODY = (
    b'event: a\r\ndata: {"x":1}\r\n\r\n: a comment\n\nevent: b\ndata: one\ndata:two\n\n'
    b"data: naive caf\xc3\xa9\r\rid: 7\n\ndata: last\n\ndata: unfinished"
)
EVENTS = [b'{"x":1}', b"one\ntwo", "naive café".encode(), b"last"]


@given(st.lists(st.integers(0, len(BODY)), max_size=40))
def test_events_are_the_same_however_their_bytes_arrive(cuts: list[int]) -> None:
    """Cut anywhere, also within a line end, the same events come out."""
    reader = EventReader()
    places = [0, *sorted(cuts), len(BODY)]
    events: list[bytes] = []
    for start, end in pairwise(places):
        events += reader.feed(BODY[start:end])
    assert events == EVENTS


def test_an_event_that_does_not_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The buffer is bounded."""
    monkeypatch.setattr(sse, "LONGEST_EVENT", 100)
    with pytest.raises(MalformedEvent):
        EventReader().feed(b"data: " + b"x" * 200)
