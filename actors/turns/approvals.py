"""Who agreed to what: the answers that turns wait for, and what a session was allowed for good."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

import trio

AnswerT = TypeVar("AnswerT")

SESSIONS = 10_000
"""Sessions whose approvals are kept; the one unused for longest must be asked again."""


class Answers(Generic[AnswerT]):
    """What a turn's clients say, by the id of the tool call; the first answer counts."""

    def __init__(self) -> None:
        self._given: dict[str, AnswerT] = {}
        self._waiting: trio.lowlevel.ParkingLot | None = None  # for most turns nobody ever waits

    def __contains__(self, call_id: str) -> bool:
        return call_id in self._given

    def give(self, call_id: str, answer: AnswerT) -> None:
        """Here is the answer."""
        self._given.setdefault(call_id, answer)
        if self._waiting is not None:
            self._waiting.unpark_all()

    async def wait(self, call_id: str) -> AnswerT:
        """The answer, once it is there."""
        while call_id not in self._given:
            if self._waiting is None:
                self._waiting = trio.lowlevel.ParkingLot()
            await self._waiting.park()
        return self._given[call_id]


class SessionApprovals:
    """The tools that a person allowed for the rest of a session; gone when the gateway ends."""

    def __init__(self, keep: int = SESSIONS) -> None:
        self._keep = keep
        self._allowed: OrderedDict[str, set[str]] = OrderedDict()

    def allow(self, session_id: str, tool: str) -> None:
        """From now on the session may call the tool."""
        self._allowed.setdefault(session_id, set()).add(tool)
        self._allowed.move_to_end(session_id)
        if len(self._allowed) > self._keep:
            self._allowed.popitem(last=False)

    def forget(self, session_id: str) -> None:
        """Nothing is allowed to the session any more."""
        self._allowed.pop(session_id, None)

    def allows(self, session_id: str, tool: str) -> bool:
        """Whether the session may call the tool."""
        return tool in self._allowed.get(session_id, ())
