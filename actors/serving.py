"""The loop of an actor that answers requests: each in a task of its own, or one after another.

What goes wrong in one request is answered to the one who asked and ends there; what goes wrong in
the loop ends the actor.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import trio

from actors.mailbox import Envelope, Mailbox
from protocol.errors import Failure, GatewayError

log = logging.getLogger(__name__)

MessageT = TypeVar("MessageT")

BUG = Failure(
    code="INTERNAL_ERROR",
    message="The gateway made a mistake; its log says more. Trying again may help.",
    retryable=True,
)


async def serve(
    mailbox: Mailbox[MessageT],
    respond: Callable[[MessageT], Awaitable[msgspec.Struct | None]],
    *,
    at_once: int,
) -> None:
    """Answer what comes into `mailbox` with `respond`, at most `at_once` requests side by side."""
    places = trio.Semaphore(at_once)

    async def answer(envelope: Envelope[MessageT]) -> None:
        try:
            _send(envelope, await respond(envelope.open()))
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            envelope.reply.fail(_failure(error))
        finally:
            places.release()

    with mailbox.owned():
        async with trio.open_nursery() as nursery:

            def begin(envelope: Envelope[MessageT]) -> bool:
                if not places.value:
                    return False
                places.acquire_nowait()
                nursery.start_soon(answer, envelope)
                return True

            with mailbox.begun_by(begin):
                async for envelope in mailbox:
                    await places.acquire()
                    nursery.start_soon(answer, envelope)


async def serve_in_turn(
    mailbox: Mailbox[MessageT], respond: Callable[[MessageT], msgspec.Struct | None]
) -> None:
    """Answer what comes into `mailbox`, one after another: `respond` waits for nothing."""

    def answer(envelope: Envelope[MessageT]) -> bool:
        try:
            _send(envelope, respond(envelope.open()))
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            envelope.reply.fail(_failure(error))
        return True

    with mailbox.owned(), mailbox.begun_by(answer):
        async for envelope in mailbox:
            answer(envelope)


def _send(envelope: Envelope[MessageT], answer: msgspec.Struct | None) -> None:
    if answer is not None:
        envelope.reply.send(answer)


def _failure(error: Exception) -> Failure:
    if isinstance(error, GatewayError):
        return error.failure
    log.error("a request could not be answered", exc_info=error)
    return BUG
