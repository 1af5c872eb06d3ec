"""One turn, as its client hears it: whole and once, over as many connections as it takes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final, Literal, TypeAlias, get_args

import anyio
import msgspec

from agentspace.client.backoff import TOO_LARGE
from agentspace.client.connection import Connection
from agentspace.client.errors import AgentSpaceError, ConnectionLost, GatewayError
from agentspace.client.ids import new_id
from agentspace.client.inbox import Heard, Inbox, UnknownMessage
from agentspace.client.link import Link
from agentspace.client.progress import Progress
from agentspace.messages import (
    ChatSend,
    ChatStreamDelta,
    ChatStreamEnd,
    ChatStreamNotice,
    ChatStreamReasoning,
    ChatStreamSource,
    ChatStreamStart,
    DocumentBlock,
    ErrorMessage,
    FromClient,
    ImageBlock,
    TextBlock,
    ToolApprovalRequest,
    ToolApprovalResponse,
    ToolCall,
    ToolError,
    ToolOutput,
    ToolResult,
)

DRAINING: Final = "DRAINING"
LEAVE_SECONDS: Final = 2.0
"""How long a turn that was left before its end gets to be cancelled."""

OnLeave: TypeAlias = Literal["cancel", "detach"]
"""What becomes of a turn that is left before its end."""

Content: TypeAlias = str | list[TextBlock | ImageBlock | DocumentBlock]


class Interrupted(msgspec.Struct, frozen=True):
    """The connection is lost, and is being made again; nothing of the turn is."""

    reason: str


class Resumed(msgspec.Struct, frozen=True):
    """The turn goes on, over a new connection."""


class AnswerRefused(msgspec.Struct, frozen=True):
    """What was said about a tool call came too late, or was about none."""

    tool_call_id: str
    message: str


TurnEvent: TypeAlias = (
    ChatStreamStart
    | ChatStreamDelta
    | ChatStreamReasoning
    | ChatStreamSource
    | ChatStreamNotice
    | ToolCall
    | ToolResult
    | ToolError
    | ToolApprovalRequest
    | ChatStreamEnd
    | Interrupted
    | Resumed
    | AnswerRefused
    | UnknownMessage
)
"""What a turn says. A gateway that is newer than this client may say an `UnknownMessage`."""


class Turn:
    """An async iterator of the turn's events; the last is a `ChatStreamEnd`.

    `start` and `end` are those events once they have been heard. A turn that fails raises
    GatewayError instead of its end, and ConnectionLost when the gateway stays away.
    """

    def __init__(
        self, link: Link, question: ChatSend, patience_seconds: float, on_leave: OnLeave
    ) -> None:
        self.session_id = question.session_id or ""
        self.start: ChatStreamStart | None = None
        self.end: ChatStreamEnd | None = None
        self._link = link
        self._patience_seconds = patience_seconds
        self._on_leave = on_leave
        self._progress = Progress(question)
        self._texts: list[str] = []
        self._reasonings: list[str] = []
        self._connection: Connection | None = None
        self._inbox = Inbox()
        self._lost_at: float | None = None
        self._is_over = False
        self._is_cancelled = False
        self._said: dict[str, ToolApprovalResponse | ToolOutput] = {}
        self._repeated: set[str] = set()

    @property
    def text(self) -> str:
        """The answer's text, so far."""
        return "".join(self._texts)

    @property
    def reasoning(self) -> str:
        """The model's reasoning, so far."""
        return "".join(self._reasonings)

    @property
    def turn_id(self) -> str | None:
        """The turn's id, once it has started."""
        return self._progress.turn_id

    def __aiter__(self) -> AsyncIterator[TurnEvent]:
        return self

    async def __anext__(self) -> TurnEvent:
        """The next event. A cancelled wait loses none."""
        while not self._is_over:
            if self._connection is None:
                await self.attach()
                return Resumed()
            try:
                message = await self._inbox.get()
            except ConnectionLost as lost:
                return self._interrupted(lost)
            if (event := self._understood(message)) is not None:
                return event
        raise StopAsyncIteration

    async def finish(self) -> ChatStreamEnd:
        """Hear the rest; the turn's end. Raises GatewayError and ConnectionLost."""
        async for _ in self:
            pass
        if self.end is None:
            raise ConnectionLost("the turn was left before its end")
        return self.end

    async def approve(self, request: ToolApprovalRequest, *, for_session: bool = False) -> None:
        """Let the tool run: this once, or from now on in this session."""
        await self._say(
            ToolApprovalResponse(
                id=new_id(),
                tool_call_id=request.tool_call_id,
                approved=True,
                session_approve=for_session,
            )
        )

    async def deny(self, request: ToolApprovalRequest) -> None:
        """Do not let the tool run; the model is told."""
        await self._say(
            ToolApprovalResponse(id=new_id(), tool_call_id=request.tool_call_id, approved=False)
        )

    async def give(self, call: ToolCall, content: Content, *, is_error: bool = False) -> None:
        """What a tool of this client answered. Raises MessageTooLarge."""
        await self._say(
            ToolOutput(
                id=new_id(), tool_call_id=call.tool_call_id, content=content, is_error=is_error
            )
        )

    async def cancel(self) -> None:
        """Ask the gateway to stop the turn; its end tells that it did."""
        self._is_cancelled = True
        await self._tell(self._progress.cancellation())

    async def attach(self) -> None:
        """Ask for what is missing, over a connection that is there.

        Raises ConnectionLost when there is none in time, and MessageTooLarge.
        """
        try:
            while not await self._attached():
                self._lost_at = self._lost_at or anyio.current_time()
        except AgentSpaceError:
            self._is_over = True
            raise

    async def _attached(self) -> bool:
        connection = await self._link.connection(self._patience())
        try:
            await connection.room()
        except ConnectionLost:
            return False
        self._connection, self._inbox = connection, Inbox()
        self._post(self._progress.request())
        for message in self._said.values():
            self._repeated.add(message.id)
            self._post(message)
        if self._is_cancelled:
            self._post(self._progress.cancellation())
        return True

    async def leave(self) -> None:
        """Hear no more of the turn; the connection is free for the next one then.

        One that goes on by itself is let go with its connection.
        """
        connection = self._connection
        if connection is None:
            return
        with anyio.move_on_after(LEAVE_SECONDS), suppress(AgentSpaceError):
            if self._on_leave == "cancel" and not self._is_over and connection.lost is None:
                await self.cancel()
                await self.finish()
        if not self._is_over:
            connection.drop("a turn was left before its end")
        self._is_over = True
        connection.leave(self._inbox)

    async def _say(self, message: ToolApprovalResponse | ToolOutput) -> None:
        """Say it now, and again over each new connection until the tool has its result."""
        self._link.check(message)
        self._said[message.tool_call_id] = message
        await self._tell(message)

    async def _tell(self, message: FromClient) -> None:
        """Say it now if there is a connection; the next one makes up for it."""
        if (connection := self._connection) is None:
            return
        with suppress(ConnectionLost):
            await connection.room()
            if self._connection is connection:
                self._post(message)

    def _post(self, message: FromClient) -> None:
        assert self._connection is not None
        frame = self._connection.encode(message)
        self._connection.follow(message.id, self._inbox)
        self._connection.post(frame)

    def _patience(self) -> float:
        """Seconds that the gateway may still stay away."""
        if self._lost_at is None:
            return self._patience_seconds
        return max(0.0, self._lost_at + self._patience_seconds - anyio.current_time())

    def _interrupted(self, lost: ConnectionLost) -> Interrupted:
        """Begin to ask for the rest. Raises ConnectionLost when that would be useless."""
        self._connection = None
        self._lost_at = self._lost_at or anyio.current_time()
        if lost.code == TOO_LARGE or self._patience() <= 0:
            self._is_over = True
            raise lost
        return Interrupted(str(lost))

    def _understood(self, message: Heard) -> TurnEvent | None:
        if not self._progress.is_about(message):
            return self._refused(message)
        if not self._progress.is_news(message):
            return None
        if isinstance(message, ErrorMessage):
            return self._failed(message)
        self._lost_at = None
        self._keep(message)
        return message if isinstance(message, _EVENTS) else None

    def _failed(self, error: ErrorMessage) -> Interrupted:
        if error.code != DRAINING:
            self._is_over = True
            raise GatewayError(error)
        # It takes nothing new before it stops; its successor does.
        assert self._connection is not None
        self._connection.drop("the gateway is about to stop")
        return self._interrupted(ConnectionLost("the gateway is about to stop"))

    def _keep(self, message: Heard) -> None:
        match message:
            case ChatStreamStart():
                self.start = message
            case ChatStreamDelta(delta=delta):
                self._texts.append(delta)
            case ChatStreamReasoning(delta=delta):
                self._reasonings.append(delta)
            case ToolResult(tool_call_id=call_id) | ToolError(tool_call_id=call_id):
                self._said.pop(call_id, None)
            case ChatStreamEnd():
                self.end = message
                self._is_over = True
            case UnknownMessage(kind="chat.stream.end" | "error"):
                self._is_over = True

    def _refused(self, message: Heard) -> AnswerRefused | None:
        """A refusal of what was said about a tool; said twice, the first may have arrived."""
        if not isinstance(message, ErrorMessage):
            return None
        for call_id, said in self._said.items():
            if said.id == message.request_id:
                del self._said[call_id]
                again = said.id in self._repeated
                return None if again else AnswerRefused(call_id, message.message)
        return None


_EVENTS: Final = get_args(TurnEvent)
