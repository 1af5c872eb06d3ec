"""A context actor that answers as it is told, and keeps what it was asked."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
import trio

from actors.mailbox import Mailbox
from actors.serving import serve
from protocol.context import SectionWeight
from protocol.errors import GatewayError
from protocol.mail import (
    BeginTurn,
    CompleteTurn,
    ContextBuilt,
    ContextMail,
    Done,
    ExtendContext,
    KeepAnswer,
    LeaveOutTool,
    RenewContext,
    WithdrawTurn,
)
from protocol.prompt import Prompt
from protocol.records import Attached
from tests.actors.fakes import MODEL, World, running
from tests.prompts import prompt_of

R = TypeVar("R")

PROMPT = prompt_of(
    b"",
    has_tools=True,
    counted_tokens=100,
    own_from=4,
    token_estimate=180,
    likely_cost=Decimal("0.001"),
)
WEIGHT = SectionWeight(
    name="history", byte_count=400, token_estimate=180, cost_estimate=Decimal("0.001")
)


class FakeContext:
    """Requests have their number as their body; a script says what else is in them."""

    def __init__(self, box: Mailbox[ContextMail]) -> None:
        self._box = box
        self.asked: list[ContextMail] = []
        self.prompts: deque[dict[str, Any]] = deque()
        """Fields of the next requests."""
        self.built: dict[str, Any] = {}
        """Fields of what is built."""
        self.failing: dict[type, GatewayError] = {}
        self.slow: dict[type, float] = {}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until the mailbox is closed."""
        task_status.started()
        await serve(self._box, self._respond, at_once=64)

    def of(self, kind: type[R]) -> list[R]:
        """What was asked of this kind."""
        return [one for one in self.asked if isinstance(one, kind)]

    @property
    def completed(self) -> CompleteTurn:
        """How the only turn was completed."""
        (completed,) = self.of(CompleteTurn)
        return completed

    async def _respond(self, message: ContextMail) -> msgspec.Struct:
        self.asked.append(message)
        await trio.sleep(self.slow.get(type(message), 0))
        if type(message) in self.failing:
            raise self.failing[type(message)]
        match message:
            case BeginTurn():
                return self._build()
            case ExtendContext() | RenewContext():
                return self._prompt()
            case WithdrawTurn() | KeepAnswer() | LeaveOutTool() | CompleteTurn():
                return Done()
        raise TypeError(type(message).__name__)

    def _prompt(self) -> Prompt:
        body = str(len(self.asked)).encode()
        fields = self.prompts.popleft() if self.prompts else {}
        return msgspec.structs.replace(PROMPT, **{"body": body, **fields})

    def _build(self) -> ContextBuilt:
        fields: dict[str, Any] = {
            "session_id": "s",
            "session_key": "agent:main:s",
            "agent_id": "main",
            "model": MODEL,
            "is_new": True,
            "prompt": self._prompt(),
            "cost_estimate": Decimal("0.002"),
            "weights": (WEIGHT,),
            "ratio": 1.0,
            "capped": False,
            "attached": Attached(),
            "most_attached": 100,
            "room": 1_000,
        }
        return ContextBuilt(**{**fields, **self.built})


class TurnWorld(World):
    """A world whose context actor is a fake."""

    context: FakeContext  # type: ignore[assignment]

    def _make_context(self) -> FakeContext:  # type: ignore[override]
        return FakeContext(self.context_box)


@asynccontextmanager
async def open_turn_world(**changes: Any) -> AsyncIterator[TurnWorld]:
    """Such a world that runs; `changes` are settings."""
    world = TurnWorld(**changes)
    async with running(world):
        yield world
