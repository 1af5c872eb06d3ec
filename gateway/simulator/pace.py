"""How a stream's events get to the wire: as fast as it goes, or in time.

Unpaced, events are gathered into large chunks: the cost of a send is shared by hundreds of them.
Paced, an event is one chunk and one send, and its time is reckoned from the start of the stream, so
that lateness does not add up. The rate is that of deltas; the events around them go out at once.
"""

from collections.abc import Iterator
from typing import Protocol

import trio

from gateway.simulator.events import PING, StreamEvent
from gateway.simulator.faults import FaultStep
from gateway.simulator.ledger import Tally
from gateway.simulator.metronome import Metronome
from gateway.simulator.wire import HttpWire


class Pace(Protocol):
    """Sends events."""

    async def send_events(self, steps: Iterator[FaultStep]) -> FaultStep | None:
        """Send events up to a step that is none, and return that, or None at the end."""
        ...

    def postpone(self, seconds: float) -> None:
        """Take note of time that passed on purpose."""
        ...


class Unpaced:
    """As fast as it goes, in pieces of at least `flush` bytes."""

    def __init__(self, wire: HttpWire, tally: Tally, flush: int) -> None:
        self._wire = wire
        self._tally = tally
        self._flush = flush

    async def send_events(self, steps: Iterator[FaultStep]) -> FaultStep | None:
        """Send events up to a step that is none, and return that, or None at the end."""
        batch: list[StreamEvent] = []
        size = 0
        for step in steps:
            if not isinstance(step, StreamEvent):
                await self._send(batch)
                return step
            batch.append(step)
            size += len(step.frame)
            if size >= self._flush or step.ends:
                await self._send(batch)
                batch, size = [], 0
        await self._send(batch)
        return None

    def postpone(self, seconds: float) -> None:
        """Nothing is due at a time."""

    async def _send(self, batch: list[StreamEvent]) -> None:
        """Send a batch, then count it; but an end is counted before it is sent."""
        last = batch.pop() if batch and batch[-1].ends else None
        if batch:
            await self._wire.chunk(b"".join([event.frame for event in batch]))
            for event in batch:
                self._tally.add(event)
        if last is not None:
            self._tally.add(last)
            await self._wire.chunk(last.frame)


class Paced:
    """`rate` deltas a second, and a ping after `ping_every` seconds without an event."""

    def __init__(
        self, wire: HttpWire, tally: Tally, metronome: Metronome, *, rate: float, ping_every: float
    ) -> None:
        self._wire = wire
        self._tally = tally
        self._metronome = metronome
        self._interval = 1 / rate
        self._ping_every = ping_every
        self._due = self._sent = trio.current_time()
        self._unsent = b""
        self._next: FaultStep | None = None
        self._steps: Iterator[FaultStep] = iter(())

    async def send_events(self, steps: Iterator[FaultStep]) -> FaultStep | None:
        """Send events up to a step that is none, and return that, or None at the end."""
        self._steps = steps
        self._next = next(steps, None)
        while isinstance(self._next, StreamEvent):
            await self._metronome.conduct(self._beat, self._sent)
            unsent, self._unsent = self._unsent, b""
            await self._wire.send(unsent)
        return self._next

    def postpone(self, seconds: float) -> None:
        """Let everything that follows be later by so much."""
        self._due += seconds
        self._sent += seconds

    def _beat(self, now: float) -> float | None:
        """Send what is due. None when the wire is full, or the next step is not an event."""
        while isinstance(self._next, StreamEvent):
            due = self._due + self._interval if self._next.is_delta else self._sent
            if due > now:
                ping_due = self._sent + self._ping_every
                if ping_due > now:
                    return min(due, ping_due)
                frame = PING
            else:
                frame = self._advance(self._next, due)
            self._sent = now
            self._unsent = self._wire.chunk_now(frame)
            if self._unsent:
                return None
        return None

    def _advance(self, event: StreamEvent, due: float) -> bytes:
        if event.is_delta:
            self._due = due
        self._tally.add(event)
        self._next = next(self._steps, None)
        return event.frame
