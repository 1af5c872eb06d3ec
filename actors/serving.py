"""The loop of an actor that answers requests: each in a task of its own.

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
            await _answer(envelope, respond)
        finally:
            places.release()

    with mailbox.owned():
        async with trio.open_nursery() as nursery:
            async for envelope in mailbox:
                await places.acquire()
                nursery.start_soon(answer, envelope)


async def _answer(
    envelope: Envelope[MessageT], respond: Callable[[MessageT], Awaitable[msgspec.Struct | None]]
) -> None:
    try:
        answer = await respond(envelope.open())
        if answer is not None:
            envelope.reply.send(answer)
    except GatewayError as error:
        envelope.reply.fail(error.failure)
    except Exception:
        log.exception("a request could not be answered")
        envelope.reply.fail(BUG)
