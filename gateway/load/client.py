"""One client of a load: a connection, one turn at a time, and what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import trio

from gateway.load.asking import Sendable, cancel, encoded, resume
from gateway.load.dial import Dialer, DialFailed
from gateway.load.events import STREAMED, BadEvent, WireEvent, event_of
from gateway.load.hub import Hub
from gateway.load.line import LoadLine
from gateway.load.pauses import Pauses
from gateway.load.recording import Recorder
from gateway.load.tally import LoadTally
from gateway.load.turn import LoadTurn

_TIMED: Final = frozenset({"plain", "tools", "played"})
"""Kinds that last as long as the gateway makes them last, and no longer."""


class LoadStage:
    """What all clients of a load share.

    `on_free` hears of a client that has no turn any more, `on_call` of a tool that waits for the
    client's answer or consent, `on_answer` of a message that belongs to no turn.
    """

    def __init__(self, dialer: Dialer, hub: Hub, tally: LoadTally, tasks: trio.Nursery) -> None:
        self.dialer = dialer
        self.hub = hub
        self.tally = tally
        self.tasks = tasks
        self.pauses = Pauses()
        self.recorder: Recorder | None = None
        self.dialling = trio.CapacityLimiter(64)
        self.on_free: Callable[[LoadClient], None] = lambda _client: None
        self.on_call: Callable[[LoadClient, WireEvent], None] = lambda _client, _event: None
        self.on_answer: Callable[[LoadClient, WireEvent, float], None] = lambda *_: None


class LoadClient:
    """`turn` is the one in flight; `session_id` and `turn_id` are the last that were told."""

    def __init__(self, stage: LoadStage, name: str) -> None:
        self.name = name
        self.turn: LoadTurn | None = None
        self.session_id: str | None = None
        self.turn_id = ""
        self._stage = stage
        self._tally = stage.tally
        self._line = LoadLine(stage.hub, stage.pauses, self)

    @property
    def is_open(self) -> bool:
        """Whether it has a connection."""
        return self._line.is_open

    async def open(self) -> None:
        """Connect. Raises DialFailed."""
        async with self._stage.dialling:
            began = time.perf_counter()
            opened = await self._stage.dialer.dial()
        self._tally.record("connect", time.perf_counter() - began)
        self._line.open(opened)

    def begin(self, turn: LoadTurn, message: Sendable) -> None:
        """Begin a turn, over a new connection if there is none."""
        self.turn = turn
        turn.sent_at = time.perf_counter()
        self._tally.kinds[turn.kind].sent += 1
        self._tally.open += 1
        if turn.is_measured:
            self._tally.record("queue", turn.sent_at - turn.due)
        self._record(message)
        if self._line.is_open:
            self._line.send(encoded(message))
        else:
            self._stage.tasks.start_soon(self._reopen, turn, encoded(message))

    def say(self, message: Sendable) -> None:
        """Send something that begins no turn."""
        self._record(message)
        self._line.send(encoded(message))

    def _record(self, message: Sendable) -> None:
        if self._stage.recorder is not None:
            self._stage.recorder.take(self.name, message)

    async def _reopen(self, turn: LoadTurn, message: bytes) -> None:
        try:
            await self.open()
        except DialFailed as failed:
            if self.turn is turn:
                self._fail(turn, failed.reason)
            return
        if self.turn is turn:
            self._line.send(message)

    def give_up(self, reason: str) -> None:
        """End a turn that takes too long, and the connection with it."""
        if self.turn is not None:
            self._line.send(encoded(cancel(self.turn.request_id)))
            self._line.close()
            self._fail(self.turn, reason)

    def leave(self) -> None:
        """Stop the turn, if there is one, and say goodbye."""
        if self.turn is not None:
            self._line.send(encoded(cancel(self.turn.request_id)))
        self._line.close()

    # --- what comes in -------------------------------------------------------------------------

    def take(self, frame: bytes | bytearray, now: float) -> None:
        """A message of the gateway."""
        tally, turn = self._tally, self.turn
        tally.frames += 1
        tally.received_bytes += len(frame)
        try:
            event = event_of(frame)
        except BadEvent:
            tally.count_error("bad_message")
            return
        if turn is None or event.request_id != turn.request_id:
            self._take_aside(event, now)
            return
        if event.seq is not None:
            if event.seq <= turn.seq:
                tally.count_error("out_of_order")
            turn.seq = event.seq
        if turn.lost_at is not None:
            self._measure(turn, "resume", now - turn.lost_at)
            turn.lost_at = None
        if event.type in STREAMED:
            self._take_delta(turn, event, now)
        else:
            self._take_event(turn, event, now)

    def _take_delta(self, turn: LoadTurn, event: WireEvent, now: float) -> None:
        tally = self._tally
        tally.deltas += 1
        tally.characters += len(event.delta)
        turn.deltas += 1
        last, turn.last_delta = turn.last_delta, now
        if turn.deltas == 1:
            self._measure(turn, "first_delta", now - turn.due)
        elif last is not None and turn.kind != "slow":
            self._measure(turn, "delta_gap", now - last)
        if turn.acts_at and turn.deltas >= turn.acts_at:
            self._act(turn, now)

    def _take_event(self, turn: LoadTurn, event: WireEvent, now: float) -> None:
        turn.last_delta = None
        match event.type:
            case "session.created":
                self.session_id = event.session_id
            case "chat.stream.start":
                if not turn.turn_id:
                    self._tally.kinds[turn.kind].admitted += 1
                self.session_id = event.session_id
                turn.turn_id = self.turn_id = event.turn_id
            case "tool.call" if event.client_side:
                self._tally.tool_calls += 1
                self._stage.on_call(self, event)
            case "tool.approval.request":
                self._stage.on_call(self, event)
            case "chat.stream.end":
                self._finish(turn, event, now)
            case "error":
                self._bill(event)
                self._fail(turn, event.code)

    def _take_aside(self, event: WireEvent, now: float) -> None:
        """A message that is of no turn in flight: a turn may have ended before its cancel came."""
        if event.type == "gateway.draining":
            self._tally.draining += 1
        elif event.type == "error" and event.code != "REQUEST_NOT_FOUND":
            self._tally.count_error(event.code)
        self._stage.on_answer(self, event, now)

    def lost(self, reason: str) -> None:
        """The connection is gone."""
        if self.turn is not None:
            self._fail(self.turn, reason)

    # --- what its kind does --------------------------------------------------------------------

    def _act(self, turn: LoadTurn, now: float) -> None:
        turn.acts_at = 0
        match turn.kind:
            case "cancel":
                turn.cancelled_at = now
                self.say(cancel(turn.request_id))
            case "drop":
                self._drop(turn, now)
            case "slow":
                self._line.slow_down()

    def _drop(self, turn: LoadTurn, now: float) -> None:
        turn.lost_at = now
        turn.last_delta = None
        message = encoded(resume(turn.request_id, turn.turn_id, turn.seq))
        turn.request_id = f"{turn.request_id}.r"
        self._line.close(politely=False)
        self._stage.tasks.start_soon(self._reopen, turn, message)

    # --- how it ends ---------------------------------------------------------------------------

    def _finish(self, turn: LoadTurn, event: WireEvent, now: float) -> None:
        kind = self._tally.kinds[turn.kind]
        self._bill(event)
        if event.stop_reason == "cancelled":
            kind.cancelled += 1
        else:
            kind.finished += 1
            if turn.kind in _TIMED:
                self._measure(turn, "turn", now - turn.due)
        if turn.cancelled_at is not None:
            self._measure(turn, "cancel", now - turn.cancelled_at)
        if turn.kind == "slow":
            self._line.close()  # its small buffer must not slow down the next turn
        self._leave_turn()

    def _fail(self, turn: LoadTurn, reason: str) -> None:
        self._tally.count_error(reason)
        self._tally.kinds[turn.kind].failed += 1
        self.session_id = None
        self._leave_turn()

    def _leave_turn(self) -> None:
        self.turn = None
        self._tally.open -= 1
        self._stage.on_free(self)

    def _bill(self, event: WireEvent) -> None:
        if event.usage is not None:
            self._tally.total_tokens += event.usage.total_tokens
        if event.cost is not None:
            self._tally.total_cost += event.cost.total_cost

    def _measure(self, turn: LoadTurn, name: str, seconds: float) -> None:
        if turn.is_measured:
            self._tally.record(name, seconds)
