"""Plays a recording: each client says what it said, when it said it, or as soon as it can.

A message waits for what it needs: a new turn for the end of the former one, a tool's output for the
call. It is measured from the moment at which it was to be sent all the same. What can never be sent
any more, such as the output of a tool that was not called, counts as unsent.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Literal

from gateway.load.asking import request_ids
from gateway.load.client import LoadClient, LoadStage
from gateway.load.events import WireEvent
from gateway.load.recording import CALL, SESSION, TURN, Recorded, placed
from gateway.load.turn import LoadTurn

WhenToSay = Literal["now", "later", "never"]
"""`later` is once the turn in flight, or a question, has brought what is needed."""


class _Role:
    """One client's role: what it is still to say, and the calls that it is still to answer."""

    def __init__(self, client: LoadClient) -> None:
        self.client = client
        self.queue: deque[tuple[float, dict[str, Any]]] = deque()
        self.calls: deque[str] = deque()
        self.asked: dict[str, float] = {}

    def told(self) -> dict[str, str]:
        """What the texts of a recording stand for now."""
        call = self.calls[0] if self.calls else ""
        return {SESSION: self.client.session_id or "", TURN: self.client.turn_id, CALL: call}


class Player:
    """The clients of a recording."""

    def __init__(self, stage: LoadStage, clients: list[LoadClient]) -> None:
        self._tally = stage.tally
        self._roles = {client.name: _Role(client) for client in clients}
        self._ids = request_ids()
        stage.on_free = lambda client: self._go_on(self._roles[client.name])
        stage.on_call = self._take_call
        stage.on_answer = self._take_answer

    def arrive(self, due: float, line: Recorded) -> None:
        """Say what is due."""
        role = self._roles[line.client]
        role.queue.append((due, line.message))
        self._go_on(role)

    @property
    def waiting(self) -> int:
        """Messages that wait for what they need."""
        return sum(len(role.queue) for role in self._roles.values())

    def forget(self) -> None:
        """Count those that still wait as unsent."""
        self._tally.unsent += self.waiting
        for role in self._roles.values():
            role.queue.clear()

    def _take_call(self, client: LoadClient, event: WireEvent) -> None:
        role = self._roles[client.name]
        role.calls.append(event.tool_call_id)
        self._go_on(role)

    def _take_answer(self, client: LoadClient, event: WireEvent, now: float) -> None:
        role = self._roles[client.name]
        if event.session_id:
            client.session_id = event.session_id
        due = role.asked.pop(event.request_id, None)
        if due is not None:
            self._tally.record("answer", now - due)
            self._go_on(role)

    def _go_on(self, role: _Role) -> None:
        while role.queue:
            due, message = role.queue[0]
            moment = _readiness_of(role, message)
            if moment == "later":
                return
            role.queue.popleft()
            if moment == "now":
                self._say(role, due, placed(message, role.told()) | {"id": next(self._ids)})
            else:
                self._tally.unsent += 1

    def _say(self, role: _Role, due: float, message: dict[str, Any]) -> None:
        client = role.client
        match message["type"]:
            case "chat.send" | "chat.resume":
                role.calls.clear()
                client.begin(
                    LoadTurn("played", message["id"], due, acts_at=0, is_measured=True), message
                )
            case "chat.cancel":
                assert client.turn is not None
                client.turn.cancelled_at = time.perf_counter()
                client.say({**message, "requestId": client.turn.request_id})
            case "tool.output" | "tool.approval.response":
                role.calls.popleft()
                client.say(message)
            case _:
                role.asked[message["id"]] = due
                client.say(message)


def _readiness_of(role: _Role, message: dict[str, Any]) -> WhenToSay:
    """When a message can be said that is due."""
    client, kind = role.client, message["type"]
    until_its_end: WhenToSay = "never" if client.turn is None else "later"
    match kind:
        case "chat.send":
            return "now" if client.turn is None else "later"
        case "chat.resume" if client.turn is None:
            return "now" if client.turn_id else "never"
        case "chat.resume":
            return "later"
        case "chat.cancel":
            return "never" if client.turn is None else "now"
        case "tool.output" | "tool.approval.response":
            return "now" if role.calls else until_its_end
    if message.get("sessionId") == SESSION and not client.session_id:
        return "later" if role.asked else until_its_end
    return "now" if client.is_open else until_its_end
