"""A load, from top to bottom: connect, send each turn when it is due, wait for the last, leave."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

import trio

from agentspace.client.local import Target
from gateway.load.client import LoadClient, LoadStage
from gateway.load.crowd import Crowd
from gateway.load.dial import Dialer, DialFailed
from gateway.load.hub import Hub
from gateway.load.plan import LoadPlan
from gateway.load.player import Player
from gateway.load.recording import open_recorder
from gateway.load.strain import OwnClock
from gateway.load.tally import LoadTally

OVERDUE_SECONDS: Final = 0.5
"""Pause between two looks for turns that take too long."""

MOST_AT_ONCE: Final = 64
"""Turns that are sent before another task runs: some 2 ms of work."""

_GC_THRESHOLDS: Final = (50_000, 50, 100)


class LoadRun:
    """One load. `tally` and `watch` can be read while it runs, and afterwards."""

    def __init__(self, plan: LoadPlan, target: Target) -> None:
        """Raises ConnectError for an address that is none."""
        self.plan = plan
        self.tally = LoadTally()
        self.watch = OwnClock(self.tally.durations["lag"])
        self.is_interrupted = False
        self._dialer = Dialer(target)
        self.url = target.url
        self._work = trio.CancelScope()
        self._clients: list[LoadClient] = []

    def interrupt(self) -> None:
        """Send nothing more, and do not wait for what is open."""
        self.is_interrupted = True
        self._work.cancel()

    async def run(self) -> None:
        """Until the last turn has ended. Raises a group with ConnectError without a gateway."""
        with _rare_collections(), closing(Hub()) as hub:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(hub.run)
                stage = LoadStage(self._dialer, hub, self.tally, nursery)
                try:
                    with self._work, self._recording(stage):
                        await self._work_through(stage, nursery)
                finally:
                    self.watch.end()
                    self._leave()
                nursery.cancel_scope.cancel()

    async def _work_through(self, stage: LoadStage, nursery: trio.Nursery) -> None:
        names = [f"c{number}" for number in range(self.plan.connections)]
        if self.plan.recorded:
            names = list(dict.fromkeys(line.client for line in self.plan.recorded))
        self._clients = [LoadClient(stage, name) for name in names]
        await self._connect()
        self.watch.begin()
        nursery.start_soon(self._keep_time, stage)
        if self.plan.recorded:
            await self._play(Player(stage, self._clients))
        else:
            await self._send(self._crowd(stage))

    def _crowd(self, stage: LoadStage) -> Crowd:
        plan = self.plan
        return Crowd(
            stage,
            self._clients,
            asking=plan.asking,
            mix=plan.mix,
            session_turns=plan.session_turns,
            seed=plan.schedule.seed,
        )

    async def _connect(self) -> None:
        """The first connection tells whether there is a gateway; others may fail."""
        first, *others = self._clients
        try:
            await first.open()
        except DialFailed as failed:
            raise failed.for_a_person(self.url) from failed
        async with trio.open_nursery() as nursery:
            for client in others:
                nursery.start_soon(self._open, client)

    async def _open(self, client: LoadClient) -> None:
        try:
            await client.open()
        except DialFailed as failed:
            self.tally.count_error(failed.reason)

    async def _send(self, crowd: Crowd) -> None:
        began = time.perf_counter()
        for number, moment in enumerate(self.plan.schedule.moments(), 1):
            await _until(began + moment, number)
            self.watch.note_late(began + moment)
            is_measured = moment >= self.plan.warmup_seconds
            self.tally.scheduled += 1
            self.tally.warmup += not is_measured
            crowd.arrive(began + moment, is_measured=is_measured)
        await self._finish(crowd)

    async def _play(self, player: Player) -> None:
        began = time.perf_counter()
        for number, line in enumerate(self.plan.recorded, 1):
            await _until(began + line.at, number)
            self.tally.scheduled += 1
            player.arrive(began + line.at, line)
        await self._finish(player)

    async def _finish(self, source: Crowd | Player) -> None:
        """Wait for what is open and what waits, until the longest turn would be given up."""
        try:
            with trio.move_on_after(self.plan.turn_seconds + 2 * OVERDUE_SECONDS):
                while self.tally.open or source.waiting:  # noqa: ASYNC110 - plain calls change these
                    await trio.sleep(0.02)
        finally:
            source.forget()

    async def _keep_time(self, stage: LoadStage) -> None:
        """The clock of everything that is no frame."""
        next_look = 0.0
        while True:
            now = await self.watch.tick()
            stage.pauses.run(now)
            if now >= next_look:
                self.watch.end()
                self._give_up_overdue(now - self.plan.turn_seconds)
                next_look = now + OVERDUE_SECONDS

    def _give_up_overdue(self, latest: float) -> None:
        for client in self._clients:
            if client.turn is not None and client.turn.sent_at < latest:
                client.give_up("turn_timeout")

    def _leave(self) -> None:
        self.tally.unfinished = self.tally.open
        for client in self._clients:
            client.leave()

    @contextmanager
    def _recording(self, stage: LoadStage) -> Iterator[None]:
        if self.plan.record_to is None:
            yield
            return
        with open_recorder(self.plan.record_to) as stage.recorder:
            yield


async def _until(moment: float, number: int) -> None:
    """Wait for a moment of the load's clock.

    When that is over, as it is when many turns are due at once, other tasks run only now and then:
    each time all that has come in would be read before the next turn is sent.
    """
    left = moment - time.perf_counter()
    if left > 0:
        await trio.sleep(left)
    elif number % MOST_AT_ONCE == 0:
        await trio.lowlevel.checkpoint()


@contextmanager
def _rare_collections() -> Iterator[None]:
    """A collection stops the clock; streams leave little garbage that needs one."""
    former = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*former)
        gc.unfreeze()
