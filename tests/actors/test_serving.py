"""Serving: requests side by side, each contained."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest
import trio
import trio.testing

from actors.mailbox import IN_A_ROW, ActorStopped, Mailbox
from actors.serving import serve, serve_in_turn
from protocol.errors import GatewayError
from protocol.mail import (
    Cancelling,
    CancelTurn,
    DrainTurns,
    InspectTurn,
    LlmMail,
    UsageMail,
)


def cancel(turn_id: str) -> CancelTurn:
    """A request."""
    return CancelTurn(turn_id=turn_id, request_id=None)


class Actor:
    """Answers `cancel`: `wait` when it is let, `refuse` and `break` never."""

    def __init__(self, at_once: int = 4) -> None:
        self.mailbox: Mailbox[LlmMail] = Mailbox("llm", LlmMail, 8)
        self.at_once = at_once
        self.may_go = trio.Event()
        self.serving = 0
        self.drained = False

    async def run(self) -> None:
        """The actor's life."""
        await serve(self.mailbox, self._respond, at_once=self.at_once)

    async def _respond(self, message: LlmMail) -> Cancelling | None:
        match message:
            case CancelTurn(turn_id="wait"):
                self.serving += 1
                await self.may_go.wait()
            case CancelTurn(turn_id="refuse"):
                raise GatewayError("REQUEST_NOT_FOUND", "No.")
            case CancelTurn(turn_id="break"):
                raise ZeroDivisionError
            case DrainTurns():
                self.drained = True
                return None
        return Cancelling("done")


async def test_requests_do_not_wait_for_each_other() -> None:
    """A slow one does not hold up the next."""
    actor = Actor()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.run)
        nursery.start_soon(actor.mailbox.ask, cancel("wait"))
        await trio.testing.wait_all_tasks_blocked()
        assert await actor.mailbox.ask(cancel("at once")) == Cancelling("done")
        nursery.cancel_scope.cancel()


async def test_only_so_many_are_served_at_once() -> None:
    """The others wait in the mailbox, where they are counted."""
    actor = Actor(at_once=2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.run)
        await trio.testing.wait_all_tasks_blocked()  # it takes requests before the first one comes
        for _ in range(5):
            nursery.start_soon(actor.mailbox.ask, cancel("wait"))
        await trio.testing.wait_all_tasks_blocked()
        assert (actor.serving, actor.mailbox.waiting) == (2, 2)  # and one has been taken out
        actor.may_go.set()
        await trio.testing.wait_all_tasks_blocked()
        assert actor.serving == 5
        actor.mailbox.close()


async def test_a_refusal_reaches_whoever_asked() -> None:
    """And nobody else."""
    actor = Actor()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.run)
        with pytest.raises(GatewayError, match="REQUEST_NOT_FOUND"):
            await actor.mailbox.ask(cancel("refuse"))
        assert await actor.mailbox.ask(cancel("go on")) == Cancelling("done")
        actor.mailbox.close()


async def test_a_bug_in_one_request_ends_there(caplog: pytest.LogCaptureFixture) -> None:
    """It is answered as INTERNAL_ERROR and logged with its traceback; the actor lives on."""
    actor = Actor()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.run)
        with caplog.at_level(logging.ERROR), pytest.raises(GatewayError, match="INTERNAL_ERROR"):
            await actor.mailbox.ask(cancel("break"))
        assert caplog.records[0].exc_info is not None
        assert await actor.mailbox.ask(cancel("go on")) == Cancelling("done")
        actor.mailbox.close()


async def test_mail_that_cannot_be_read_ends_there() -> None:
    """A message of a stranger's union is a mistake; the actor lives on."""
    actor = Actor()
    stranger: Mailbox[UsageMail] = actor.mailbox  # type: ignore[assignment]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.run)
        with pytest.raises(GatewayError, match="INTERNAL_ERROR"):
            await stranger.ask(InspectTurn(session_id="s", turn_id="turn_1"))
        assert await actor.mailbox.ask(cancel("go on")) == Cancelling("done")
        actor.mailbox.close()


async def test_what_is_told_needs_no_answer() -> None:
    """It is done, and that is all."""
    actor = Actor()
    actor.mailbox.offer(DrainTurns())
    actor.mailbox.close()
    await actor.run()
    assert actor.drained


async def test_asks_being_served_are_abandoned_when_the_loop_is_cancelled() -> None:
    """As are those that wait for their turn: all get ActorStopped."""
    actor = Actor(at_once=1)
    stopped = 0

    async def ask() -> None:
        nonlocal stopped
        with pytest.raises(ActorStopped):
            await actor.mailbox.ask(cancel("wait"))
        stopped += 1

    async with trio.open_nursery() as askers, trio.open_nursery() as actors:
        actors.start_soon(actor.run)
        for _ in range(3):
            askers.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        assert (actor.serving, stopped) == (1, 0)
        actors.cancel_scope.cancel()
    assert stopped == 3


class Clerk:
    """Answers one request after another, without waiting for anything."""

    def __init__(self) -> None:
        self.mailbox: Mailbox[LlmMail] = Mailbox("llm", LlmMail, 64)
        self.served = 0

    async def run(self) -> None:
        """The actor's life."""
        await serve_in_turn(self.mailbox, self._respond)

    def _respond(self, message: LlmMail) -> Cancelling | None:
        match message:
            case CancelTurn(turn_id="refuse"):
                raise GatewayError("REQUEST_NOT_FOUND", "No.")
            case CancelTurn(turn_id="break"):
                raise ZeroDivisionError
            case CancelTurn():
                return Cancelling("done")
        self.served += 1
        return None


async def test_what_needs_no_waiting_is_answered_in_turn(caplog: pytest.LogCaptureFixture) -> None:
    """A refusal, a bug and mail that needs no answer end there; the actor lives on."""
    clerk = Clerk()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clerk.run)
        for name in ("refuse", "break"):
            with pytest.raises(GatewayError):
                await clerk.mailbox.ask(cancel(name))
        assert [record.exc_info is not None for record in caplog.records] == [True]
        await clerk.mailbox.tell(DrainTurns())
        assert await clerk.mailbox.ask(cancel("a")) == Cancelling("done")
        assert clerk.served == 1
        clerk.mailbox.close()


async def test_a_full_mailbox_leaves_the_others_a_turn() -> None:
    """Nobody waits until all of it is answered."""
    clerk = Clerk()
    for _ in range(64):
        clerk.mailbox.offer(DrainTurns())
    seen: list[int] = []

    async def watch() -> None:
        while clerk.served < 64:
            seen.append(clerk.served)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(clerk.run)
        nursery.start_soon(watch)
        await trio.testing.wait_all_tasks_blocked()
        clerk.mailbox.close()
    # Of two tasks, trio runs either one first: between two looks there may be two rows of messages.
    assert max(later - earlier for earlier, later in pairwise(seen)) <= 2 * IN_A_ROW
