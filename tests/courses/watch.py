"""What must hold of every turn of a session, whatever course it takes.

Of each request that a turn made of the provider:

- it begins with the former one, to the byte, unless the turn's end tells of a new epoch;
- it has every thinking block that the model has made since the epoch began;
- the provider has refused and dropped nothing of it, unless a course had arranged that, or the
  epoch began inside a tool loop: then it drops what the turn itself had thought before;
- the first one is what an inspection had shown, and weighs what that had estimated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from tests.courses.bodies import Json, Kind, Sent, answers_in, block_at, kind_of, thinking_in
from tests.courses.inspection import check_inspected, tokens_in
from tests.courses.provider import Exchange, Provider
from tests.courses.turn import Turn
from tests.support import Frame

SURE = 2
"""Bills of a model from which an estimate has been learned."""
ERROR = 0.05


class Former(NamedTuple):
    """An accepted request, and how many epochs there had been."""

    sent: Sent
    epochs: int


class Watch:
    """Looks at one session's turns; `began` are the epochs that it has seen begin.

    With `estimates` these are held against the bills.
    """

    def __init__(self, provider: Provider, *, estimates: bool) -> None:
        self.began = 0
        self._provider = provider
        self._estimates = estimates
        self._former: dict[Kind, list[Former]] = {}
        """The former request of a model of each kind; several where the next may follow any."""
        self._owed: dict[Kind, list[Json]] = {"checked": [], "appended": []}
        """Thinking that the next request of a model of each kind must have."""
        self._told_epoch: int | None = None
        self._answers = 0
        """How many there were when the epoch began."""
        self._is_frozen = False
        """Whether there are more by now: until then the epoch's head may change."""
        self._bills: Counter[str] = Counter()

    def check(self, turn: Turn, ends: Collection[str]) -> None:
        """Hold the next turn, which must have ended in one of these ways, against all before."""
        refusals = [one.refusal for one in turn.exchanges if one.refusal is not None]
        assert turn.outcome in ends, f"{turn.end}; the provider: {refusals}"
        expected = [words for words in refusals if "too long" not in words]
        assert not expected, f"the provider refused: {expected}"
        owed = {kind: [*blocks] for kind, blocks in self._owed.items()}
        former = {kind: [*ones] for kind, ones in self._former.items()}
        began, was_frozen = self.began, self._is_frozen
        for exchange in turn.exchanges:
            self._follow(exchange, turn)
            self._check_dropped(exchange, turn, own=self.began > began)
        assert self.began <= began + 1, "more than one epoch began in one turn"
        if turn.outcome == "refusal":
            self._is_frozen = was_frozen and began == self.began
        told = "droppedThinking" in turn.context
        assert told >= any(one.is_told_of_drops for one in turn.exchanges), turn.context
        assert told <= any(one.is_told_of_drops or one.scripted for one in turn.exchanges)
        self._let_go(turn, owed if began == self.began else {}, former)
        if turn.exchanges and turn.foreseen is not None:
            check_inspected(turn.foreseen, turn.body)
            self._check_estimate(turn.foreseen, turn.exchanges[0])
        for exchange in turn.exchanges:
            self._bills[exchange.model] += self._provider.billed(exchange) is not None
        self._told_epoch = turn.context.get("epoch", self._told_epoch)

    def _follow(self, exchange: Exchange, turn: Turn) -> None:
        """Hold a request against the former one of a model of its kind."""
        kind = kind_of(exchange.model)
        sent = Sent.of(exchange.body)
        head = kind != "rebuilt"
        formers = self._former.get(kind, [])
        departures = [sent.departs_from(former.sent, head=head) for former in formers]
        departure = departures[0] if departures and all(departures) else ""
        have = thinking_in(exchange.body["messages"])
        if lost := [block for block in self._owed.get(kind, []) if block not in have]:
            departure = departure or f"thinking was left out: {lost}"
        self._is_frozen |= answers_in(exchange.body) > self._answers
        if departure and self._is_frozen and self._is_new(kind):
            self._begin_epoch(exchange, turn, departure)
        if exchange.is_accepted:
            self._former[kind] = [Former(sent, self.began)]
            self._owed[kind] = []
            self._owe(exchange)

    def _check_dropped(self, exchange: Exchange, turn: Turn, *, own: bool) -> None:
        """The provider drops nothing, but what the turn itself had thought before an epoch."""
        answers = [block for one in turn.exchanges for block in one.content] if own else []
        dropped = [block_at(exchange.body, entry["path"]) for entry in exchange.dropped]
        assert [block for block in dropped if block not in answers] == [], exchange.dropped

    def _is_new(self, kind: Kind) -> bool:
        """Whether no epoch has begun since the former request of this kind."""
        return all(former.epochs == self.began for former in self._former.get(kind, []))

    def _begin_epoch(self, exchange: Exchange, turn: Turn, departure: str) -> None:
        told = turn.context.get("epoch")
        is_told = told is not None and told != self._told_epoch
        assert is_told or turn.end["type"] == "error", f"without a new epoch: {departure}"
        self.began += 1
        self._answers, self._is_frozen = answers_in(exchange.body), False
        for blocks in self._owed.values():
            blocks.clear()
        if kind_of(exchange.model) == "checked":
            own = [block for one in turn.exchanges for block in one.content]
            old = [b for b in thinking_in(exchange.body["messages"]) if b not in own]
            assert not old, f"thinking from before the epoch: {old}"

    def _owe(self, exchange: Exchange) -> None:
        """The thinking of a whole answer must stand in the next request."""
        if kind_of(exchange.model) != "rebuilt" and self._provider.is_whole(exchange):
            self._is_frozen = True
            for blocks in self._owed.values():
                blocks.extend(thinking_in([{"content": [*exchange.content]}]))

    def _let_go(
        self, turn: Turn, owed: dict[Kind, list[Json]], former: dict[Kind, list[Former]]
    ) -> None:
        """What a turn that did not end well may take with it.

        A refused one may go as a whole. Behind a pause that nothing followed, the provider would
        not take a question: the answer goes that has it.
        """
        if not turn.exchanges:
            return
        last = turn.exchanges[-1]
        kind = kind_of(last.model)
        if turn.outcome == "refusal":
            self._owed = {kind: owed.get(kind, []) for kind in self._owed}
            before = former.get(kind, [])
            self._former[kind] = [*self._former.get(kind, []), *before] if before else []
        elif not self._provider.is_whole(last) or last.stop_reason == "pause_turn":
            paused = {block["id"] for one in turn.exchanges for block in _paused(one)}
            if paused:
                self._owed = {kind: [] for kind in self._owed}
            sent = self._former.get(kind, [])
            self._former[kind] = [*sent, *(_without_answer(one) for one in sent)]

    def _check_estimate(self, foreseen: Frame, exchange: Exchange) -> None:
        billed = self._provider.billed(exchange)
        if not self._estimates or billed is None or self._bills[exchange.model] < SURE:
            return
        estimate = tokens_in(foreseen)
        assert abs(estimate - billed) <= ERROR * billed, f"estimated {estimate}, billed {billed}"


def _paused(exchange: Exchange) -> list[Json]:
    return [block for block in exchange.content if block["type"] == "server_tool_use"]


def _without_answer(former: Former) -> Former:
    """The request without the answers at its end."""
    messages = former.sent.messages
    while messages and messages[-1].startswith(b'{"role":"assistant"'):
        messages = messages[:-1]
    return Former(former.sent._replace(messages=messages), former.epochs)
