"""One per connection: a mailbox, one stream in flight, a writer.

Tasks that share a connection and die with it: the *reader* turns frames into mail; one task must
always be receiving, or nobody sees the client's close. The *owner* takes the mail and alone
changes the state. *Queries* are answered in tasks of their own, a bounded number at a time. The
*writer* alone writes (`writer.py`); it has a task while it has something to do, and ends the
connection when a frame does not leave in time. On the *rounds* of all connections each is pinged,
and ended when no pong comes.
"""

from __future__ import annotations

import logging
from contextlib import suppress

import msgspec
import trio

from actors.connection.queries import Queries, Question
from actors.connection.rounds import Rounds
from actors.connection.tool_mail import tool_mail
from actors.connection.watch import Watch
from actors.connection.writer import ReadsTooSlowly, Writer
from actors.deadline import deadline
from actors.mailbox import MOST_BYTES, STOPPING, Address, Mailbox
from actors.ports import Census, Socket, SocketClosed
from actors.serving import BUG
from actors.steps import in_steps
from actors.turn_log import TurnLogs
from protocol.bounds import LARGE
from protocol.client import (
    AnyClientMessage,
    ChatCancel,
    ChatResume,
    ChatSend,
    ContextInspect,
    GatewayStatus,
    Ping,
    SessionDelete,
    SessionHistory,
    ToolApprovalResponse,
    ToolOutput,
)
from protocol.codec import Codec
from protocol.errors import CloseCode, Failure, GatewayError, InvalidMessage
from protocol.mail import (
    CancelTurn,
    ConnectionMail,
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

log = logging.getLogger(__name__)

_BULKY = (ContextInspect, SessionHistory)
"""Questions whose answers hold a session's text: megabytes, where others are some kilobytes."""


class ConnectionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection is told at its start; seconds and messages."""

    write_seconds: float
    keepalive_seconds: float
    ask_seconds: float
    outbox_size: int
    max_pending: int


class ConnectionEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How a connection ends; with `forcibly` the client does not read any more."""

    code: CloseCode
    reason: str
    forcibly: bool = False


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
        rounds: Rounds,
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
        self._last_ended: str | None = None
        self._rounds = rounds
        self._awaits_pong = False
        self._hello = hello
        self._writer = Writer(
            socket,
            codec,
            outbox_size=settings.outbox_size,
            write_seconds=settings.write_seconds,
            # A client of the original's gateway has no word for a notice.
            says_notices=hello is not None,
        )
        self._pending = self._pending_bytes = 0
        self._one_bulky: trio.Lock | None = None  # an idle client has none
        self._closing = ConnectionEnd(code=CloseCode.NORMAL, reason="")
        self._nursery: trio.Nursery | None = None

    async def run(self) -> ConnectionEnd:
        """Serve until the client goes or is sent away; the answer is how to close the socket."""
        try:
            async with trio.open_nursery() as self._nursery:
                self._nursery.start_soon(self._read)
                self._writer.open(self)
                self._rounds.join(self._check_pulse)
                try:
                    await self._own()
                finally:  # nothing may begin in a nursery that has ended
                    self._rounds.leave(self._check_pulse)
                    self._writer.close()
        finally:
            await self._let_go()  # noqa: ASYNC102 - it shields itself, with a deadline
            self._nursery = None
        return self._closing

    def send_away(self) -> None:
        """End now, whatever is still to be written: the gateway stops."""
        self._end(CloseCode.GOING_AWAY, "the gateway goes away")

    def _end(self, code: CloseCode, reason: str, *, forcibly: bool = False) -> None:
        if self._nursery is None or self._nursery.cancel_scope.cancel_called:
            return  # what ended it first is why
        self._closing = ConnectionEnd(code=code, reason=reason, forcibly=forcibly)
        self._nursery.cancel_scope.cancel()

    async def _let_go(self) -> None:
        """The client is gone: its turn goes on without it, unless it asked otherwise."""
        self.state = "closed"
        watch, self._writer.watch = self._writer.watch, None
        if watch is None:
            return
        watch.cursor.close()
        if watch.cancel_when_gone and not watch.cursor.log.watchers:
            with suppress(GatewayError):  # it is over already, which is what was wanted
                await self._ask_to_cancel(CancelTurn(turn_id=watch.turn_id, request_id=None))

    # --- reader --------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            await self._socket.listen(self._hear)
        except SocketClosed as closed:
            self._end(closed.code, closed.reason)

    async def _hear(self, frame: str | bytes) -> None:
        await self.mailbox.keep(await self._understood(frame), len(frame))

    async def _understood(self, frame: str | bytes) -> FromClient | Malformed:
        try:
            if len(frame) <= LARGE:
                return FromClient(message=self._codec.decode(frame))
            return FromClient(message=await in_steps(self._codec.steps(frame)))
        except InvalidMessage as error:
            return Malformed(explanation=error.failure.message, request_id=error.request_id)

    # --- owner ---------------------------------------------------------------------------------

    async def _own(self) -> None:
        if self._hello is not None:
            await self._writer.put(self._hello)
            self._hello = None  # an idle client would keep it for good
        with self.mailbox.owned():
            async for envelope in self.mailbox:
                match envelope.open():
                    case FromClient(message=message):
                        await self._take(message, envelope.size)
                    case Malformed(explanation=explanation, request_id=request_id):
                        failure = Failure(code="INVALID_MESSAGE", message=explanation)
                        await self._writer.put(ErrorMessage.of(failure, request_id))
                    case drain:
                        await self._writer.put(GatewayDraining(deadline_ms=drain.deadline_ms))
                        self._advance("drain")

    async def _take(self, message: AnyClientMessage, size: int) -> None:
        """The boundary of one message: what goes wrong in it is answered and ends there."""
        try:
            await self._obey(message, size)
        except GatewayError as error:
            await self._writer.put(ErrorMessage.of(error.failure, message.id))
        except Exception:
            log.exception("a client's message could not be obeyed")
            await self._writer.put(ErrorMessage.of(BUG, message.id))

    async def _obey(self, message: AnyClientMessage, size: int) -> None:
        match message:
            case ChatSend():
                await self._send(message)
            case ChatResume():
                self._resume(message)
            case ChatCancel():
                await self._cancel(message)
            case Ping(id=request_id):
                await self._writer.put(Pong(request_id=request_id))
            case GatewayStatus(id=request_id):
                await self._writer.put(self._census.report(request_id))
            case ToolOutput() | ToolApprovalResponse():
                await self._tell_turn(message)
            case _:
                self._ask(message, size)  # mypy refuses a message that nobody answers

    async def _send(self, send: ChatSend) -> None:
        watch = self._writer.watch
        if watch is not None and watch.request_id == send.id:
            return  # said twice: this connection is attached to its turn already
        self._begin_stream("send")
        try:
            # Shielded: were the client to leave now, a turn would run that nobody can cancel.
            seconds = self._settings.ask_seconds
            accepted = await self._llm.ask_within(seconds, StartTurn(send=send), shield=True)
            gone = send.on_disconnect == "cancel"
            self._follow(accepted.turn_id, send.id, after=-1, cancel_when_gone=gone)
        finally:
            if self._writer.watch is None:
                self._advance("turn_ended")

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

    def _follow(self, turn_id: str, request_id: str, *, after: int, cancel_when_gone: bool) -> None:
        cursor = self._logs.find(turn_id).open_cursor(self._writer.hear, after=after)
        self._writer.watch = Watch(cursor, request_id, cancel_when_gone=cancel_when_gone)
        if cursor.is_behind:
            self._writer.ring()

    async def _cancel(self, cancel: ChatCancel) -> None:
        if cancel.turn_id is None and cancel.request_id is None:
            raise GatewayError("INVALID_MESSAGE", "`requestId` or `turnId` says what to cancel.")
        watch = self._writer.watch
        if watch is not None and (
            cancel.turn_id == watch.turn_id or cancel.request_id == watch.request_id
        ):
            self._advance("cancel")
            await self._cancel_watched(watch)
        elif cancel.turn_id is None and cancel.request_id == self._last_ended:
            # Too late; and another client may count its requests from 1 as well.
            raise GatewayError("REQUEST_NOT_FOUND", "This stream has ended already.")
        else:
            await self._ask_to_cancel(
                CancelTurn(turn_id=cancel.turn_id, request_id=cancel.request_id)
            )

    async def _cancel_watched(self, watch: Watch) -> None:
        try:
            await self._ask_to_cancel(CancelTurn(turn_id=watch.turn_id, request_id=None))
        except GatewayError as error:
            if error.failure.code != "REQUEST_NOT_FOUND":
                raise
            # It has just ended: its terminal frame is on its way.

    async def _ask_to_cancel(self, request: CancelTurn) -> None:
        await self._llm.ask_within(self._settings.ask_seconds, request, shield=True)

    async def _tell_turn(self, message: ToolOutput | ToolApprovalResponse) -> None:
        """What a turn asked its clients; any connection may answer."""
        watch = self._writer.watch
        turn_id = None if watch is None else watch.turn_id
        await self._llm.ask_within(self._settings.ask_seconds, tool_mail(message, turn_id))

    def _advance(self, event: ConnectionEvent) -> None:
        self.state = advance(CONNECTION, self.state, event)
        if self.state == "closed":
            self._writer.ring()  # it ends the connection, once all is written

    # --- queries -------------------------------------------------------------------------------

    def _ask(self, question: Question, size: int) -> None:
        is_heavy = self._pending > 0 and self._pending_bytes + size > MOST_BYTES
        if is_heavy or self._pending >= self._settings.max_pending:
            raise GatewayError(
                "RATE_LIMITED",
                f"{self._pending} requests of this connection wait already. Await some answers.",
                retryable=True,
            )
        assert self._nursery is not None
        self._pending += 1
        self._pending_bytes += size
        self._nursery.start_soon(self._answer, question, size)

    async def _answer(self, question: Question, size: int) -> None:
        if isinstance(question, _BULKY):
            # One at a time, and only when the last one is on its way: a client that asks much and
            # reads little would have one session many times in memory.
            self._one_bulky = self._one_bulky or trio.Lock()
            async with self._one_bulky:
                await self._writer.empty()
                await self._writer.put(await self._reply(question))
        else:
            await self._writer.put(await self._reply(question))
        # Not before: a client that never reads must not be answered without end.
        self._pending -= 1
        self._pending_bytes -= size

    async def _reply(self, question: Question) -> ServerMessage:
        try:
            # A deletion is done whole: were its client to leave in the middle, a turn would go on.
            whole = isinstance(question, SessionDelete)
            with deadline(self._settings.ask_seconds, shield=whole):
                return await self._queries.answer(question)
        except GatewayError as error:
            return ErrorMessage.of(error.failure, question.id)
        except Exception:
            log.exception("a client's question could not be answered")
            return ErrorMessage.of(BUG, question.id)

    # --- writer --------------------------------------------------------------------------------

    def begin_writing(self) -> None:
        """See `WriterOwner`."""
        assert self._nursery is not None
        self._nursery.start_soon(self._write)

    async def _write(self) -> None:
        try:
            await self._writer.run()
            if self.state == "closed":
                self._end(CloseCode.GOING_AWAY, "the gateway goes away")
        except ReadsTooSlowly:
            self._end(CloseCode.POLICY, "you read too slowly", forcibly=True)
        except SocketClosed as closed:
            self._end(closed.code, closed.reason)

    def stream_ended(self, watch: Watch) -> None:
        """See `WriterOwner`."""
        self._last_ended = watch.request_id
        self._advance("turn_ended")

    # --- rounds --------------------------------------------------------------------------------

    def _check_pulse(self) -> None:
        assert self._nursery is not None
        is_held_up = self._writer.is_held_up
        if self._awaits_pong:  # since the last time
            # A close frame would wait for what the client does not read.
            self._end(CloseCode.POLICY, "no pong", forcibly=is_held_up)
        elif not is_held_up:  # a write has its own deadline
            self._awaits_pong = True
            self._nursery.start_soon(self._ping)

    async def _ping(self) -> None:
        with suppress(SocketClosed):  # the reader hears of it as well, and ends the connection
            await self._socket.ping()
        self._awaits_pong = False


def _refusal(error: ImpossibleEvent) -> GatewayError:
    if error.state in ("draining", "closed"):
        return GatewayError.of(STOPPING)
    return GatewayError(
        "STREAM_IN_PROGRESS",
        "This connection has a stream in flight. Wait for its end, cancel it, or use another "
        "connection.",
        retryable=True,
    )
