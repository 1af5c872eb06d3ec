"""Sessions: what each is to the provider, the requests made of it, and what those weigh.

A session is a transcript (`protocol.transcript`). A turn adds to it three times: its question, with
what has changed since the last one; each step's answer and results, before they go upstream; the
last answer. Each is one commit with the turn's row, and nothing is written twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, assert_never

import msgspec
import trio
from msgspec import UNSET

from actors.context.archive import Archive
from actors.context.assembly import Shape, title_of
from actors.context.catalog import Catalog
from actors.context.composed import Composed
from actors.context.composing import Composer, ContextSettings, Draft, Ground, Said
from actors.context.estimate.calibration import Calibrations
from actors.context.estimate.clearing import clearing
from actors.context.estimate.counting import Counter
from actors.context.estimate.sent import Billed
from actors.context.estimate.weighing import Weigher, Weight, scaled
from actors.context.flight import Flight, Underway
from actors.context.sessions import Held, Sessions
from actors.context.toolset import chosen_tools
from actors.mailbox import Mailbox
from actors.ports import (
    Clock,
    Library,
    Media,
    Model,
    Names,
    Prices,
    SessionStore,
    Tokenizer,
    Tools,
)
from actors.serving import BUG, serve
from protocol.beginning import Begun
from protocol.client import (
    ChatSend,
    ContextInspect,
    ModelList,
    SessionCreate,
    SessionDelete,
    SessionHistory,
    SessionList,
)
from protocol.errors import GatewayError
from protocol.mail import (
    BeginTurn,
    BuildContext,
    CompleteTurn,
    ContextBuilt,
    ContextMail,
    Done,
    ExtendContext,
    NewMessage,
    RenewContext,
)
from protocol.prompt import Prompt
from protocol.provider.models import (
    ModelInfo,
    Thinking,
    choose_thinking,
    guarded,
    without_budget,
)
from protocol.provider.thinking import ThinkingBudget
from protocol.records import Change, Entry, SessionRecord, TurnRecord, Withheld
from protocol.server import ContextInspection, ModelListing
from protocol.tools import OfferedTool

__all__ = ["Context", "ContextSettings"]


class Context:
    """The actor that owns the sessions' transcripts."""

    def __init__(
        self,
        mailbox: Mailbox[ContextMail],
        settings: ContextSettings,
        *,
        store: SessionStore,
        model: Model,
        catalog: Catalog,
        tokenizer: Tokenizer,
        media: Media,
        prices: Prices,
        library: Library,
        tools: Tools,
        clock: Clock,
        names: Names,
    ) -> None:
        self._mailbox = mailbox
        self._settings = settings
        self._store = store
        self._model = model
        self._catalog = catalog
        self._calibrations = Calibrations()
        self._weigher = Weigher(prices, self._calibrations)
        self._composer = Composer(
            settings,
            counter=Counter(tokenizer, media),
            weigher=self._weigher,
            library=library,
            tools=tools,
            media=media,
        )
        self._clock = clock
        self._sessions = Sessions(store, keep_bytes=settings.history_cache_bytes)
        self._archive = Archive(
            self._sessions,
            store,
            model=settings.default_model,
            tools=settings.server_tools,
            page_size=settings.page_size,
            longest_page=settings.longest_page,
            clock=clock,
            names=names,
        )
        self._underway = Underway()

    @property
    def open_rows(self) -> int:
        """How many turns' rows were opened and are not settled yet."""
        return len(self._underway.open)

    @property
    def oldest_open_seconds(self) -> float:
        """How long ago the oldest unsettled turn was made; 0 when every row is settled."""
        opened = self._underway.open.values()
        return max(0, self._clock.now() - min(opened)) / 1_000 if opened else 0.0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Learn what was billed before, then serve until the mailbox is closed."""
        self._calibrations.recall(await self._store.load_calibration())
        task_status.started()
        await serve(self._mailbox, self._respond, at_once=self._settings.at_once)

    async def _respond(self, message: ContextMail) -> msgspec.Struct:
        match message:
            case BuildContext():
                return await self._build(message)
            case BeginTurn():
                return await self._begin(message)
            case ExtendContext():
                return await self._extend(message)
            case RenewContext():
                return await self._renew(message)
            case CompleteTurn():
                return await self._complete(message)
            case ContextInspect():
                return await self._inspect(message)
            case ModelList():
                return ModelListing(
                    request_id=message.id,
                    default_model=self._settings.default_model,
                    models=await self._catalog.list(),
                )
        return await self._look_up(message)

    async def _look_up(
        self, message: SessionCreate | SessionList | SessionHistory | SessionDelete
    ) -> msgspec.Struct:
        match message:
            case SessionCreate():
                return await self._archive.create(message)
            case SessionList():
                return await self._archive.list(message)
            case SessionHistory():
                return await self._archive.read(message)
            case SessionDelete():
                return await self._archive.delete(message)
        assert_never(message)

    # --- a turn's first request ----------------------------------------------------------------

    async def _build(self, request: BuildContext) -> ContextBuilt:
        send = request.send
        if send.session_id is None:
            session = self._archive.new(
                agent_id=send.agent_id, model=None, system=None, title=title_of(send.content)
            )
            return await self._built(request, session, Held(), is_new=True)
        async with self._sessions.open(send.session_id) as held:
            assert held.session is not None
            return await self._built(request, held.session, held, is_new=False)

    async def _built(
        self, request: BuildContext, before: SessionRecord, held: Held, *, is_new: bool
    ) -> ContextBuilt:
        send, composer, now = request.send, self._composer, self._clock.now()
        agent = await composer.agent(before)
        session = _renewed(before, send, agent.tools, now)
        info = await self._catalog.describe(session.model)
        limit = composer.output_limit(info, send.max_tokens)
        ground = composer.ground(held, session, agent, info, limit)
        said = await composer.said(
            held, session.model, turn_id=request.turn_id, content=send.content, info=info, now=now
        )
        async with composer.compose(held, ground, said, announces=True) as draft:
            composed = draft.composed
            if composed.transcript.ends_in_thoughtless_calls:
                info = without_budget(info, send.thinking)
            thinking, max_tokens = self._affordable(send, info, composed, limit, now)
            flight = Flight(
                request.turn_id,
                draft,
                before=before,
                is_new=is_new,
                ground=ground,
                shape=self._shape(ground, thinking, max_tokens),
                has_budget=send.max_cost is not None,
            )
            self._underway.built(flight)
            return ContextBuilt(
                session_id=session.session_id,
                session_key=session.key,
                agent_id=session.agent_id,
                model=session.model,
                is_new=is_new,
                prompt=_prompt(flight, composed, now),
                cost_estimate=composed.cost_estimate,
                weights=composed.weights(),
                ratio=composed.scale.line.ratio,
                capped=max_tokens < limit,
                attached=said.entries[-1].attached,
                most_attached=info.most_attached,
                room=ground.allowance.room,
                tools=ground.toolset.rules,
                client_tools=ground.toolset.client_names,
            )

    def _affordable(
        self, send: ChatSend, info: ModelInfo, composed: Composed, limit: int, now: int
    ) -> tuple[Thinking, int]:
        """The thinking, and the longest answer in tokens, for which `maxCost` suffices.

        How a model thinks decides what of its prompt the provider remembers; what that costs, how
        long the answer may be; and that, how it can think. So from the best downwards, until these
        agree. Raises GatewayError(BUDGET_EXCEEDED).
        """
        max_tokens = limit
        while True:
            thinking = self._thinking(send, info, max_tokens)
            if send.max_cost is None:
                return thinking, max_tokens
            shape = Shape(
                model=composed.model,
                max_tokens=max_tokens,
                thinking=guarded(composed.model, thinking.config),
                effort=thinking.effort,
                edits=None,
                caches=composed.caches,
            )
            cost = composed.likely_cost(now, shape.kind_of_thinking)
            left = self._weigher.affordable_output(composed.model, cost, send.max_cost)
            affordable = min(max_tokens, left)
            wanted = send.thinking
            if isinstance(wanted, ThinkingBudget) and affordable <= wanted.budget_tokens:
                raise GatewayError(
                    "BUDGET_EXCEEDED",
                    f"`maxCost`: beside the context it leaves {affordable:,} tokens for an answer, "
                    "too few for `thinking.budgetTokens`. Raise the one, or lower the other.",
                )
            if self._thinking(send, info, affordable) == thinking:
                return thinking, affordable
            max_tokens = affordable

    def _thinking(self, send: ChatSend, info: ModelInfo, max_tokens: int) -> Thinking:
        return choose_thinking(
            info,
            send.thinking,
            send.effort,
            max_tokens=max_tokens,
            budget=self._settings.thinking_budget,
        )

    def _shape(self, ground: Ground, thinking: Thinking, max_tokens: int) -> Shape:
        trigger = ground.allowance.clears_at
        model = ground.session.model
        return Shape(
            model=model,
            max_tokens=max_tokens,
            thinking=guarded(model, thinking.config),
            effort=thinking.effort,
            edits=None if trigger is None else clearing(trigger),
            caches=self._settings.prompt_caching,
        )

    # --- what a turn writes --------------------------------------------------------------------

    async def _begin(self, request: BeginTurn) -> Done:
        flight = self._underway.begin(request.turn)
        if flight is None or flight.draft is None:
            raise GatewayError.of(BUG)
        draft, sessions = flight.draft, self._sessions
        place = sessions.create if flight.is_new else sessions.open
        try:
            async with place(flight.session_id) as held:
                begun = await self._store.begin_turn(
                    draft.change, request.turn, is_new=flight.is_new
                )
                if begun.outcome == "stale":
                    held.forget()
                _check(begun)
                held.adopt(draft.change, draft.transcript)
                flight.draft = None
        except GatewayError:
            self._underway.end(request.turn.turn_id)
            self._underway.settled(request.turn.turn_id)
            raise
        return Done()

    async def _extend(self, request: ExtendContext) -> Prompt:
        flight = self._found(request.turn)
        async with self._sessions.open(flight.session_id) as held:
            own = _turn_of(held, request.turn)
            entries = await self._new(held, request.turn, request.at, request.messages)
            return await self._go_on(flight, held, request.turn, Said(entries, own=own[0].place))

    async def _renew(self, request: RenewContext) -> Prompt:
        flight = self._found(request.turn)
        async with self._sessions.open(flight.session_id) as held:
            said = Said([], own=_turn_of(held, request.turn)[0].place)
            return await self._go_on(
                flight, held, request.turn, said, renews=True, room=request.room
            )

    async def _go_on(
        self,
        flight: Flight,
        held: Held,
        turn: TurnRecord,
        said: Said,
        *,
        renews: bool = False,
        room: int | None = None,
    ) -> Prompt:
        """The turn's next request; what it has that is new is written before it is sent."""
        assert held.session is not None
        now = self._clock.now()
        ground = msgspec.structs.replace(flight.ground, session=held.session)
        async with self._composer.compose(held, ground, said, renews=renews, room=room) as draft:
            prompt = _prompt(flight, draft.composed, now)
        if not await self._store.extend_turn(draft.change, turn):
            held.forget()
            raise GatewayError("SESSION_NOT_FOUND", "This session has been deleted.")
        held.adopt(draft.change, draft.transcript)
        return prompt

    async def _complete(self, request: CompleteTurn) -> Done:
        turn = request.turn
        flight = self._underway.end(turn.turn_id)
        if flight is not None:
            billed = self._learn(turn, flight)
            try:
                # A beginning that is still being written has the session's lock, and comes first.
                async with self._sessions.open(flight.session_id) as held:
                    if flight.has_begun:
                        await self._settle(request, flight, held)
                        held.billed = billed or held.billed
                        held.is_mismatched |= request.mismatched
            except GatewayError as error:
                if error.failure.code != "SESSION_NOT_FOUND":
                    raise
                # Deleted while it was answered: the answer is not wanted any more, its bill is.
                if flight.has_begun:
                    await self._store.settle_turn(Change(session=flight.ground.session), turn)
        self._underway.settled(turn.turn_id)
        return Done()

    async def _settle(self, request: CompleteTurn, flight: Flight, held: Held) -> None:
        session = held.session
        assert session is not None
        if request.restores:
            before = flight.before
            session = msgspec.structs.replace(
                session, model=before.model, system=before.system, tools=before.tools
            )
        try:
            change = await self._last_change(request, held, session)
        except Exception:
            # Its answer cannot be kept, but what it cost is written.
            await self._write_end(Change(session=session), request.turn, held)
            raise
        await self._write_end(change, request.turn, held)

    async def _last_change(
        self, request: CompleteTurn, held: Held, session: SessionRecord
    ) -> Change:
        """What the turn's end adds to its session."""
        own = _turn_of(held, request.turn)
        entries = await self._new(held, request.turn, request.at, request.messages)
        withheld = None
        if request.unsent == "turn":
            withheld = Withheld(first=own[0].place, status=request.status)
            entries = [msgspec.structs.replace(one, status=request.status) for one in entries]
        elif request.unsent == "results":
            withheld = Withheld(first=own[-1].place, status="replaced")
        return Change(session=session, withheld=withheld, entries=tuple(entries))

    async def _write_end(self, change: Change, turn: TurnRecord, held: Held) -> None:
        if await self._store.settle_turn(change, turn):
            held.adopt(change)
        else:
            held.forget()

    async def _new(
        self, held: Held, turn: TurnRecord, at: int, messages: Sequence[NewMessage]
    ) -> list[Entry]:
        """Of a turn's messages, which begin with number `at`, those that it does not have yet."""
        have = sum(entry.role != "system" for entry in _turn_of(held, turn)) - 1
        return await self._composer.measured(
            turn.model,
            turn.turn_id,
            messages[max(0, have - at) :],
            held.next_place,
            self._clock.now(),
        )

    def _found(self, turn: TurnRecord) -> Flight:
        flight = self._underway.find(turn.turn_id)
        if flight is None:
            raise GatewayError.of(BUG)
        return flight

    def _learn(self, turn: TurnRecord, flight: Flight) -> Billed | None:
        """Learn what the turn was billed; its latest request whose bill is known."""
        latest = None
        for step in turn.steps:
            sample = step.sample(turn.model)
            if sample is None:
                continue
            sent = flight.find(sample)
            self._calibrations.learn(sample, None if sent is None else sent.estimate)
            if sent is not None:
                latest = Billed(sent=sent, tokens=sample.billed)
        return latest

    # --- inspection ----------------------------------------------------------------------------

    async def _inspect(self, request: ContextInspect) -> ContextInspection:
        if request.exact and request.content is None:
            raise GatewayError("INVALID_MESSAGE", "`exact`: the provider counts with a `content`.")
        exact = await self._count(request) if request.exact else None
        async with self._inspected(request) as (info, draft, _):
            composed = self._exactly(draft.composed, exact)
            sections = composed.sections(self._clock.now())
            return ContextInspection(
                request_id=request.id,
                model=composed.model,
                sections=sections,
                totals=composed.totals(sections),
                window=composed.window(info.max_input_tokens),
                calibration=self._calibrations.calibration(
                    composed.model, has_tools=composed.has_tools
                ),
                context=composed.context or UNSET,
                exact_tokens=UNSET if exact is None else exact,
            )

    @asynccontextmanager
    async def _inspected(
        self, request: ContextInspect
    ) -> AsyncIterator[tuple[ModelInfo, Draft, Ground]]:
        """The request that would be sent, to be looked at inside."""
        composer = self._composer
        async with self._sessions.open(request.session_id) as held:
            assert held.session is not None
            session = held.session
            if request.model is not None:
                session = msgspec.structs.replace(session, model=request.model)
            info = await self._catalog.describe(session.model)
            agent = await composer.agent(session)
            ground = composer.ground(held, session, agent, info, composer.output_limit(info, None))
            said = Said([], own=held.next_place)
            if request.content is not None:
                said = await composer.said(
                    held,
                    session.model,
                    turn_id="",
                    content=request.content,
                    info=info,
                    now=session.last_active_at,
                )
            async with composer.compose(held, ground, said, announces=True) as draft:
                yield info, draft, ground

    async def _count(self, request: ContextInspect) -> int:
        """The provider's own count of what would be sent."""
        async with self._inspected(request) as (info, draft, ground):
            most = self._composer.output_limit(info, None)
            shape = self._shape(ground, Thinking(config=None, effort=None), most)
            prompt = draft.composed.prompt(shape, None)
        return await self._model.count_tokens(prompt.body, prompt.betas)

    def _exactly(self, composed: Composed, tokens: int | None) -> Composed:
        """The same request, at the provider's own count: the sections keep their proportions."""
        if tokens is None:
            return composed
        sections = scaled(composed.weight.sections, tokens)
        return msgspec.structs.replace(
            composed,
            weight=Weight(sections=sections, cleared=composed.weight.cleared),
            rates=self._weigher.rates(composed.model, tokens, caches=composed.caches),
        )


def _prompt(flight: Flight, composed: Composed, now: int) -> Prompt:
    """A turn's request, which is remembered until its bill is known."""
    flight.add(composed, now)
    return composed.prompt(flight.shape, flight.likely_cost(composed, now))


def _turn_of(held: Held, turn: TurnRecord) -> list[Entry]:
    """The running turn's entries, the question first."""
    found = held.last_turn()
    if not found or found[0].turn_id != turn.turn_id:
        raise GatewayError("SESSION_NOT_FOUND", "This session has been deleted.")
    return found


def _renewed(
    session: SessionRecord, send: ChatSend, offered: list[OfferedTool], now: int
) -> SessionRecord:
    """The session as `send` leaves it: it remembers the last model, system and tools."""
    if send.agent_id is not None and send.agent_id != session.agent_id:
        raise GatewayError(
            "INVALID_MESSAGE",
            f"`agentId`: this session belongs to the agent `{session.agent_id}`.",
        )
    changes: dict[str, Any] = {
        "last_active_at": now,
        "tools": chosen_tools(session.tools, send, offered),
    }
    if send.model is not None:
        changes["model"] = send.model
    if send.system is not None:
        changes["system"] = send.system
    return msgspec.structs.replace(session, **changes)


def _check(begun: Begun) -> None:
    """Raises GatewayError for a turn that may not begin."""
    match begun.outcome:
        case "begun":
            return
        case "gone":
            raise GatewayError(
                "SESSION_NOT_FOUND",
                "There is no such session. Leave `sessionId` out to begin a new one.",
            )
        case "known":
            raise GatewayError(
                "TURN_NOT_FOUND",
                "This request has had its turn, too long ago to be resumed. What came of it is "
                "in the session's history; a new question needs a new `id`.",
                turn_id=begun.turn_id,
            )
        case "busy":
            raise GatewayError(
                "SESSION_BUSY",
                "Another turn of this session is still running. Wait for its end, or resume it.",
                retryable=True,
                turn_id=begun.turn_id,
            )
        case "stale":
            raise GatewayError(
                "SESSION_BUSY",
                "The session has changed while this message was prepared. Send it again.",
                retryable=True,
            )
    assert_never(begun.outcome)
