"""A session that is watched: each request is held against what was said, sent and shown before.

`Session.ask` sends a message, answers the calls of the client's tools, and checks of each request
that the turn made of the provider:

- it begins with the former one, to the byte, unless the turn's end tells of a new epoch;
- it has every thinking block that the model has made since the epoch began;
- the provider has refused and dropped nothing of it, unless a course had arranged that;
- the first one is what an inspection had shown, and weighs what that had estimated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import count
from typing import Any, NamedTuple

import trio
from trio.testing import wait_all_tasks_blocked

from tests.courses.bodies import (
    Json,
    Kind,
    Sent,
    answers_in,
    block_at,
    kind_of,
    offered_names,
    text_in,
    thinking_in,
    told_last,
)
from tests.courses.history import check_history
from tests.courses.inspection import check_inspected, offered_in, tokens_in
from tests.courses.provider import Exchange, prose
from tests.courses.stage import Stage
from tests.support import SECONDS, TERMINAL, Frame

TIDE_TURNS = "The tide turns at noon, and again before midnight."
CHANGING = frozenset({"system", "tools", "serverTools"})
"""Fields of a message that an inspection cannot foresee."""
SURE = 2
"""Bills of a model from which an estimate has been learned."""
ERROR = 0.05


class Turn(NamedTuple):
    """A turn: what the client heard, what the provider was asked, what was shown before."""

    frames: list[Frame]
    exchanges: list[Exchange]
    foreseen: Frame | None

    @property
    def end(self) -> Frame:
        """The terminal frame."""
        return self.frames[-1]

    @property
    def outcome(self) -> str:
        """Why it ended: a stop reason or an error's code."""
        return str(self.end.get("stopReason") or self.end["code"])

    @property
    def context(self) -> Frame:
        """What is told of the context at the end."""
        told: Frame = self.end.get("context", {})
        return told

    @property
    def body(self) -> Json:
        """The first request."""
        return self.exchanges[0].body

    @property
    def last_body(self) -> Json:
        """The last request."""
        return self.exchanges[-1].body

    def heard(self, kind: str) -> list[Frame]:
        """The frames of one type."""
        return [frame for frame in self.frames if frame["type"] == kind]


class Former(NamedTuple):
    """An accepted request, and how many epochs there had been."""

    sent: Sent
    epochs: int


class Session:
    """One session of a stage's gateway; `began` are epochs that began since it was made.

    With `estimates` they are held against the bills.
    """

    def __init__(self, stage: Stage, session_id: str, *, estimates: bool = True) -> None:
        self.stage = stage
        self._estimates = estimates
        self.id = session_id
        self.turns: list[Turn] = []
        self.began = 0
        self.system: str | None = None
        """What the client has given as its system prompt."""
        self._former: dict[Kind, list[Former]] = {}
        self._owed: dict[Kind, list[Json]] = {"checked": [], "appended": []}
        self._told_epoch: int | None = None
        self._answers = 0
        """How many there were when the epoch began."""
        self._is_frozen = False
        """Whether there are more by now: until then the epoch's head may change."""
        self._bills: Counter[str] = Counter()
        self._questions = count(1)

    @property
    def last(self) -> Turn:
        """The latest turn."""
        return self.turns[-1]

    def text(self, subject: str, sentences: int = 4) -> str:
        """A text that was never said before."""
        return f"{subject}: {prose(next(self._questions), sentences)}"

    async def ask(
        self,
        content: Any = None,
        *,
        ends: Collection[str] = ("end_turn",),
        cut: Collection[str] = (),
        output: str = TIDE_TURNS,
        **fields: Any,
    ) -> Turn:
        """Send a message and check its turn; with `cut`, cancel it when such a frame is heard.

        `output` is what the client's tools answer.
        """
        content = self.text("Question") if content is None else content
        foreseen = None
        if not CHANGING & fields.keys():
            foreseen = await self.inspect(content, **_only(fields, "model"))
        provider = self.stage.provider
        seen = len(provider.exchanges)
        frames = await self._converse(content, cut, output, fields)
        self.system = fields.get("system", self.system)
        await provider.simulator.wait_idle()
        provider.arrange()
        turn = Turn(frames, provider.exchanges[seen:], foreseen)
        self.turns.append(turn)
        self._check(turn, ("cancelled",) if cut else ends)
        return turn

    async def inspect(self, content: Any, **fields: Any) -> Frame:
        """What the next request would weigh."""
        found = await self.stage.talk.ask(
            "context.inspect", sessionId=self.id, content=content, **fields
        )
        assert found["type"] == "context.inspection", found
        return found

    async def sees(self, *tools: str, gone: Sequence[str] = ()) -> None:
        """Wait until these tools are on offer, and those that are `gone` are not."""
        with trio.fail_after(SECONDS):
            while True:
                offered = offered_in(await self.inspect("Which tools?"))
                if offered >= set(tools) and not offered & set(gone):
                    return
                await trio.sleep(0.02)

    async def finish(self) -> None:
        """Two more plain messages are answered, and the history says what the model has got."""
        for _ in range(2):
            await self.ask()
        await check_history(self.stage.talk, self.id, self.last.last_body, self.last.context)

    async def _converse(
        self, content: Any, cut: Collection[str], output: str, fields: dict[str, Any]
    ) -> list[Frame]:
        talk = self.stage.talk
        request_id = await talk.say(
            "chat.send", id=next(self.stage.ids), sessionId=self.id, content=content, **fields
        )
        frames = [await talk.hear()]
        while frames[-1]["type"] not in TERMINAL:
            heard = frames[-1]
            assert heard["requestId"] == request_id, heard
            if heard["type"] in cut:
                cut = ()
                await wait_all_tasks_blocked(0.02)
                await talk.say("chat.cancel", requestId=request_id)
            elif heard["type"] == "tool.call" and heard.get("clientSide"):
                call = heard["toolCallId"]
                await talk.say("tool.output", toolCallId=call, content=output)
            frames.append(await talk.hear())
        return frames

    # --- what must hold of a turn --------------------------------------------------------------

    def _check(self, turn: Turn, ends: Collection[str]) -> None:
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
            self._bills[exchange.model] += self.stage.provider.billed(exchange) is not None
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
        if kind_of(exchange.model) != "rebuilt" and self.stage.provider.is_whole(exchange):
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
        elif not self.stage.provider.is_whole(last) or last.stop_reason == "pause_turn":
            paused = {block["id"] for one in turn.exchanges for block in _paused(one)}
            if paused:
                self._owed = {kind: [] for kind in self._owed}
            sent = self._former.get(kind, [])
            self._former[kind] = [*sent, *(_without_answer(one) for one in sent)]

    def _check_estimate(self, foreseen: Frame, exchange: Exchange) -> None:
        billed = self.stage.provider.billed(exchange)
        if not self._estimates or billed is None or self._bills[exchange.model] < SURE:
            return
        estimate = tokens_in(foreseen)
        assert abs(estimate - billed) <= ERROR * billed, f"estimated {estimate}, billed {billed}"

    # --- what was told and offered -------------------------------------------------------------

    def check_told(self, *texts: str, gone: Sequence[str] = ()) -> None:
        """The latest turn's request told these texts anew, and none of those that are `gone`.

        They stand in the system message behind the question, which is the last message. Only in a
        new epoch, and for models that take no such message, the head has them.
        """
        body = self.last.body
        said = text_in(told_last(body))
        if not said and (self.is_anew or kind_of(body["model"]) == "rebuilt"):
            said = text_in(body.get("system") or [])
        else:
            assert body["messages"][-1]["role"] == "system", body["messages"][-1]
        for text in texts:
            assert text in said, f"not told: {text!r}; told: {said!r}"
        for text in gone:
            assert text not in said, f"told again: {text!r}"
        assert said, "nothing was told"

    @property
    def is_anew(self) -> bool:
        """Whether the latest turn began an epoch."""
        return "epoch" in self.last.context

    def check_nothing_told(self) -> None:
        """The latest turn's request told nothing new."""
        assert told_last(self.last.body) == [], told_last(self.last.body)

    def check_offers(self, *names: str, gone: Sequence[str] = ()) -> None:
        """The model could call these tools at the end of the latest request, and none `gone`."""
        offered = offered_names(self.last.last_body)
        assert offered >= set(names), f"offered: {offered}"
        assert not offered & set(gone), f"offered: {offered}"


def _only(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: fields[name] for name in names if name in fields}


def _paused(exchange: Exchange) -> list[Json]:
    return [block for block in exchange.content if block["type"] == "server_tool_use"]


def _without_answer(former: Former) -> Former:
    """The request without the answers at its end."""
    messages = former.sent.messages
    while messages and messages[-1].startswith(b'{"role":"assistant"'):
        messages = messages[:-1]
    return Former(former.sent._replace(messages=messages), former.epochs)
