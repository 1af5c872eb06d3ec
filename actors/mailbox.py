"""Mailboxes: how actors speak to each other.

A mailbox is a bounded channel of envelopes with one owner. Only data crosses it: a message is
encoded when it is told and decoded by the owner against the owner's own union, so an actor could
live in another process. An `ask` is answered exactly once: with a reply, with a failure, or, when
the owner ends first, with `ActorStopped`. Nobody ever waits for the dead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec
import trio

from protocol.errors import Failure, GatewayError
from protocol.mail import Mail
from protocol.request import Request, answer_type

MessageT = TypeVar("MessageT")
R = TypeVar("R")

_encode = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode


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
        self._arrived = trio.Event()
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
        self._arrived.set()

    def fail(self, failure: Failure) -> None:
        """Answer with an expected failure, which is raised where it was asked."""
        self._failure = failure
        self._arrived.set()

    def abandon(self) -> None:
        """The owner ends: an ask that has no answer yet gets `ActorStopped`."""
        self._arrived.set()

    async def receive(self, request: type[Request[R]], owner: str) -> R:
        """The answer. Raises GatewayError for a failure, ActorStopped when there is none."""
        await self._arrived.wait()
        if self._failure is not None:
            raise GatewayError.of(self._failure)
        if self._encoded is None:
            raise ActorStopped(owner)
        in_msgpack, in_json = _answer_decoders(request)
        answer: R = (in_json if self._in_json else in_msgpack).decode(self._encoded)
        return answer


class Envelope(Generic[MessageT]):
    """A message as its owner gets it, still sealed, with the way back for an ask."""

    __slots__ = ("_decoder", "_sealed", "reply")

    def __init__(
        self,
        sealed: bytes | MessageT,
        decoder: msgspec.msgpack.Decoder[MessageT],
        reply: PendingReply,
    ) -> None:
        self._sealed = sealed
        self._decoder = decoder
        self.reply = reply

    def open(self) -> MessageT:
        """The message. Decoded here, so that one that cannot be read harms no other."""
        if isinstance(self._sealed, bytes):
            return self._decoder.decode(self._sealed)
        return self._sealed


class Address:
    """The sending side of a mailbox: all that other actors hold of its owner."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self._send, self._receive = trio.open_memory_channel[tuple[Any, PendingReply]](size)
        self._unanswered: set[PendingReply] = set()

    @property
    def waiting(self) -> int:
        """How many messages have not been taken yet."""
        return self._receive.statistics().current_buffer_used

    async def tell(self, message: Mail) -> None:
        """Put `message` into the mailbox; waits while it is full. Raises ActorStopped."""
        await self._put(_encode(message), PendingReply())

    def offer(self, message: Mail) -> None:
        """Put `message` into the mailbox now. Raises MailboxFull, ActorStopped."""
        try:
            self._send.send_nowait((_encode(message), PendingReply()))
        except trio.WouldBlock:
            raise MailboxFull(f"{self.name} takes no more now") from None
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            raise ActorStopped(self.name) from None

    async def ask(self, request: Request[R]) -> R:
        """Put `request` into the mailbox and wait for its answer.

        Raises GatewayError for an expected failure and ActorStopped when the owner ends first.
        """
        reply = PendingReply()
        self._unanswered.add(reply)
        try:
            await self._put(_encode(request), reply)
            return await reply.receive(type(request), self.name)
        finally:
            self._unanswered.discard(reply)

    async def _put(self, sealed: object, reply: PendingReply) -> None:
        try:
            await self._send.send((sealed, reply))
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            raise ActorStopped(self.name) from None


class Mailbox(Address, Generic[MessageT]):
    """The owner's side. `kind` is the union of what the owner understands; `size` in messages."""

    def __init__(self, name: str, kind: Any, size: int) -> None:
        super().__init__(name, size)
        self._decoder: msgspec.msgpack.Decoder[MessageT] = msgspec.msgpack.Decoder(kind)

    async def keep(self, message: MessageT) -> None:
        """Put what the owner itself has made into its own mailbox; waits while it is full.

        It crosses no border, so it is not encoded: a client's picture may have megabytes.
        """
        await self._put(message, PendingReply())

    @contextmanager
    def owned(self) -> Iterator[None]:
        """The time in which somebody reads; at its end every unanswered ask is abandoned."""
        try:
            yield
        finally:
            self.close()
            for reply in self._unanswered:
                reply.abandon()

    def close(self) -> None:
        """Take nothing more: what waits is still read, and then the reading ends."""
        self._send.close()

    def __aiter__(self) -> Mailbox[MessageT]:
        return self

    async def __anext__(self) -> Envelope[MessageT]:
        sealed, reply = await self._receive.__anext__()
        return Envelope(sealed, self._decoder, reply)


@cache
def _answer_decoders(
    request: type[Request[Any]],
) -> tuple[msgspec.msgpack.Decoder[Any], msgspec.json.Decoder[Any]]:
    answer = answer_type(request)
    return msgspec.msgpack.Decoder(answer), msgspec.json.Decoder(answer)
