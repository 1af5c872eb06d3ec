"""Turns that are under way: what each is made from, and what is known of its requests.

What a turn's request was composed from is needed until the turn is completed.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from actors.context.assembly import Shape
from actors.context.call_ids import DistinctIds
from actors.context.composed import Composed
from actors.context.estimate.sent import SentRequest
from actors.context.gathering import Ground
from actors.context.searching import most_searches
from protocol.prompt import Prompt
from protocol.provider.choosing import forgiving
from protocol.provider.containers import executes_code, lives
from protocol.records import CalibrationRecord, Container, Head, SessionRecord, TurnRecord

WITHDRAWN_MILLISECONDS = 60_000
"""How long a turn that was withdrawn may still try to begin; it may also never try."""


class Flight:
    """One turn. `before` and `former` are its session and head before it.

    It makes the session if that `is_new`. `shape` is how the model is to answer.
    """

    def __init__(
        self,
        turn_id: str,
        *,
        is_new: bool,
        before: SessionRecord,
        former: Head | None,
        ground: Ground,
        shape: Shape,
        has_budget: bool,
    ) -> None:
        self.is_new = is_new
        self.before = before
        self.former = former
        self.ground = ground
        self.shape = shape
        self.has_budget = has_budget
        self.has_begun = False
        """Whether its beginning is written."""
        self.is_settled = False
        """Whether its end is written."""
        self.ids = DistinctIds(turn_id)
        self._requests: dict[int, SentRequest] = {}

    @property
    def session_id(self) -> str:
        """The turn's session."""
        return self.before.session_id

    def forgive(self) -> None:
        """An epoch begins inside the turn: the provider must drop thinking that no longer fits."""
        shape = self.shape
        thinking = forgiving(self.ground.binding, shape.thinking)
        self.shape = msgspec.structs.replace(shape, thinking=thinking)

    def prompt(self, composed: Composed, now: int) -> Prompt:
        """The turn's next request, which is remembered until its bill is known."""
        begins_with, shape = composed.answer_begins_with, self.shape
        if begins_with is not None:
            shape = shape.going_on(begins_with)
        request = composed.sent(shape, now)
        self._requests[request.counted] = request  # no two of a turn have the same count
        cost = composed.likely_cost(now, shape.kind_of_thinking) if self.has_budget else None
        prompt = msgspec.structs.replace(
            composed.prompt(shape, cost), most_searches=most_searches(self.ground.toolset)
        )
        if (container := shape.container) is None:
            return prompt
        use = "fresh" if now < container.idle_until else "idle"
        return msgspec.structs.replace(prompt, container=use)

    def run_in(self, container: Container | None, now: int) -> None:
        """The turn's code is executed in this container, if it is to be executed and that lives."""
        usable = container is not None and lives(container, now)
        usable = usable and executes_code(self.ground.toolset.definitions)
        self.shape = msgspec.structs.replace(self.shape, container=container if usable else None)

    def find(self, sample: CalibrationRecord) -> SentRequest | None:
        """The request that was billed so."""
        return self._requests.get(sample.counted)


class Underway:
    """The turns that are not completed."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}
        self._withdrawn: OrderedDict[str, int] = OrderedDict()
        self.open: dict[str, TurnRecord] = {}
        """The rows that were opened, or are just being opened, and are not settled yet."""

    def begin(self, turn: TurnRecord, flight: Flight) -> bool:
        """A turn is about to begin; whether it still may."""
        if self._withdrawn.pop(turn.turn_id, None) is not None:
            return False
        self._flights[turn.turn_id] = flight
        self.open[turn.turn_id] = turn
        return True

    def withdraw(self, turn_id: str, now: int) -> Flight | None:
        """A turn that has begun or is about to; any other one may not begin any more."""
        flight = self.find(turn_id)
        if flight is None:
            oldest = now - WITHDRAWN_MILLISECONDS
            while self._withdrawn and next(iter(self._withdrawn.values())) < oldest:
                self._withdrawn.popitem(last=False)
            self._withdrawn[turn_id] = now
        return flight

    def find(self, turn_id: str) -> Flight | None:
        """A turn that has begun, or is about to."""
        return self._flights.get(turn_id)

    def end(self, turn_id: str) -> Flight | None:
        """A turn that is completed; `None` when it never began."""
        return self._flights.pop(turn_id, None)

    def settled(self, turn_id: str) -> None:
        """The turn's row is settled, or was never written."""
        self.open.pop(turn_id, None)
