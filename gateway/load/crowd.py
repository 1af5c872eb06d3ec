"""The clients of a mixed load: an arriving turn takes a free one, or waits for it."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Final

from gateway.load.asking import Asking, refuse, request_ids, tide
from gateway.load.client import LoadClient, LoadStage
from gateway.load.events import WireEvent
from gateway.load.mix import Mix, TurnKind
from gateway.load.turn import LoadTurn

MOST_WAITING: Final = 100_000
"""Turns that wait for a free client; a further one counts as unsent."""

LATEST_ACT: Final[dict[TurnKind, int]] = {"cancel": 5, "drop": 5, "slow": 1}
"""By kind, the last delta with which a turn of it does what it is for."""


class Crowd:
    """Sends each turn when it is due, by whichever client is free."""

    def __init__(
        self,
        stage: LoadStage,
        clients: list[LoadClient],
        *,
        asking: Asking,
        mix: Mix,
        session_turns: int,
        seed: int | None,
    ) -> None:
        self._tally = stage.tally
        self._free = deque(clients)
        self._waiting: deque[tuple[float, bool]] = deque()
        self._asking = asking
        self._mix = mix
        self._session_turns = session_turns
        self._held: dict[str, int] = {}
        self._random = Random(seed)
        self._ids = request_ids()
        stage.on_free = self._release
        stage.on_call = self._answer

    def arrive(self, due: float, *, is_measured: bool) -> None:
        """Begin the turn that is due, or let it wait."""
        if self._free:
            self._begin(self._free.popleft(), due, is_measured=is_measured)
        elif len(self._waiting) < MOST_WAITING:
            self._waiting.append((due, is_measured))
        else:
            self._tally.unsent += 1

    @property
    def waiting(self) -> int:
        """Turns that wait for a free client."""
        return len(self._waiting)

    def forget(self) -> None:
        """Count those that still wait as unsent."""
        self._tally.unsent += len(self._waiting)
        self._waiting.clear()

    def _release(self, client: LoadClient) -> None:
        if self._waiting:
            due, is_measured = self._waiting.popleft()
            self._begin(client, due, is_measured=is_measured)
        else:
            self._free.append(client)

    def _begin(self, client: LoadClient, due: float, *, is_measured: bool) -> None:
        kind = self._mix.choose(self._random)
        question = self._asking.question(kind, next(self._ids), self._session_of(client))
        acts_at = self._acts_at(kind)
        turn = LoadTurn(kind, question.id, due, acts_at=acts_at, is_measured=is_measured)
        client.begin(turn, question)

    def _acts_at(self, kind: TurnKind) -> int:
        return self._random.randint(1, LATEST_ACT[kind]) if kind in LATEST_ACT else 0

    def _session_of(self, client: LoadClient) -> str | None:
        """The client's session, until it has had its turns."""
        held = self._held.get(client.name, 0)
        goes_on = client.session_id is not None and held < self._session_turns
        self._held[client.name] = held + 1 if goes_on else 1
        return client.session_id if goes_on else None

    def _answer(self, client: LoadClient, event: WireEvent) -> None:
        says_no = event.type == "tool.approval.request"
        client.say((refuse if says_no else tide)(event.request_id, event.tool_call_id))
