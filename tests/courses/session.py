"""A session of a gateway: what is said in it, and what must have been told and offered in it.

`Session.ask` sends a message, answers the calls of the client's tools, and has the turn checked
(`tests/courses/watch.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import count
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from tests.courses.bodies import kind_of, offered_names, text_in, told_last
from tests.courses.history import check_history
from tests.courses.inspection import offered_in
from tests.courses.provider import prose
from tests.courses.stage import Stage
from tests.courses.turn import Turn
from tests.courses.watch import Watch
from tests.support import SECONDS, TERMINAL, Frame

TIDE_TURNS = "The tide turns at noon, and again before midnight."
CHANGING = frozenset({"system", "tools", "serverTools"})
"""Fields of a message that an inspection cannot foresee."""


class Session:
    """One session of a stage's gateway, which is watched."""

    def __init__(self, stage: Stage, session_id: str, *, estimates: bool = True) -> None:
        self.stage = stage
        self.id = session_id
        self.turns: list[Turn] = []
        self.system: str | None = None
        """What the client has given as its system prompt."""
        self._watch = Watch(stage.provider, estimates=estimates)
        self._questions = count(1)

    @property
    def began(self) -> int:
        """How many epochs began since it was made."""
        return self._watch.began

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
        self._watch.check(turn, ("cancelled",) if cut else ends)
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
