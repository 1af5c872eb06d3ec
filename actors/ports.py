"""What actors need of the outside world, as protocols; `gateway` has the real things.

Expected failures are raised as `GatewayError`: each port maps its library's errors once, at the
border that knows the library.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, NoReturn, Protocol

import msgspec

from protocol.beginning import Begun
from protocol.errors import CloseCode
from protocol.prompt import Prompt
from protocol.provider.content import Block
from protocol.provider.events import ProviderEvent
from protocol.provider.model_info import ModelInfo
from protocol.records import (
    CalibrationRecord,
    Change,
    Entry,
    SessionRecord,
    StoredSession,
    TurnRecord,
    UsageTotals,
)
from protocol.server import GatewayStatusReport
from protocol.tools import LeftOutTool, OfferedTool, ToolAnswer
from protocol.usage import PLAIN_TERMS, Cost, Terms, TokenCounts

TakeEvents = Callable[[Sequence[ProviderEvent]], bool]
"""Takes a batch of events; whether that is enough."""


class ProviderEvents(Protocol):
    """The events of an answer; the provider calls the request `request_id`, if it says so."""

    @property
    def request_id(self) -> str | None: ...

    async def each(self, take: TakeEvents) -> bool:
        """Give the events to `take` in batches, as they come, until it says that it has enough.

        Whether it has; otherwise the answer is over. What came at once is one batch, none is empty.
        `take` may be called by another task, while this one waits, and must be done soon. What it
        raises is raised here.
        """
        ...


def nothing() -> None:
    """What is done by who has nothing to do."""


class Model(Protocol):
    """The provider. Every method raises ProviderError, or GatewayError(NO_API_KEY)."""

    async def list_models(self) -> list[ModelInfo]:
        """The models that the key may use."""
        ...

    async def describe(self, model: str) -> ModelInfo:
        """What `model` can do. Raises GatewayError(MODEL_NOT_FOUND)."""
        ...

    async def count_tokens(self, body: bytes, betas: Sequence[str] = ()) -> int:
        """The provider's own count of the input tokens of a request's JSON.

        `betas` names the unreleased features that it uses.
        """
        ...

    def stream(
        self, prompt: Prompt, on_its_way: Callable[[], None] = nothing
    ) -> AbstractAsyncContextManager[ProviderEvents]:
        """Send a request; entered once the provider has said yes.

        `on_its_way` is called when the request has left, or has to wait before it can: what is to
        be done meanwhile does not hold it up. It may be called twice. Leaving the context closes
        the connection upstream.
        """
        ...

    @property
    def open_streams(self) -> int:
        """How many streams are open upstream."""
        ...


class Tokenizer(Protocol):
    """Counts tokens; an estimate, not the provider's count."""

    async def count_many(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text."""
        ...


class MediaWeight(NamedTuple):
    """About the tokens of a picture or document; a picture's longer side in pixels, 0: unknown."""

    tokens: int
    edge: int = 0


class Media(Protocol):
    """What pictures and documents are to the provider."""

    async def weigh(self, model: str, blocks: Sequence[Block]) -> list[MediaWeight]:
        """What `model` makes of each `image` and `document`, beside its text."""
        ...

    async def refusals(self, blocks: Sequence[Block], most_attached: int) -> list[str | None]:
        """Why the provider would refuse each, for a person; `None` when it would not.

        A request takes `most_attached` of them, and as many pages of a document.
        """
        ...


class Prices(Protocol):
    """What tokens cost."""

    def price(self, model: str, tokens: TokenCounts, terms: Terms = PLAIN_TERMS) -> Cost | None:
        """USD for what `model` was billed; `None` when it has no known price.

        `estimated` when the terms are not known to change the price in this way.
        """
        ...


class Skill(msgspec.Struct, frozen=True):
    """A skill's front matter; its body is loaded on demand."""

    name: str
    description: str


class AgentFiles(msgspec.Struct, frozen=True):
    """What an agent's folder holds."""

    memory: str
    skills: tuple[Skill, ...]


class Tools(Protocol):
    """The tools that the gateway itself runs: an agent's skills, and those of MCP servers."""

    def offered(self, files: AgentFiles) -> list[OfferedTool]:
        """What the agent with these `files` may call now.

        The order changes only when the tools do.
        """
        ...

    def left_out(self) -> list[LeftOutTool]:
        """What no model is offered though a server has it, bounded."""
        ...

    def may_return(self, name: str) -> bool:
        """Whether a tool of this name belongs to a server that is down just now.

        Such a tool stays told to the model, which learns from a call that the server is down.
        """
        ...

    def absent(self, name: str) -> str:
        """Why no tool of this name can be called now, for the model."""
        ...

    async def call(self, agent_id: str, name: str, args: dict[str, Any]) -> ToolAnswer:
        """Run one tool. A failure is an answer with `is_error`; the caller sets the deadline."""
        ...


class Library(Protocol):
    """The agents' folders."""

    async def read(self, agent_id: str) -> AgentFiles:
        """The agent's memory and skills as they are on disk now; empty when there are none."""
        ...


class SessionStore(Protocol):
    """The durable half of the context actor. Raises LedgerUnavailable."""

    async def create_session(self, session: SessionRecord) -> None:
        """Insert an empty session."""
        ...

    async def begin_turn(self, change: Change, turn: TurnRecord, *, is_new: bool) -> Begun:
        """Write the question and the turn's open row, in one commit, if the turn may begin.

        Nothing is written unless the outcome is `begun`: see `protocol.beginning`. The change of a
        session that `is_new` makes it.
        """
        ...

    async def extend_turn(self, change: Change, turn: TurnRecord) -> bool:
        """Write what a running turn has gathered, and its row, in one commit.

        Whether it was written: not when the session is gone, or of another version.
        """
        ...

    async def settle_turn(self, change: Change, turn: TurnRecord) -> bool:
        """Write how a turn ended, in one commit, now or as soon as it can be written.

        The row is written in any case. Whether the change was: not when the session is gone, or of
        another version.
        """
        ...

    async def withdraw_turn(
        self, turn_id: str, before: SessionRecord, *, epoch: int | None, is_new: bool
    ) -> None:
        """Undo what `begin_turn` has written, now or as soon as it can be written.

        The session is as it was `before`, but for its version, with the head of that `epoch`; one
        that `is_new` is gone.
        """
        ...

    async def load_session(self, session_id: str) -> StoredSession | None:
        """The session as it goes upstream, or `None`."""
        ...

    async def list_sessions(self, limit: int, before: str | None) -> list[SessionRecord]:
        """Sessions by last activity, newest first, those after the session `before`."""
        ...

    async def page_entries(
        self, session_id: str, limit: int, before: int | None
    ) -> list[Entry] | None:
        """The newest `limit` entries that people are shown, before the place, oldest first.

        Those are all but the `system` and the `replaced` ones. `None`: there is no such session.
        """
        ...

    async def delete_session(self, session_id: str) -> bool:
        """Delete a session with its heads and entries; whether there was one."""
        ...

    async def load_calibration(self) -> list[CalibrationRecord]:
        """What was counted and what was billed for the latest requests, oldest first."""
        ...


class TurnStore(Protocol):
    """The durable half of the usage actor. Raises LedgerUnavailable."""

    async def close_turn(self, turn: TurnRecord) -> None:
        """Write the outcome of a turn that a dead process left open."""
        ...

    async def load_turn(self, session_id: str, turn_id: str) -> TurnRecord | None:
        """The session's turn, or `None`."""
        ...

    async def note_turn(self, turn: TurnRecord) -> None:
        """Update the row if it is still open."""
        ...

    async def load_open_turns(self) -> list[TurnRecord]:
        """The rows that are not settled."""
        ...

    async def total_usage(
        self, session_id: str | None, since: int | None, until: int | None
    ) -> UsageTotals:
        """Sums of the settled rows, by model, and those that are of several models."""
        ...


class Clock(Protocol):
    """The time of day."""

    def now(self) -> int:
        """Milliseconds since the epoch, UTC."""
        ...


class Names(Protocol):
    """New ids."""

    def new(self, kind: str) -> str:
        """An id that is used nowhere else and cannot be guessed, such as `turn_…`."""
        ...


class Socket(Protocol):
    """One client's WebSocket."""

    async def listen(self, take: Callable[[str | bytes], Awaitable[None]]) -> NoReturn:
        """Hand over each message, one after the other, until the client goes. Raises SocketClosed.

        What `take` raises leaves as it is.
        """
        ...

    @property
    def is_behind(self) -> bool:
        """Whether something that was written has not left yet."""
        ...

    def write(self, payload: bytes) -> bool:
        """Send a message as far as that goes without waiting; the rest is next in line.

        Whether nothing is left of it. Raises SocketClosed, and has written nothing then.
        """
        ...

    async def flush(self) -> None:
        """Wait until all that was written has left; a cancel loses nothing of it.

        Raises SocketClosed.
        """
        ...

    async def ping(self) -> None:
        """Ping and wait for the pong. Raises SocketClosed."""
        ...


class SocketClosed(Exception):
    """The client is gone, or is to be sent away with `code`."""

    def __init__(self, code: CloseCode = CloseCode.NORMAL, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Census(Protocol):
    """Who knows the gateway's figures."""

    def report(self, request_id: str) -> GatewayStatusReport:
        """The figures, read from the state now."""
        ...
