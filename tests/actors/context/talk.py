"""A conversation with the context actor, as turns hold it; the provider is left out."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from actors.context.sessions import Held
from gateway.simulator.validation import check_body
from protocol.client import ChatSend, ContextInspect, ToolDeclaration
from protocol.mail import (
    BeginTurn,
    CompleteTurn,
    ContextBuilt,
    Done,
    ExtendContext,
    NewMessage,
    RenewContext,
    WithdrawTurn,
)
from protocol.prompt import Prompt
from protocol.provider.content import Block
from protocol.records import Entry, Head, SessionRecord, StepRecord, TurnRecord
from protocol.server import ContextInspection
from protocol.usage import TokenCounts
from tests.actors.fakes import World
from tests.protocol.entries import THOUGHT, text


def answer(*blocks: Block, **fields: Any) -> NewMessage:
    """What the model said."""
    return NewMessage(role="assistant", content=msgspec.json.encode(blocks), **fields)


def results(*blocks: Block) -> NewMessage:
    """What tools answered."""
    return NewMessage(role="user", content=msgspec.json.encode(blocks))


def declared(name: str, description: str = "Now.") -> ToolDeclaration:
    """A tool of the client's."""
    return ToolDeclaration(name, description, {"type": "object"})


THOUGHTFUL = answer(THOUGHT, text("So."))
"""An answer with a thought in it."""

SO = ["...", "So."]
"""How a talk shows it."""


class Talk:
    """One session and its turns, one after the other. Every request must be one to be accepted."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.session_id: str | None = None
        self.built: ContextBuilt | None = None
        self.prompts: list[Prompt] = []
        """All requests that were made."""
        self._turn_id = ""
        self._steps: list[StepRecord] = []
        self._confirmed = 0

    # --- what a turn asks ----------------------------------------------------------------------

    async def begin(
        self, content: Any = "?", *, request_id: str | None = None, **fields: Any
    ) -> ContextBuilt:
        """A turn begins; its first request."""
        self._turn_id = turn_id = self.world.names.new("turn")
        self._request_id = request_id or turn_id
        send = ChatSend(id=self._request_id, content=content, session_id=self.session_id, **fields)
        request = BeginTurn(turn_id=turn_id, send=send, created_at=1)
        self.built = built = await self.world.context_box.ask(request)
        self.session_id = built.session_id
        self._steps, self._confirmed = [], 0
        self._take(built.prompt)
        return built

    async def withdraw(self) -> Done:
        """Whoever asked for the latest turn to begin waits no longer."""
        request = WithdrawTurn(turn_id=self._turn_id)
        return await self.world.context_box.ask(request)

    async def extend(
        self, *messages: NewMessage, billed: int | None = None, confirms: bool = True
    ) -> Prompt:
        """The turn goes on; its former request was `billed` so many tokens, if it was.

        Unless it `confirms`, the turn does not know that it was heard.
        """
        self._bill(billed)
        request = ExtendContext(turn=self.row, at=self._confirmed, messages=[*messages])
        prompt = self._take(await self.world.context_box.ask(request))
        if confirms:
            self._confirmed += len(messages)
        return prompt

    async def renew(self, **how: Any) -> Prompt:
        """The provider did not take the latest request."""
        request = RenewContext(turn=self.row, **how)
        return self._take(await self.world.context_box.ask(request))

    async def end(self, *messages: NewMessage, billed: int | None = None, **fields: Any) -> Done:
        """The turn is completed."""
        self._bill(billed)
        row = msgspec.structs.replace(self.row, status="completed", settled_at=2)
        request = CompleteTurn(turn=row, at=self._confirmed, messages=[*messages], **fields)
        return await self.world.context_box.ask(request)

    async def turn(self, content: Any = "?", *messages: NewMessage, **fields: Any) -> Prompt:
        """A whole turn, with a thoughtful answer unless another is given; its request."""
        built = await self.begin(content, **fields)
        await self.end(*(messages or (THOUGHTFUL,)))
        return built.prompt

    @property
    def row(self) -> TurnRecord:
        """The turn's open row."""
        assert self.built is not None
        return TurnRecord(
            turn_id=self._turn_id,
            session_id=self.built.session_id,
            request_id=self._request_id,
            model=self.built.model,
            status="open",
            created_at=1,
            steps=tuple(self._steps),
        )

    def _bill(self, tokens: int | None) -> None:
        if tokens is None:
            return
        prompt = self.prompts[-1]
        self._steps.append(
            StepRecord(
                counts=TokenCounts(uncached=tokens, output=1),
                stop_reason="end_turn",
                estimated=False,
                counted_tokens=prompt.counted_tokens,
                media_tokens=prompt.media_tokens,
                has_tools=prompt.has_tools,
            )
        )

    def _take(self, prompt: Prompt) -> Prompt:
        check_body(json.loads(prompt.body), frozenset(prompt.betas))
        self.prompts.append(prompt)
        return prompt

    # --- what there is -------------------------------------------------------------------------

    @property
    def body(self) -> dict[str, Any]:
        """The latest request."""
        body: dict[str, Any] = json.loads(self.prompts[-1].body)
        return body

    @property
    def messages(self) -> list[tuple[str, Any]]:
        """Its messages, one text as such, thinking as `...`."""
        return [(one["role"], _short(one["content"])) for one in self.body["messages"]]

    @property
    def goes_on(self) -> bool:
        """Whether it begins with the request before it, to the byte."""
        former, latest = self.prompts[-2:]
        return latest.body.startswith(former.body[:-2])

    @property
    def stored(self) -> SessionRecord:
        """The session as it is stored."""
        assert self.session_id is not None
        return self.world.store.sessions[self.session_id]

    @property
    def heads(self) -> list[Head]:
        """The session's heads, epoch by epoch."""
        return [*self.world.store.heads[self.stored.session_id].values()]

    @property
    def entries(self) -> list[Entry]:
        """The session's entries, also those that are not sent."""
        return self.world.store.entries[self.stored.session_id]

    def held(self) -> Held:
        """The session in memory."""
        return self.world.context._writes._parts.sessions._held[self.stored.session_id]

    @property
    def statuses(self) -> list[tuple[str, str]]:
        """Whose each entry is, and whether it is sent."""
        return [(one.role, one.status) for one in self.entries]

    async def inspect(self, **fields: Any) -> ContextInspection:
        """What would be sent next."""
        request = ContextInspect(id="i", session_id=self.stored.session_id, **fields)
        return await self.world.context_box.ask(request)

    async def is_as_stored(self) -> bool:
        """Whether the session in memory is what it would be if it were loaded."""
        held, loaded = self.held(), Held()
        stored = await self.world.store.load_session(self.stored.session_id)
        assert stored is not None
        loaded.load(stored)
        return facts(held) == facts(loaded)


def facts(held: Held) -> dict[str, Any]:
    """All that a session in memory is, but for what was billed and what is rendered."""
    assert held.session is not None
    kept = ("head", "entries", "next_place", "size", "is_frozen")
    session = msgspec.structs.replace(held.session, message_count=0)  # the store alone counts
    return {"session": session, **{name: getattr(held, name) for name in kept}, **vars(held.told)}


def _short(content: list[Block]) -> Any:
    match content:
        case [{"type": "text", "text": said}]:
            return said
    return [
        {"thinking": "...", "text": block.get("text")}.get(block["type"], block)
        for block in content
    ]
