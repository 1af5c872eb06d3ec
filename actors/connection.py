"""One per connection: a mailbox, one stream in flight, a writer.

Four tasks share a connection and die with it. The *reader* turns frames into mail; one task must
always be receiving, or nobody sees the client's close. The *owner* takes the mail and alone
changes the state. *Queries* are answered in tasks of their own, a bounded number at a time. The
*writer* alone writes: what waits in the outbox, then what the turn's log holds behind its cursor.
"""

from __future__ import annotations

from collections import deque

import msgspec
import trio

from actors.mailbox import ActorStopped, Address, Mailbox
from actors.ports import Census, Socket, SocketClosed
from actors.queries import Queries
from actors.turn_log import Cursor, TurnLogs
from protocol.client import (
    AnyClientMessage,
    ChatCancel,
    ChatResume,
    ChatSend,
    GatewayStatus,
    Ping,
    ToolApprovalResponse,
    ToolOutput,
)
from protocol.codec import Codec
from protocol.errors import CloseCode, Failure, GatewayError, InvalidMessage
from protocol.mail import (
    CancelTurn,
    ConnectionMail,
    Drain,
    FromClient,
    Malformed,
    StartTurn,
)
from protocol.server import ErrorMessage, GatewayDraining, Pong, ServerMessage
from protocol.states import (
    CONNECTION,
    ConnectionEvent,
    ConnectionState,
    ImpossibleEvent,
    advance,
)
from protocol.turn import frames


class ConnectionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection is told at its start; seconds and messages."""

    write_seconds: float
    keepalive_seconds: float
    ask_seconds: float
    outbox_size: int
    max_pending: int


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """How a connection ends; with `forcibly` the client does not read any more."""

    code: CloseCode
    reason: str
    forcibly: bool = False


class Watch:
    """The stream in flight, as this connection sees it."""

    def __init__(self, cursor: Cursor, request_id: str, *, cancel_when_gone: bool) -> None:
        self.cursor = cursor
        self.request_id = request_id
        self.cancel_when_gone = cancel_when_gone

    @property
    def turn_id(self) -> str:
        """The turn that is watched."""
        return self.cursor.log.turn_id


class Bell:
    """Wakes the writer: rung any number of times, heard once."""

    def __init__(self) -> None:
        self._rung = False
        self._lot = trio.lowlevel.ParkingLot()

    def ring(self) -> None:
        """There is something to write."""
        if not self._rung:
            self._rung = True
            self._lot.unpark()

    async def wait(self) -> None:
        """Until it has been rung since the last time."""
        if not self._rung:
            await self._lot.park()
        self._rung = False


class Connection:
    """The actor of one client's connection."""

    def __init__(
        self,
        socket: Socket,
        codec: Codec,
        mailbox: Mailbox[ConnectionMail],
        settings: ConnectionSettings,
        *,
        llm: Address,
        queries: Queries,
        logs: TurnLogs,
        census: Census,
        hello: ServerMessage | None,
    ) -> None:
        self._socket = socket
        self._codec = codec
        self.mailbox = mailbox
        self._settings = settings
        self._llm = llm
        self._queries = queries
        self._logs = logs
        self._census = census
        self.state: ConnectionState = "idle"
        self._watch: Watch | None = None
        self._outbox: deque[ServerMessage] = deque([hello] if hello else [])
        self._bell = Bell()
        self._space = trio.lowlevel.ParkingLot()
        self._pending = 0
        self._writing_since: float | None = None
        self._closing = Closing(code=CloseCode.NORMAL, reason="")
        self._nursery: trio.Nursery | None = None

    async def run(self) -> Closing:
        """Serve until the client goes or is sent away; the answer is how to close the socket."""
        self._bell.ring()
        try:
            async with trio.open_nursery() as self._nursery:
                self._nursery.start_soon(self._read)
                self._nursery.start_soon(self._own)
                self._nursery.start_soon(self._write)
                self._nursery.start_soon(self._watch_over)
        finally:
            await self._let_go()
        return self._closing

    def _end(self, code: CloseCode, reason: str, *, forcibly: bool = False) -> None:
        assert self._nursery is not None
        self._closing = Closing(code=code, reason=reason, forcibly=forcibly)
        self._nursery.cancel_scope.cancel()

    async def _let_go(self) -> None:
        """The client is gone: its turn goes on without it, unless it asked otherwise."""
        self.state = "closed"
        watch, self._watch = self._watch, None
        if watch is None:
            return
        watch.cursor.close()
        if watch.cancel_when_gone:
            with trio.move_on_after(self._settings.ask_seconds, shield=True):
                await self._cancel_turn(CancelTurn(turn_id=watch.turn_id, request_id=None))

    # --- reader --------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            while True:
                await self.mailbox.tell(self._understood(await self._socket.receive()))
        except SocketClosed:
            self._end(CloseCode.NORMAL, "", forcibly=False)

    def _understood(self, frame: str | bytes) -> FromClient | Malformed:
        try:
            return FromClient(message=self._codec.decode(frame))
        except InvalidMessage as error:
            return Malformed(explanation=error.failure.message, request_id=error.request_id)

    # --- owner ---------------------------------------------------------------------------------

    async def _own(self) -> None:
        with self.mailbox.owned():
            async for envelope in self.mailbox:
                match envelope.message:
                    case FromClient(message=message):
                        await self._take(message)
                    case Malformed(explanation=explanation, request_id=request_id):
                        failure = Failure(code="INVALID_MESSAGE", message=explanation)
                        await self._put(ErrorMessage.of(failure, request_id))
                    case Drain(deadline_ms=deadline_ms):
                        await self._put(GatewayDraining(deadline_ms=deadline_ms))
                        self._advance("drain")

    async def _take(self, message: AnyClientMessage) -> None:
        try:
            match message:
                case ChatSend():
                    await self._send(message)
                case ChatResume():
                    self._resume(message)
                case ChatCancel():
                    await self._cancel(message)
                case Ping(id=request_id):
                    await self._put(Pong(request_id=request_id))
                case GatewayStatus(id=request_id):
                    await self._put(self._census.report(request_id))
                case ToolOutput() | ToolApprovalResponse():
                    raise GatewayError(
                        "REQUEST_NOT_FOUND", "No tool call of this id waits for an answer."
                    )
                case _:
                    self._ask(message)
        except GatewayError as error:
            await self._put(ErrorMessage.of(error.failure, message.id))

    async def _send(self, send: ChatSend) -> None:
        self._begin_stream("send")
        try:
            accepted = await self._llm.ask(StartTurn(send=send))
        except GatewayError:
            self._advance("turn_ended")
            raise
        self._follow(
            accepted.turn_id, send.id, after=-1, cancel_when_gone=send.on_disconnect == "cancel"
        )

    def _resume(self, resume: ChatResume) -> None:
        self._logs.find(resume.turn_id)
        self._begin_stream("resume")
        after = -1 if resume.after is None else resume.after
        self._follow(resume.turn_id, resume.id, after=after, cancel_when_gone=False)

    def _begin_stream(self, event: ConnectionEvent) -> None:
        try:
            self._advance(event)
        except ImpossibleEvent as error:
            raise _refusal(error) from None

    def _follow(
        self, turn_id: str, request_id: str, *, after: int, cancel_when_gone: bool
    ) -> None:
        cursor = self._logs.find(turn_id).open_cursor(self._bell.ring, after=after)
        self._watch = Watch(cursor, request_id, cancel_when_gone=cancel_when_gone)
        self._bell.ring()

    async def _cancel(self, cancel: ChatCancel) -> None:
        if cancel.turn_id is None and cancel.request_id is None:
            raise GatewayError("INVALID_MESSAGE", "`requestId` or `turnId` says what to cancel.")
        watch = self._watch
        if watch is not None and (
            cancel.turn_id == watch.turn_id or cancel.request_id == watch.request_id
        ):
            self._advance("cancel")
            request = CancelTurn(turn_id=watch.turn_id, request_id=None)
        else:
            request = CancelTurn(turn_id=cancel.turn_id, request_id=cancel.request_id)
        await self._llm.ask(request)

    async def _cancel_turn(self, request: CancelTurn) -> None:
        try:
            await self._llm.ask(request)
        except (GatewayError, ActorStopped):
            return  # it is over already, which is what was wanted

    def _advance(self, event: ConnectionEvent) -> None:
        self.state = advance(CONNECTION, self.state, event)
        self._bell.ring()

    # --- queries -------------------------------------------------------------------------------

    def _ask(self, message: AnyClientMessage) -> None:
        if self._pending >= self._settings.max_pending:
            raise GatewayError(
                "RATE_LIMITED",
                f"{self._pending} requests of this connection wait already. Await some answers.",
                retryable=True,
            )
        assert self._nursery is not None
        self._pending += 1
        self._nursery.start_soon(self._answer, message)

    async def _answer(self, message: AnyClientMessage) -> None:
        try:
            with trio.fail_after(self._settings.ask_seconds):
                answer = await self._queries.answer(message)
        except GatewayError as error:
            answer = ErrorMessage.of(error.failure, message.id)
        except trio.TooSlowError:
            answer = ErrorMessage.of(_TOO_SLOW, message.id)
        self._pending -= 1
        await self._put(answer)

    # --- writer --------------------------------------------------------------------------------

    async def _put(self, message: ServerMessage) -> None:
        while len(self._outbox) >= self._settings.outbox_size:
            await self._space.park()
        self._outbox.append(message)
        self._bell.ring()

    async def _write(self) -> None:
        try:
            while True:
                await self._bell.wait()
                while self._outbox:
                    await self._write_one(self._outbox.popleft())
                    self._space.unpark()
                await self._write_stream()
                if self.state == "closed" and not self._outbox:
                    return self._end(CloseCode.GOING_AWAY, "the gateway goes away")
        except SocketClosed:
            self._end(CloseCode.NORMAL, "")

    async def _write_stream(self) -> None:
        watch = self._watch
        if watch is None:
            return
        events, first = watch.cursor.take()
        if watch.cursor.exhausted:
            # The guard frees here, before the terminal frame is on its way: a client that has
            # seen it may send again at once.
            watch.cursor.close()
            self._watch = None
            self._advance("turn_ended")
        for message in frames(events, first, watch.request_id):
            await self._write_one(message)

    async def _write_one(self, message: ServerMessage) -> None:
        self._writing_since = trio.current_time()
        await self._socket.send(self._codec.encode(message))
        self._writing_since = None

    # --- keepalive -----------------------------------------------------------------------------

    async def _watch_over(self) -> None:
        """End the connection when a write takes too long or a ping is never answered."""
        pause = min(self._settings.keepalive_seconds, self._settings.write_seconds / 2)
        pinged = trio.current_time()
        while True:
            await trio.sleep(pause)
            now = trio.current_time()
            since = self._writing_since
            if since is not None and now - since > self._settings.write_seconds:
                return self._end(CloseCode.POLICY, "you read too slowly", forcibly=True)
            if now - pinged >= self._settings.keepalive_seconds and since is None:
                if not await self._is_alive():
                    return self._end(CloseCode.POLICY, "no pong", forcibly=True)
                pinged = trio.current_time()

    async def _is_alive(self) -> bool:
        with trio.move_on_after(self._settings.keepalive_seconds):
            try:
                await self._socket.ping()
            except SocketClosed:
                pass  # the reader hears of it as well, and ends the connection
            return True
        return False


_TOO_SLOW = Failure(
    code="OVERLOADED",
    message="The gateway is too busy to answer this now. Try again in a moment.",
    retryable=True,
)


def _refusal(error: ImpossibleEvent) -> GatewayError:
    if error.state in ("draining", "closed"):
        return GatewayError(
            "DRAINING", "The gateway is about to stop. Reconnect and send again.", retryable=True
        )
    return GatewayError(
        "STREAM_IN_PROGRESS",
        "This connection has a stream in flight. Wait for its end, cancel it, or use another "
        "connection.",
        retryable=True,
    )
