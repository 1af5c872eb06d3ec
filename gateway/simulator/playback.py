"""Plays the steps of a stream onto a wire: its events at their pace, and what goes wrong."""

from collections.abc import Iterator

import trio

from gateway.simulator.events import StreamEvent
from gateway.simulator.faults import End, FaultStep, Fragment, HeldBack, Reset, Silence, Truncation
from gateway.simulator.ledger import Tally
from gateway.simulator.pace import Pace
from gateway.simulator.wire import HttpWire


async def play(
    steps: Iterator[FaultStep], wire: HttpWire, tally: Tally, pace: Pace, *, ping_every: float
) -> None:
    """Take every step, or as many as lead to the end of the connection or of the body."""
    while True:
        match await pace.send_events(steps):
            case Fragment(piece, event):
                await wire.chunk(piece)
                tally.add(event)
            case Silence(seconds, sound):
                await _fall_silent(wire, seconds, sound, ping_every)
                pace.postpone(seconds)
            case HeldBack(gate):
                await gate.wait()
            case Reset():
                tally.settle()
                return await wire.reset()
            case Truncation(piece):
                tally.settle()
                return await wire.truncate(piece)
            case End() | None:
                tally.settle()
                return await wire.end()
            case StreamEvent():
                raise AssertionError("a pace sends every event")


async def _fall_silent(wire: HttpWire, seconds: float, sound: bytes | None, every: float) -> None:
    until = trio.current_time() + seconds
    while sound is not None and trio.current_time() + every < until:
        await trio.sleep(every)
        await wire.chunk(sound)
    await trio.sleep_until(until)
