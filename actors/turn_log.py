"""One turn's events: append-only, read by cursors.

A turn appends; any number of watchers hold a cursor each and take whatever lies between it and
the end, whenever they can write. So a slow watcher gets fewer and larger frames and no queue
grows, and taking a stream up again is a cursor at `after + 1`. A log outlives its turn for a
while, bounded by time and by the bytes of all finished logs, and then goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from protocol.errors import GatewayError
from protocol.turn import Ended, Failed, TurnEvent, size_of

_TERMINAL = frozenset({Ended, Failed})


class TurnLog:
    """The events of one turn. An event's index is its seq."""

    def __init__(self, turn_id: str) -> None:
        self.turn_id = turn_id
        self.events: list[TurnEvent] = []
        self.size = 0
        self.finished = False
        self._watchers: list[Callable[[], None]] = []

    def append(self, event: TurnEvent) -> None:
        """Add `event` and wake the watchers; after a terminal event nothing may follow."""
        self.extend((event,))

    def extend(self, events: Iterable[TurnEvent]) -> None:
        """Add `events` and wake the watchers once: neighbouring deltas go out as one frame."""
        for event in events:
            assert not self.finished, "a turn has one terminal event, and nothing follows it"
            self.events.append(event)
            self.size += size_of(event)
            self.finished = type(event) in _TERMINAL
        for wake in [*self._watchers]:  # who has seen the end watches no more
            wake()

    def open_cursor(self, wake: Callable[[], None], *, after: int = -1) -> Cursor:
        """A cursor behind the event `after`; `wake` is called at every append."""
        self._watchers.append(wake)
        return Cursor(self, wake, after + 1)

    def forget(self, wake: Callable[[], None]) -> None:
        """Wake this watcher no more."""
        self._watchers.remove(wake)

    @property
    def watchers(self) -> int:
        """How many cursors are open."""
        return len(self._watchers)


class Cursor:
    """A watcher's place in a log: the seq of the next event to take."""

    __slots__ = ("_wake", "exhausted", "log", "position")

    def __init__(self, log: TurnLog, wake: Callable[[], None], position: int) -> None:
        self.log = log
        self._wake = wake
        self.position = position
        self.exhausted = False
        """Whether the terminal event has been taken."""

    def take(self) -> tuple[list[TurnEvent], int]:
        """All events not yet taken, and the seq of the first.

        The terminal event is never passed over, wherever the cursor began.
        """
        first = self.position
        if self.log.finished and not self.exhausted:
            first = min(first, len(self.log.events) - 1)
            self.exhausted = True
        events = self.log.events[first:]
        self.position = first + len(events)
        return events, first

    @property
    def is_behind(self) -> bool:
        """Whether there are events not yet taken."""
        return self.position < len(self.log.events) or (self.log.finished and not self.exhausted)

    @property
    def only(self) -> TurnEvent | None:
        """The event not yet taken, when it is a single one."""
        events = self.log.events
        return events[-1] if len(events) - self.position == 1 else None

    def close(self) -> None:
        """Stop watching."""
        self.log.forget(self._wake)


class TurnLogs:
    """The logs of running turns and, for a while, of finished ones.

    `keep_seconds` and `keep_bytes` bound the finished ones; the oldest go first. `clock` gives
    monotonic seconds.
    """

    def __init__(self, *, keep_seconds: float, keep_bytes: int, clock: Callable[[], float]) -> None:
        self._keep_seconds = keep_seconds
        self._keep_bytes = keep_bytes
        self._clock = clock
        self._logs: dict[str, TurnLog] = {}
        self._finished: dict[str, tuple[float, TurnLog]] = {}
        self._finished_bytes = 0

    def create(self, turn_id: str) -> TurnLog:
        """A new, empty log."""
        self._expire()
        log = self._logs[turn_id] = TurnLog(turn_id)
        return log

    def find(self, turn_id: str) -> TurnLog:
        """The log. Raises GatewayError(TURN_NOT_FOUND) when there is none, or no more."""
        self._expire()
        log = self._logs.get(turn_id)
        if log is None:
            raise GatewayError(
                "TURN_NOT_FOUND",
                "This turn is not known, or was over too long ago to be resumed. Its answer is "
                "in the session's history.",
            )
        return log

    def retire(self, log: TurnLog) -> None:
        """The turn is over: its log goes after a while, if it is not forgotten already."""
        if log.turn_id not in self._logs:
            return
        self._finished[log.turn_id] = self._clock() + self._keep_seconds, log
        self._finished_bytes += log.size
        self._expire()

    def forget(self, turn_id: str) -> None:
        """Nobody is to read it any more but who does already."""
        self._logs.pop(turn_id, None)
        _, log = self._finished.pop(turn_id, (0.0, None))
        if log is not None:
            self._finished_bytes -= log.size

    def __contains__(self, turn_id: str) -> bool:
        self._expire()
        return turn_id in self._logs

    def __len__(self) -> int:
        self._expire()
        return len(self._logs)

    @property
    def size(self) -> int:
        """Bytes of text in all logs, about."""
        self._expire()
        return sum(log.size for log in self._logs.values())

    @property
    def detached(self) -> list[TurnLog]:
        """The logs of running turns that nobody watches."""
        return [log for log in self._logs.values() if not (log.finished or log.watchers)]

    def _expire(self) -> None:
        now = self._clock()
        while self._finished:
            turn_id, (expires, _) = next(iter(self._finished.items()))
            if expires > now and self._finished_bytes <= self._keep_bytes:
                return
            self.forget(turn_id)
