"""The provider of a course: what it is asked, what it answers, and all that passed between.

Every answer begins with a thought of its own, unless something else has been arranged.
"""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import NamedTuple

import msgspec

from gateway.simulator import (
    Received,
    Reply,
    ReplyText,
    ReplyThinking,
    Simulator,
    ToolUse,
    find_model,
)
from gateway.simulator.request import thinking_type
from gateway.simulator.server_tools import is_result
from gateway.simulator.service import Generated, HttpAnswer, Whole
from gateway.simulator.transcript import last_said, results_first
from tests.courses.bodies import Json
from tests.courses.inspection import input_of

SENTENCES = (
    "The harbour lies in the north, and the wind comes from the west on most days. ",
    "A ship that is late must wait for the next tide, which nobody can hasten. ",
    "The keeper of the light writes down every sail that he sees in the morning. ",
    "What was said yesterday is still true, and what is new stands at the end. ",
    "Boats with a red hull belong to the pilots, who know each stone of the bay. ",
)
MISMATCH = "prefix_binding_mismatch"


def prose(number: int, sentences: int) -> str:
    """English that is no other: so many sentences."""
    lines = [SENTENCES[(number + at) % len(SENTENCES)] for at in range(sentences)]
    return f"Note {number}. " + "".join(lines).strip()


class Exchange(NamedTuple):
    """One request and its answer; `scripted` is what a course had arranged for it."""

    request: Received
    answer: HttpAnswer
    scripted: Reply | None

    @property
    def body(self) -> Json:
        """The request's body."""
        body: Json = self.request.body
        return body

    @property
    def model(self) -> str:
        """The model that was asked."""
        return str(self.body["model"])

    @property
    def is_accepted(self) -> bool:
        """Whether the provider has begun to answer."""
        return isinstance(self.answer, Generated)

    @property
    def refusal(self) -> str | None:
        """The words in which the request was refused without anybody having arranged that."""
        arranged = self.scripted is not None and self.scripted.failure is not None
        if arranged or not isinstance(self.answer, Whole):
            return None
        return self.answer.body.decode()

    @property
    def content(self) -> tuple[Json, ...]:
        """The blocks of the answer, as far as it goes."""
        return self.answer.draft.content if isinstance(self.answer, Generated) else ()

    @property
    def stop_reason(self) -> str:
        """Why the answer ends, if it does."""
        return self.answer.draft.stop_reason if isinstance(self.answer, Generated) else ""

    @property
    def is_told_of_drops(self) -> bool:
        """Whether the answer begins with news of thinking that does not fit, arranged or not."""
        told = self.answer.draft.transformations if isinstance(self.answer, Generated) else ()
        return any(one["reason"] == MISMATCH for one in told or ())

    @property
    def dropped(self) -> list[Json]:
        """The thinking of the request that did not fit, though nobody had arranged that."""
        if not isinstance(self.answer, Generated):
            return []
        if self.scripted is not None and self.scripted.input_transformations is not None:
            return []
        done = self.answer.draft.transformations or ()
        return [one for one in done if one["reason"] == MISMATCH]


class Provider:
    """A simulator that remembers what passed, and answers what it was told to, then prose."""

    def __init__(self, simulator: Simulator, *, sentences: int = 6) -> None:
        self.simulator = simulator
        self.exchanges: list[Exchange] = []
        self.sentences = sentences
        self._arranged: deque[Reply] = deque()
        self._used: Reply | None = None
        self._numbers = count(1)
        self._record()
        simulator.script(self._reply)

    def arrange(self, *replies: Reply) -> None:
        """What the next requests get, in this order, in the place of what was arranged before."""
        self._arranged = deque(replies)

    @property
    def accepted(self) -> list[Exchange]:
        """The requests that the provider has begun to answer."""
        return [one for one in self.exchanges if one.is_accepted]

    def billed(self, exchange: Exchange) -> int | None:
        """The input tokens of a request's bill; None without one, or with one of many passes."""
        if any(_is_served(block) for block in exchange.content):
            return None
        bills = self.simulator.billed
        of_it = [bill for bill in bills if bill.request_id == exchange.request.request_id]
        return input_of(of_it[0].usage) if of_it else None

    def is_whole(self, exchange: Exchange) -> bool:
        """Whether all of an answer was sent."""
        outcomes = {bill.request_id: bill.outcome for bill in self.simulator.billed}
        return outcomes.get(exchange.request.request_id) == "completed"

    def prose(self) -> str:
        """A text that was never said before."""
        return prose(next(self._numbers), self.sentences)

    def _record(self) -> None:
        service = self.simulator._service
        plain = service.answer

        def answer(request: Received) -> HttpAnswer:
            self._used = None
            made = plain(request)
            if request.path == "/v1/messages":
                self.exchanges.append(Exchange(request, made, self._used))
            return made

        service.answer = answer  # type: ignore[method-assign]

    def _reply(self, body: Json) -> Reply:
        if self._arranged:
            self._used = fitting(self._arranged.popleft(), body)
            return self._used
        thought = ReplyThinking(f"Thought of {self.prose()}")
        return fitting(Reply(blocks=(thought, ReplyText(self.prose()))), body)


def fitting(reply: Reply, body: Json) -> Reply:
    """The reply without the thoughts that the request does not allow."""
    calls = any(isinstance(block, ToolUse) for block in reply.blocks)
    if may_think(body, calls=calls):
        return reply
    spoken = tuple(block for block in reply.blocks if not isinstance(block, ReplyThinking))
    return msgspec.structs.replace(reply, blocks=spoken)


def may_think(body: Json, *, calls: bool) -> bool:
    """Whether an answer may have thoughts; with a budget, only the first one of a turn may."""
    model = find_model(body["model"])
    assert model is not None
    match thinking_type(body, model):
        case "adaptive":
            return True
        case "enabled":
            return not results_first(last_said(body["messages"]))
        case "between_tools":
            return calls
    return False


def _is_served(block: Json) -> bool:
    return block["type"] == "server_tool_use" or is_result(block)
