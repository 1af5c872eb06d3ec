"""What a turn writes after its beginning: each step before it goes upstream, and its end.

Each is one commit, together with the turn's row. After the commit, memory has it too.
"""

from __future__ import annotations

import msgspec

from actors.context.estimate.sent import Billed
from actors.context.flight import Flight
from actors.context.gathering import Said
from actors.context.parts import Parts
from actors.context.sessions import Held
from actors.serving import BUG
from protocol.context import with_dropped
from protocol.errors import Failure, GatewayError
from protocol.mail import (
    CompleteTurn,
    Done,
    ExtendContext,
    KeepAnswer,
    RenewContext,
)
from protocol.prompt import Prompt
from protocol.provider.containers import told_container
from protocol.records import (
    Attached,
    Change,
    Entry,
    EntryStatus,
    Head,
    SessionRecord,
    TurnRecord,
    Withheld,
)
from protocol.transcript import Transcript

DELETED = Failure(code="SESSION_NOT_FOUND", message="This session has been deleted.")


class TurnWrites:
    """Takes turns that have begun to their end."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def keep(self, request: KeepAnswer) -> Done:
        """Write an answer whose tools are about to run. Raises GatewayError."""
        flight = self._found(request.turn)
        async with self._parts.sessions.open(flight.session_id) as held:
            entries = await self._new(held, flight, request)
            change = Change(session=self._session(held, request), entries=tuple(entries))
            await self._write(change, request.turn, held)
        return Done()

    async def extend(self, request: ExtendContext) -> Prompt:
        """Write what a step has said; the next request has it. Raises GatewayError."""
        flight = self._found(request.turn)
        async with self._parts.sessions.open(flight.session_id) as held:
            own = _turn_of(held, request.turn)
            entries = await self._new(held, flight, request)
            held.billed = _billed(request.turn, flight) or held.billed
            said = Said(entries, own=own[0].place)
            session = self._session(held, request)
            return await self._go_on(flight, held, request.turn, said, session)

    async def renew(self, request: RenewContext) -> Prompt:
        """Make a request anew that the provider has refused. Raises GatewayError."""
        flight = self._found(request.turn)
        async with self._parts.sessions.open(flight.session_id) as held:
            assert held.session is not None
            session, said = held.session, Said([], own=_turn_of(held, request.turn)[0].place)
            if request.container:
                session = msgspec.structs.replace(session, container=None)
                return await self._go_on(flight, held, request.turn, said, session)
            transcript = await held.transcript(flight.ground.binding)
            thoughts = transcript.sums().thoughts
            refused = _refused(transcript, said.own, request)
            if refused is not None:
                said = said._replace(withheld=_whole_turn(held, refused))
            prompt = await self._go_on(
                flight, held, request.turn, said, session, renews=True, room=request.room
            )
            if refused is not None:
                flight.former = None  # its thinking is bound to that turn
            if refused is not None or request.room is not None:
                return prompt
            left = (await held.transcript(flight.ground.binding)).sums().thoughts
            context = with_dropped(prompt.context, thoughts - left)
            return msgspec.structs.replace(prompt, context=context)

    async def _go_on(
        self,
        flight: Flight,
        held: Held,
        turn: TurnRecord,
        said: Said,
        session: SessionRecord,
        *,
        renews: bool = False,
        room: int | None = None,
    ) -> Prompt:
        """The turn's next request; what it has that is new is written before it is sent.

        It leaves the `session` as this.
        """
        now = self._parts.clock.now()
        flight.run_in(session.container, now)
        ground = msgspec.structs.replace(flight.ground, session=session)
        async with self._parts.composer.compose(
            held, ground, said, renews=renews, room=room
        ) as draft:
            if draft.transcript is not None and draft.composed.has_own_thinking:
                flight.forgive()
            prompt = flight.prompt(draft.composed, now)
        await self._write(draft.change, turn, held, draft.transcript)
        return prompt

    async def _write(
        self, change: Change, turn: TurnRecord, held: Held, transcript: Transcript | None = None
    ) -> None:
        """Write a running turn's change. Raises GatewayError(SESSION_NOT_FOUND)."""
        if not await self._parts.store.extend_turn(change, turn):
            held.forget()
            raise GatewayError.of(DELETED)
        held.adopt(change, transcript)

    async def complete(self, request: CompleteTurn) -> Done:
        """Write how a turn ended, and learn from its bills."""
        flight = self._parts.underway.end(request.turn.turn_id)
        if flight is None:
            return Done()  # it is written, or being written
        try:
            await self._end(request, flight)
        finally:
            self._parts.underway.settled(request.turn.turn_id)
        return Done()

    async def _end(self, request: CompleteTurn, flight: Flight) -> None:
        turn = request.turn
        try:
            async with self._parts.sessions.open(flight.session_id) as held:
                self._learn(turn, flight)
                await self._settle(request, flight, held)
                held.billed = _billed(turn, flight) or held.billed
                held.is_mismatched |= request.mismatched
        except Exception as error:
            # Even if the answer cannot be kept, the bill is written. The fence refuses the change:
            # the session has another version than before the turn, or is deleted.
            if not flight.is_settled:
                unchanged = Change(session=flight.before)
                await self._parts.store.settle_turn(unchanged, turn)  # noqa: ASYNC120 - or the next start
            if not (isinstance(error, GatewayError) and error.failure.code == "SESSION_NOT_FOUND"):
                raise

    async def _settle(self, request: CompleteTurn, flight: Flight, held: Held) -> None:
        own = _turn_of(held, request.turn)
        session, head = self._session(held, request), held.head
        assert head is not None
        if request.container_gone:
            session = msgspec.structs.replace(session, container=None)
        entries = await self._new(held, flight, request)
        if request.restores:
            before = flight.before
            session = msgspec.structs.replace(
                session, model=before.model, system=before.system, tools=before.tools
            )
        change = Change(session=session, entries=tuple(entries))
        if request.unsent == "results":
            withheld = Withheld(first=own[-1].place, status="replaced")
            change = msgspec.structs.replace(change, withheld=withheld)
        elif request.unsent == "turn":
            change = _unsent(change, own[0].place, request.status, head, flight.former)
        is_kept = await self._parts.store.settle_turn(change, request.turn)
        flight.is_settled = True
        if is_kept and change.head is None:
            held.adopt(change)
        else:
            held.forget()  # it is loaded anew

    def _session(
        self, held: Held, request: KeepAnswer | ExtendContext | CompleteTurn
    ) -> SessionRecord:
        """The session with the container that an answer has told of."""
        session = held.session
        assert session is not None
        now = self._parts.clock.now()
        container = told_container(request.container, session.container, now)
        return msgspec.structs.replace(session, container=container)

    async def _new(
        self, held: Held, flight: Flight, request: KeepAnswer | ExtendContext | CompleteTurn
    ) -> list[Entry]:
        """The messages that the session does not have yet."""
        turn = request.turn
        own = _turn_of(held, turn)
        have = sum(entry.role != "system" for entry in own) - 1
        new = request.messages[max(0, have - request.at) :]
        session = await held.transcript(flight.ground.binding)
        return await self._parts.gatherer.measured(
            turn.model,
            turn.turn_id,
            flight.ids.distinct(new, session, session.before(own[0].place)),
            held.next_place,
            self._parts.clock.now(),
        )

    def _found(self, turn: TurnRecord) -> Flight:
        flight = self._parts.underway.find(turn.turn_id)
        if flight is None:
            raise GatewayError.of(BUG)
        return flight

    def _learn(self, turn: TurnRecord, flight: Flight) -> None:
        """Learn what the turn's requests were billed."""
        for step in turn.steps:
            sample = step.sample(turn.model)
            if sample is not None:
                sent = flight.find(sample) if step.terms.model is None else None
                self._parts.calibrations.learn(sample, None if sent is None else sent.estimate)


def _billed(turn: TurnRecord, flight: Flight) -> Billed | None:
    """The turn's latest request whose bill is known."""
    for step in reversed(turn.steps):
        if step.terms.model is not None:
            continue  # the other model's cache and tokens are none of this session's
        sample = step.sample(turn.model)
        sent = None if sample is None else flight.find(sample)
        if sample is not None and sent is not None:
            return Billed(sent=sent, tokens=sample.billed)
    return None


def _turn_of(held: Held, turn: TurnRecord) -> list[Entry]:
    """The running turn's entries, the question first."""
    found = held.last_turn()
    if not found or found[0].turn_id != turn.turn_id:
        raise GatewayError.of(DELETED)
    return found


def _refused(transcript: Transcript, own: int, request: RenewContext) -> Entry | None:
    """The entry that the provider complains of. Raises GatewayError when there is none."""
    if request.without is not None:
        return transcript.entries[request.without]
    if not request.attachment:
        return None
    before = transcript.entries[: transcript.before(own)]
    for entry in reversed(before):
        if entry.attached != Attached() or entry.media_tokens:
            return entry
    raise GatewayError(
        "LLM_ERROR", "The provider refuses a picture or a document, and this session has none."
    )


def _whole_turn(held: Held, one: Entry) -> Withheld:
    """The whole turn that has this entry, withheld."""
    places = [entry.place for entry in held.entries if entry.turn_id == one.turn_id]
    return Withheld(first=places[0], last=places[-1], status="refused")


def _unsent(
    change: Change, first: int, status: EntryStatus, head: Head, former: Head | None
) -> Change:
    """The change that withholds a turn, which begins at the place `first`.

    If an epoch began with the turn, the `former` head comes back: the thinking that is bound to
    that head stays valid.
    """
    entries = tuple(msgspec.structs.replace(entry, status=status) for entry in change.entries)
    restored = None
    if former is not None and former.epoch != head.epoch:
        restored = msgspec.structs.replace(former, epoch=head.epoch)
    withheld = Withheld(first=first, status=status)
    return msgspec.structs.replace(change, withheld=withheld, entries=entries, head=restored)
