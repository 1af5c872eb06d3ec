"""How a turn begins: its request is built, admitted and written, while it has its session alone."""

from __future__ import annotations

from typing import assert_never

import msgspec

from actors.context.archive import Archive
from actors.context.assembly import title_of
from actors.context.building import Build, Builder
from actors.context.declared import fitted
from actors.context.gathering import ContextSettings
from actors.context.parts import Parts
from actors.context.sessions import NO_SESSION, Held
from actors.deadline import TOO_SLOW
from actors.mailbox import Address
from protocol.beginning import Begun
from protocol.errors import GatewayError, session_busy
from protocol.mail import Admit, BeginTurn, ContextBuilt, Done, WithdrawTurn
from protocol.records import SessionRecord, TurnRecord


class Beginnings:
    """Lets turns begin, and takes those back that nobody waits for any more."""

    def __init__(
        self,
        settings: ContextSettings,
        parts: Parts,
        archive: Archive,
        *,
        usage: Address,
    ) -> None:
        self._builder = Builder(settings, parts)
        self._parts = parts
        self._archive = archive
        self._usage = usage
        self._ask_seconds = settings.ask_seconds

    async def begin(self, request: BeginTurn) -> ContextBuilt:
        """Build a turn's first request, and write it. Raises GatewayError when it may not begin."""
        send, sessions = request.send, self._parts.sessions
        if send.tools:
            send = msgspec.structs.replace(send, tools=await fitted(send.tools))
            request = msgspec.structs.replace(request, send=send)
        if send.session_id is None:
            session = self._archive.new(
                agent_id=send.agent_id, model=None, system=None, title=title_of(send.content)
            )
            async with sessions.create(session.session_id) as held:
                return await self._begin(request, session, held, is_new=True)
        if send.model is not None:  # a model that is new may take the provider a while
            await self._parts.catalog.describe(send.model)
        async with sessions.open(send.session_id) as held:
            assert held.session is not None
            return await self._begin(request, held.session, held, is_new=False)

    async def _begin(
        self, request: BeginTurn, before: SessionRecord, held: Held, *, is_new: bool
    ) -> ContextBuilt:
        send = request.send
        build = await self._builder.build(request.turn_id, send, before, held, is_new=is_new)
        context = build.context
        if send.max_cost is not None:
            admit = Admit(max_cost=send.max_cost, cost_estimate=context.prompt.likely_cost)
            await self._usage.ask_within(self._ask_seconds, admit)
        row = context.row(request.turn_id, send.id, request.created_at)
        if not self._parts.underway.begin(row, build.flight):
            raise GatewayError.of(TOO_SLOW)
        try:
            await self._write(build, row, held, is_new=is_new)
        except BaseException:
            if not build.flight.has_begun:
                self._parts.underway.end(row.turn_id)
                self._parts.underway.settled(row.turn_id)
            raise
        return context

    async def _write(self, build: Build, row: TurnRecord, held: Held, *, is_new: bool) -> None:
        begun = await self._parts.store.begin_turn(build.change, row, is_new=is_new)
        if begun.outcome == "stale":
            held.forget()
        _check(begun)
        build.flight.has_begun = True  # its row is written: whatever comes now, it must be settled
        held.adopt(build.change, build.transcript)

    async def withdraw(self, request: WithdrawTurn) -> Done:
        """Undo the beginning of a turn of which nothing was sent; if it has not begun, it will not.

        Its client was told to send again: there shall be one question then.
        """
        underway, turn_id = self._parts.underway, request.turn_id
        flight = underway.withdraw(turn_id, self._parts.clock.now())
        if flight is None:
            return Done()
        # A beginning that is still being written has the session's lock, and comes first.
        async with self._parts.sessions.forget(flight.session_id):
            if underway.end(turn_id) is not None:
                epoch = None if flight.former is None else flight.former.epoch
                await self._parts.store.withdraw_turn(
                    turn_id, flight.before, epoch=epoch, is_new=flight.is_new
                )
        underway.settled(turn_id)
        return Done()


def _check(begun: Begun) -> None:
    """Raises GatewayError for a turn that may not begin."""
    match begun.outcome:
        case "begun":
            return
        case "gone":
            raise GatewayError.of(NO_SESSION)
        case "known":
            raise GatewayError(
                "TURN_NOT_FOUND",
                "This request has had its turn, too long ago to be resumed. What came of it is "
                "in the session's history; a new question needs a new `id`.",
                turn_id=begun.turn_id,
            )
        case "busy":
            raise session_busy(begun.turn_id)
        case "stale":
            raise GatewayError(
                "SESSION_BUSY",
                "The session has changed while this message was prepared. Send it again.",
                retryable=True,
            )
    assert_never(begun.outcome)
