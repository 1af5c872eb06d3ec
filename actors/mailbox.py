"""Mailboxes: how actors speak to each other.

A mailbox is a queue of envelopes with one owner, bounded in messages and in bytes. Only data
crosses it: a message is encoded when it is told and decoded by the owner against the owner's own
union, so an actor could live in another process. An `ask` is answered exactly once: with a reply,
with a failure, or, when the owner ends first, with `ActorStopped`. Nobody ever waits for the dead.

Problem: to wake the owner for each message is a pass of the loop, and a turn asks several times.
Trick: an owner may say what begins to answer a message. While nothing else waits, that is called
at once, in the sender's step. Limits: it waits for nothing, and nothing that it does may fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec
import trio

from actors.bell import Bell
from actors.deadline import deadline
from protocol.errors import Failure, GatewayError
from protocol.mail import Mail
from protocol.request import Request, answer_type

MessageT = TypeVar("MessageT")
R = TypeVar("R")

_encode = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode


MOST_BYTES = 32 * 1024 * 1024
"""Bytes of the messages that wait in one mailbox: two of a client's longest."""

IN_A_ROW = 16
"""Messages that an owner takes one after another before the others have a turn."""

STOPPING = Failure(
    code="DRAINING",
    message="The gateway is about to stop. Reconnect and send again.",
    retryable=True,
)


class ActorStopped(GatewayError):
    """The actor that was told or asked has ended: so does the gateway, soon."""

    def __init__(self, actor: str) -> None:
        super().__init__(**msgspec.structs.asdict(STOPPING))
        self.actor = actor


class MailboxFull(Exception):
    """The mailbox takes no more now."""


class PendingReply:
    """Where an ask's answer arrives; set once."""

    __slots__ = ("_arrived", "_encoded", "_failure", "_in_json")

    def __init__(self) -> None:
        self._arrived = Bell()
        self._encoded: bytes | None = None
        self._in_json = False
        self._failure: Failure | None = None

    def send(self, answer: msgspec.Struct) -> None:
        """Answer. Whoever asked may be gone: then nobody reads it."""
        try:
            self._encoded = _encode(answer)
        except OverflowError:
            # A model's tool call, which a history shows again, may hold an integer of more than
            # 64 bits, which MessagePack lacks.
            self._encoded, self._in_json = _encode_json(answer), True
        self._arrived.ring()

    def fail(self, failure: Failure) -> None:
        """Answer with an expected failure, which is raised where it was asked."""
        self._failure = failure
        self._arrived.ring()

    def abandon(self) -> None:
        """The owner ends: an ask that has no answer yet gets `ActorStopped`."""
        self._arrived.ring()

    async def receive(self, request: type[Request[R]], owner: str) -> R:
        """The answer. Raises GatewayError for a failure, ActorStopped when there is none."""
        await self._arrived.wait()
        return self.read(request, owner)

    @property
    def has_arrived(self) -> bool:
        """Whether there is an answer, or there will be none."""
        return self._arrived.is_rung

    def read(self, request: type[Request[R]], owner: str) -> R:
        """The answer that has arrived. Raises as `receive` does."""
        if self._failure is not None:
            raise GatewayError.of(self._failure)
        if self._encoded is None:
            raise ActorStopped(owner)
        in_msgpack, in_json = _answer_decoders(request)
        answer: R = (in_json if self._in_json else in_msgpack).decode(self._encoded)
        return answer


class Envelope(Generic[MessageT]):
    """A message as its owner gets it, still sealed, with the way back for an ask.

    It has about `size` bytes.
    """

    __slots__ = ("_decoder", "_sealed", "reply", "size")

    def __init__(
        self,
        sealed: bytes | MessageT,
        size: int,
        decoder: msgspec.msgpack.Decoder[MessageT],
        reply: PendingReply,
    ) -> None:
        self._sealed = sealed
        self.size = size
        self._decoder = decoder
        self.reply = reply

    def open(self) -> MessageT:
        """The message. Decoded here, so that one that cannot be read harms no other."""
        if isinstance(self._sealed, bytes):
            return self._decoder.decode(self._sealed)
        return self._sealed


class _Queue:
    """Who waits for room in a mailbox: the first one for the room, all others to be the first."""

    def __init__(self) -> None:
        self.first = trio.Lock()
        self.room = trio.lowlevel.ParkingLot()


class Address:
    """The sending side of a mailbox: all that other actors hold of its owner."""

    def __init__(self, name: str, kind: Any, size: int) -> None:
        self.name = name
        self.size = size
        self._decoder = _decoder_of(kind)
        self._begin: Callable[[Envelope[Any]], bool] | None = None
        # With so few messages a list is as fast as a deque, and a deque would be a twentieth of an
        # idle client.
        self._mail: list[Envelope[Any]] = []
        self._arrived = Bell()
        self._bytes = 0
        self._is_closed = False
        self._queue: _Queue | None = None  # most mailboxes are never full
        self._unanswered: dict[PendingReply, None] = {}  # a set would be three times as large

    @property
    def waiting(self) -> int:
        """How many messages have not been taken yet."""
        return len(self._mail)

    async def tell(self, message: Mail) -> None:
        """Put `message` into the mailbox; waits while it is full. Raises ActorStopped."""
        sealed = _encode(message)
        await self._put(sealed, len(sealed), PendingReply())

    def offer(self, message: Mail) -> None:
        """Put `message` into the mailbox now. Raises MailboxFull, ActorStopped."""
        sealed = _encode(message)
        if self._is_full(len(sealed)):
            raise MailboxFull(f"{self.name} takes no more now")
        self._add(sealed, len(sealed), PendingReply())

    async def ask(self, request: Request[R]) -> R:
        """Put `request` into the mailbox and wait for its answer.

        Raises GatewayError for an expected failure and ActorStopped when the owner ends first.
        """
        reply = PendingReply()
        self._unanswered[reply] = None
        try:
            sealed = _encode(request)
            await self._put(sealed, len(sealed), reply)
            return await reply.receive(type(request), self.name)
        finally:
            del self._unanswered[reply]

    async def ask_within(self, seconds: float, request: Request[R], *, shield: bool = False) -> R:
        """As `ask`, for at most so many `seconds`. Raises GatewayError(OVERLOADED) after them.

        What the owner answers in this step needs no deadline, and is no checkpoint.
        """
        reply, sealed = PendingReply(), _encode(request)
        has_room = self._has_room(len(sealed))
        self._unanswered[reply] = None
        try:
            if has_room:
                self._add(sealed, len(sealed), reply)
            if not reply.has_arrived:
                with deadline(seconds, shield=shield):
                    if not has_room:
                        await self._put(sealed, len(sealed), reply)
                    return await reply.receive(type(request), self.name)
            return reply.read(type(request), self.name)
        finally:
            del self._unanswered[reply]

    async def _put(self, sealed: object, size: int, reply: PendingReply) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self._has_room(size):
            await self._wait_for_room(size)
        self._add(sealed, size, reply)

    def _has_room(self, size: int) -> bool:
        """Whether so many bytes more may be added now, and nobody waits to add theirs."""
        return not self._is_full(size) and not (self._queue and self._queue.first.locked())

    async def _wait_for_room(self, size: int) -> None:
        self._queue = queue = self._queue or _Queue()
        async with queue.first:
            while self._is_full(size):
                await queue.room.park()

    def _add(self, sealed: object, size: int, reply: PendingReply) -> None:
        if self._is_closed:
            raise ActorStopped(self.name)
        envelope = Envelope(sealed, size, self._decoder, reply)
        if self._begin is not None and not self._mail and self._begin(envelope):
            return
        self._mail.append(envelope)
        self._bytes += size
        self._arrived.ring()

    def _is_full(self, size: int) -> bool:
        """Whether so many bytes more must wait; what is larger than the bound has it alone."""
        if self._is_closed or not self._mail:
            return False
        return len(self._mail) >= self.size or self._bytes + size > MOST_BYTES

    def _let_go(self, size: int) -> None:
        self._bytes -= size
        if self._queue is not None:
            self._queue.room.unpark()


class Mailbox(Address, Generic[MessageT]):
    """The owner's side. `kind` is the union of what the owner understands; `size` in messages."""

    def __init__(self, name: str, kind: Any, size: int) -> None:
        super().__init__(name, kind, size)
        self._in_a_row = 0

    async def keep(self, message: MessageT, size: int) -> None:
        """Put what the owner itself has made into its own mailbox; waits while it is full.

        It has about `size` bytes. It crosses no border, so it is not encoded: a client's picture
        may have megabytes.
        """
        await self._put(message, size, PendingReply())

    @contextmanager
    def owned(self) -> Iterator[None]:
        """The time in which somebody reads; at its end every unanswered ask is abandoned."""
        try:
            yield
        finally:
            self.close()
            for reply in self._unanswered:
                reply.abandon()

    @contextmanager
    def begun_by(self, begin: Callable[[Envelope[MessageT]], bool]) -> Iterator[None]:
        """The time in which `begin` gets what comes while nothing waits, if it has room for it."""
        self._begin = begin
        try:
            yield
        finally:
            self._begin = None

    def close(self) -> None:
        """Take nothing more: what waits is still read, and then the reading ends."""
        self._is_closed = True
        if self._queue is not None:
            self._queue.room.unpark()
        self._arrived.ring()

    def __aiter__(self) -> Mailbox[MessageT]:
        return self

    async def __anext__(self) -> Envelope[MessageT]:
        if self._mail:
            await self._rest()
        while not self._mail:
            if self._is_closed:
                raise StopAsyncIteration
            self._in_a_row = 0
            await self._arrived.wait()
        envelope = self._mail.pop(0)
        self._let_go(envelope.size)
        return envelope

    async def _rest(self) -> None:
        """Let the others have a turn, now and then: each time would be a switch of tasks."""
        self._in_a_row = (self._in_a_row + 1) % IN_A_ROW
        if self._in_a_row:
            await trio.lowlevel.checkpoint_if_cancelled()
        else:
            await trio.lowlevel.checkpoint()


@cache
def _decoder_of(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)


@cache
def _answer_decoders(
    request: type[Request[Any]],
) -> tuple[msgspec.msgpack.Decoder[Any], msgspec.json.Decoder[Any]]:
    answer = answer_type(request)
    return msgspec.msgpack.Decoder(answer), msgspec.json.Decoder(answer)
