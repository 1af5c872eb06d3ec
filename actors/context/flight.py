"""Turns that are under way: what each is made from, and what is known of its requests.

A turn's request is composed before the turn begins, and what it was composed from is needed until
the turn is completed.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from actors.context.assembly import Shape
from actors.context.call_ids import DistinctIds
from actors.context.composed import Composed
from actors.context.composing import Draft
from actors.context.estimate.sent import SentRequest
from actors.context.gathering import Ground
from actors.context.searching import most_searches
from protocol.prompt import Prompt
from protocol.provider.choosing import forgiving
from protocol.provider.containers import executes_code, lives
from protocol.records import CalibrationRecord, Change, Container, Head, SessionRecord, TurnRecord

BUILT_MILLISECONDS = 60_000
"""How long a turn that was built may take to begin; it may also never begin."""


class Flight:
    """One turn. `before` and `former` are its session and head before it.

    `shape` is how the model is to answer. `change` is written when the turn begins. If an epoch
    begins with it, `transcript` has the messages before it.
    """

    def __init__(
        self,
        turn_id: str,
        draft: Draft,
        *,
        before: SessionRecord,
        former: Head | None,
        is_new: bool,
        ground: Ground,
        shape: Shape,
        has_budget: bool,
        built_at: int,
    ) -> None:
        self.turn_id = turn_id
        self.change = draft.change
        self.transcript = draft.transcript
        self.before = before
        self.former = former
        self.is_new = is_new
        self.ground = ground
        self.shape = shape
        self.has_budget = has_budget
        self.built_at = built_at
        self.has_begun = False
        """Whether its beginning is written."""
        self.is_settled = False
        """Whether its end is written."""
        self.ids = DistinctIds(turn_id)
        self._requests: dict[int, SentRequest] = {}

    def begun(self) -> None:
        """Its beginning is written, and need not be remembered."""
        self.has_begun = True
        self.change, self.transcript = Change(session=self.before), None

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
    """The turns that are not completed. One that was only built is forgotten after a while."""

    def __init__(self) -> None:
        self._built: OrderedDict[str, Flight] = OrderedDict()
        self._begun: dict[str, Flight] = {}
        self.open: dict[str, int] = {}
        """When each turn was made whose row is not settled, in milliseconds since the epoch."""

    def built(self, flight: Flight) -> None:
        """A turn's first request has been made."""
        oldest = flight.built_at - BUILT_MILLISECONDS
        while self._built and next(iter(self._built.values())).built_at < oldest:
            self._built.popitem(last=False)
        self._built[flight.turn_id] = flight

    def begin(self, turn: TurnRecord) -> Flight | None:
        """A turn that was built is about to begin."""
        flight = self._built.pop(turn.turn_id, None)
        if flight is not None:
            self._begun[turn.turn_id] = flight
            self.open[turn.turn_id] = turn.created_at
        return flight

    def find(self, turn_id: str) -> Flight | None:
        """A turn that has begun, or is about to."""
        return self._begun.get(turn_id)

    def end(self, turn_id: str) -> Flight | None:
        """A turn that is completed; `None` when it never began."""
        self._built.pop(turn_id, None)
        return self._begun.pop(turn_id, None)

    def settled(self, turn_id: str) -> None:
        """The turn's row is settled, or was never written."""
        self.open.pop(turn_id, None)
