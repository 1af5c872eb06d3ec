"""Turn logs and cursors: every event once, in order, for every watcher."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.turn_log import Cursor, TurnLog, TurnLogs
from protocol.errors import Failure, GatewayError
from protocol.turn import Failed, Text, TurnEvent

END = Failed(turn_id="turn_1", failure=Failure(code="LLM_ERROR", message=""), usage=None, cost=None)


def text(number: int) -> Text:
    """An event."""
    return Text(str(number), "text")


def is_over(cursor: Cursor) -> bool:
    """Whether it has the terminal event."""
    return cursor.exhausted


def ignore() -> None:
    """A watcher that looks by itself."""


class Bells:
    """Watchers' bells, each of its own."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def bell(self, name: str) -> Callable[[], None]:
        """A bell that writes down when it rings."""
        return lambda: self.rung.append(name)


@given(
    st.lists(st.none() | st.integers(0, 3), max_size=60),
    st.lists(st.integers(-1, 12), min_size=4, max_size=4),
)
def test_every_cursor_gets_every_event_once_and_in_order(
    moves: list[int | None], afters: list[int]
) -> None:
    """However appends (`None`) and takes of several cursors, each behind its own event, mix."""
    log = TurnLog("turn_1")
    cursors = [log.open_cursor(ignore, after=after) for after in afters]
    taken: list[list[tuple[int, TurnEvent]]] = [[] for _ in cursors]

    def take(which: int) -> None:
        events, first = cursors[which].take()
        taken[which] += enumerate(events, first)

    for move in moves:
        if move is None:
            log.append(text(len(log.events)))
        else:
            take(move)
    log.append(END)
    for which in range(4):
        take(which)
        take(which)
        assert cursors[which].exhausted
    last = len(log.events) - 1
    for after, got in zip(afters, taken, strict=True):
        assert got == list(enumerate(log.events))[min(after + 1, last) :]


def test_a_cursor_is_exhausted_once_it_has_the_terminal_event() -> None:
    """Not before, though the log be finished."""
    log = TurnLog("turn_1")
    cursor = log.open_cursor(ignore)
    log.append(text(0))
    assert cursor.take() == ([text(0)], 0)
    assert not is_over(cursor)
    log.append(END)
    assert not is_over(cursor)
    assert cursor.take() == ([END], 1)
    assert is_over(cursor)
    assert cursor.take() == ([], 2)


@pytest.mark.parametrize("after", [0, 1, 2, 1_000])
def test_the_terminal_event_is_never_passed_over(after: int) -> None:
    """Also for a client that says it has seen more than there was."""
    log = TurnLog("turn_1")
    log.append(text(0))
    log.append(END)
    cursor = log.open_cursor(ignore, after=after)
    assert cursor.take() == ([END], 1)


def test_nothing_follows_a_terminal_event() -> None:
    """It would be a mistake of the gateway."""
    log = TurnLog("turn_1")
    log.append(END)
    with pytest.raises(AssertionError):
        log.append(text(1))


def test_an_append_wakes_every_watcher_until_it_leaves() -> None:
    """And nobody who has left."""
    log, bells = TurnLog("turn_1"), Bells()
    log.open_cursor(bells.bell("a"))
    leaving: Cursor = log.open_cursor(bells.bell("b"))
    log.append(text(0))
    assert log.watchers == 2
    leaving.close()
    log.append(text(1))
    assert (bells.rung, log.watchers) == (["a", "b", "a"], 1)


def test_many_events_wake_a_watcher_once() -> None:
    """They are in the log as if each had been appended by itself."""
    log, one_by_one, bells = TurnLog("turn_1"), TurnLog("turn_1"), Bells()
    cursor = log.open_cursor(bells.bell("a"))
    events: list[TurnEvent] = [text(0), text(1), END]
    log.extend(events)
    for event in events:
        one_by_one.append(event)
    assert (bells.rung, cursor.take()) == (["a"], (events, 0))
    assert (log.size, log.finished) == (one_by_one.size, one_by_one.finished)


def test_nothing_follows_a_terminal_event_among_many_either() -> None:
    """It would be a mistake of the gateway."""
    with pytest.raises(AssertionError):
        TurnLog("turn_1").extend([END, text(1)])


class Shelf:
    """Turn logs with a clock that is moved by hand."""

    def __init__(self, *, keep_bytes: int = 10_000) -> None:
        self.now = 0.0
        self.logs = TurnLogs(keep_seconds=60, keep_bytes=keep_bytes, clock=lambda: self.now)

    def finish(self, turn_id: str) -> TurnLog:
        """A turn that is over."""
        log = self.logs.create(turn_id)
        log.append(END)
        self.logs.retire(log)
        return log


def test_a_running_turn_is_found_however_long_it_runs() -> None:
    """Only finished logs expire."""
    shelf = Shelf(keep_bytes=0)
    log = shelf.logs.create("turn_1")
    shelf.now = 1e9
    assert shelf.logs.find("turn_1") is log
    assert "turn_1" in shelf.logs


def test_a_finished_log_goes_after_a_while() -> None:
    """Then it is not found, nor known."""
    shelf = Shelf()
    log = shelf.finish("turn_1")
    shelf.now = 59.9
    assert shelf.logs.find("turn_1") is log
    shelf.now = 60
    assert "turn_1" not in shelf.logs
    with pytest.raises(GatewayError, match="TURN_NOT_FOUND"):
        shelf.logs.find("turn_1")
    assert len(shelf.logs) == 0


def test_a_log_can_be_forgotten_before_its_time() -> None:
    """Whether or not its turn is over; who reads it already goes on."""
    logs = TurnLogs(keep_seconds=300, keep_bytes=1_000, clock=lambda: 0.0)
    running, over = logs.create("running"), logs.create("over")
    over.append(END)
    logs.retire(over)
    for name in ("running", "over", "unknown"):
        logs.forget(name)
        assert name not in logs
    logs.retire(running)
    assert (len(logs), logs.size) == (0, 0)
    logs.retire(logs.create("another"))
    assert len(logs) == 1


def test_too_many_bytes_push_out_the_oldest_logs() -> None:
    """As few as need be."""
    shelf = Shelf(keep_bytes=1_100)
    logs = [shelf.finish(f"turn_{number}") for number in range(3)]
    assert [f"turn_{number}" in shelf.logs for number in range(3)] == [False, True, True]
    assert shelf.logs.size == logs[1].size + logs[2].size


def test_a_log_is_detached_while_its_turn_runs_and_nobody_watches() -> None:
    """Neither a finished one, nor one with a single watcher left."""
    logs = Shelf().logs
    log, other = logs.create("turn_1"), logs.create("turn_2")
    first, second = log.open_cursor(ignore), log.open_cursor(ignore)
    assert logs.detached == [other]
    first.close()
    assert logs.detached == [other]
    second.close()
    assert logs.detached == [log, other]
    other.append(END)
    assert logs.detached == [log]


def test_an_unknown_turn_is_not_found() -> None:
    """The error says where its answer is."""
    with pytest.raises(GatewayError, match="TURN_NOT_FOUND"):
        Shelf().logs.find("turn_9")
