"""Sessions: their history, the requests built from it, and what those weigh.

A message's bytes and tokens are measured once, when it is stored; building and inspecting cost
only the new text.
"""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import Any, assert_never

import msgspec
import trio
from msgspec import UNSET, UnsetType

from actors.context.archive import Archive
from actors.context.assembly import title_of
from actors.context.catalog import Catalog
from actors.context.composing import Composer, ContextSettings
from actors.context.estimate.calibration import Calibrations
from actors.context.estimate.counting import Counter
from actors.context.estimate.sent import Billed, Flight, SentRequest, Underway
from actors.context.estimate.weighed import Weighed
from actors.context.estimate.weighing import Weigher
from actors.context.extending import extend
from actors.context.history import Held, Sessions
from actors.context.toolset import chosen_tools
from actors.deadline import deadline
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
from actors.serving import serve
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
    ContextExtended,
    ContextMail,
    Done,
    ExtendContext,
)
from protocol.prompt import ends_in_thoughtless_calls
from protocol.provider.models import ModelInfo, Thinking, choose_thinking, without_budget
from protocol.provider.thinking import ThinkingBudget
from protocol.records import CalibrationRecord, MessageRecord, SessionRecord
from protocol.server import ContextInspection, ModelListing
from protocol.tools import OfferedTool

__all__ = ["Context", "ContextSettings"]

log = logging.getLogger(__name__)


class Context:
    """The actor that owns the sessions' history."""

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
        counter = Counter(tokenizer, media)
        self._weigher = Weigher(counter, prices, self._calibrations)
        self._composer = Composer(
            settings,
            counter=counter,
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

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Learn what was billed before, then serve until the mailbox is closed."""
        self._calibrations.recall(await self._store.load_calibration())
        task_status.started()
        await serve(self._mailbox, self._respond, at_once=self._settings.at_once)

    async def _respond(self, message: ContextMail) -> msgspec.Struct:
        match message:
            case BuildContext():
                return await self._build(message)
            case ExtendContext():
                return await self._extend(message)
            case BeginTurn():
                return await self._begin(message)
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

    # --- turns ---------------------------------------------------------------------------------

    async def _build(self, request: BuildContext) -> ContextBuilt:
        send = request.send
        if send.session_id is None:
            return await self._built(request, self._new_session(send), Held(), is_new=True)
        async with self._sessions.open(send.session_id) as held:
            assert held.session is not None
            return await self._built(request, held.session, held, is_new=False)

    async def _built(
        self, request: BuildContext, before: SessionRecord, held: Held, *, is_new: bool
    ) -> ContextBuilt:
        send, composer = request.send, self._composer
        agent = await composer.agent(before)
        session = self._renewed(before, send, agent.tools)
        info = await self._catalog.describe(session.model)
        limit = composer.output_limit(info, send.max_tokens)
        user = await composer.question(session, request.turn_id, send.content, info)
        weighed = await composer.weigh(
            session, held, user, agent=agent, info=info, max_tokens=limit
        )
        if ends_in_thoughtless_calls(weighed.parts.records):
            info = without_budget(info, send.thinking)
        thinking, max_tokens, likely_cost = self._affordable(send, info, weighed, limit)
        built = ContextBuilt(
            session=session,
            before=before,
            is_new=is_new,
            prompt=composer.prompt(weighed, thinking, max_tokens),
            user_message=user,
            token_estimate=weighed.token_estimate,
            cost_estimate=weighed.cost_estimate,
            likely_cost=likely_cost,
            ratio=weighed.ratio,
            weights=weighed.weights(),
            left_out=weighed.left_out,
            capped=max_tokens < limit,
            tools=weighed.parts.toolset.rules,
            client_tools=weighed.parts.toolset.client_names,
        )
        self._take_off(built, weighed, thinking, held.billed)
        return built

    def _affordable(
        self, send: ChatSend, info: ModelInfo, weighed: Weighed, limit: int
    ) -> tuple[Thinking, int, Decimal | None]:
        """The thinking, the longest answer in tokens, and USD that the input most likely costs.

        The last is `None` without `maxCost`: nobody asks, and it takes a look at all the history.

        How a model thinks decides what of its prompt the provider remembers; what that costs, how
        long the answer may be; and that, how it can think. So from the best downwards, until these
        agree. Raises GatewayError(BUDGET_EXCEEDED).
        """
        if send.max_cost is None:
            return self._thinking(send, info, limit), limit, None
        now, max_tokens = self._clock.now(), limit
        while True:
            thinking = self._thinking(send, info, max_tokens)
            cost = weighed.likely_cost(now, _hashed(thinking))
            left = self._weigher.affordable_output(weighed.model, cost, send.max_cost)
            affordable = min(max_tokens, left)
            wanted = send.thinking
            if isinstance(wanted, ThinkingBudget) and affordable <= wanted.budget_tokens:
                raise GatewayError(
                    "BUDGET_EXCEEDED",
                    f"`maxCost`: beside the context it leaves {affordable:,} tokens for an answer, "
                    "too few for `thinking.budgetTokens`. Raise the one, or lower the other.",
                )
            if self._thinking(send, info, affordable) == thinking:
                return thinking, affordable, cost
            max_tokens = affordable

    def _thinking(self, send: ChatSend, info: ModelInfo, max_tokens: int) -> Thinking:
        return choose_thinking(
            info,
            send.thinking,
            send.effort,
            max_tokens=max_tokens,
            budget=self._settings.thinking_budget,
        )

    def _take_off(
        self, built: ContextBuilt, weighed: Weighed, thinking: Thinking, former: Billed | None
    ) -> None:
        """Remember the request until it is known what was billed for it."""
        flight = Flight(former, built.weights)
        flight.add(
            SentRequest.of(
                built.prompt,
                weighed.beginning(_hashed(thinking)),
                built.user_message.turn_id,
                estimate=built.token_estimate + round(weighed.cleared.tokens),
                cleared=weighed.cleared.tool_uses,
                now=self._clock.now(),
            )
        )
        self._underway.begin(flight)

    async def _extend(self, request: ExtendContext) -> ContextExtended:
        now = self._clock.now()
        model, turn_id = request.prompt.model, request.turn_id
        added = await self._composer.measured(
            request.session_id, model, turn_id, request.messages, now
        )
        if request.keeps:
            await self._keep(request, [*request.prompt.current, *added][1:])
        return extend(self._weigher, request, added, self._underway.find(turn_id), now)

    async def _keep(self, request: ExtendContext, answer: list[MessageRecord]) -> None:
        """Store a turn's `answer` so far, for the case that its end is never stored.

        The turn goes on without: its end stores all of it, whatever was kept. Once that has begun
        nothing more is kept, for it would come behind the whole.
        """
        turn_id = request.turn_id
        flight = self._underway.find(turn_id)
        try:
            with deadline(self._settings.keep_seconds):
                async with self._sessions.open(request.session_id) as held:
                    if flight is None or self._underway.find(turn_id) is None:
                        return
                    kept = None if flight.keeps_in_doubt else held.history.answer_size(turn_id)
                    flight.keeps_in_doubt = True  # until it is known to be stored
                    await self._store.keep_answer(request.session_id, turn_id, answer, kept=kept)
                    flight.keeps_in_doubt = False
                    held.history.store_answer(turn_id, answer)
        except GatewayError as error:
            log.info("a turn's step is not kept yet: %s", error)

    async def _begin(self, request: BeginTurn) -> Done:
        session, message = request.session, request.user_message
        place = self._sessions.create if request.is_new else self._sessions.open
        async with place(session.session_id) as held:
            await self._store.begin_turn(session, message)
            held.session = session
            held.history.append(message)
        return Done()

    async def _complete(self, request: CompleteTurn) -> Done:
        billed = self._learn(request.samples, self._underway.end(request.turn_id))
        try:
            async with self._sessions.open(request.session_id) as held:
                held.billed = billed or held.billed
                await self._store_outcome(request, held)
        except GatewayError as error:
            if error.failure.code != "SESSION_NOT_FOUND":
                raise
            # Deleted while it was answered: the answer is not wanted any more, its bill is.
        return Done()

    def _learn(self, samples: list[CalibrationRecord], flight: Flight | None) -> Billed | None:
        """What the turn was billed; its latest request that is still remembered."""
        latest = None
        for sample in samples:
            sent = None if flight is None else flight.find(sample)
            self._calibrations.learn(sample, None if sent is None else sent.estimate)
            if sent is not None:
                latest = Billed(sent=sent, tokens=sample.billed)
        return latest

    async def _store_outcome(self, request: CompleteTurn, held: Held) -> None:
        if request.restore is not None:
            await self._store.save_session(request.restore)
            held.session = request.restore
        assert held.session is not None
        messages = await self._composer.measured(
            request.session_id,
            held.session.model,
            request.turn_id,
            request.messages,
            self._clock.now(),
        )
        if messages or request.was_kept:
            await self._store.store_answer(
                request.session_id, request.turn_id, messages, was_kept=request.was_kept
            )
        held.history.store_answer(request.turn_id, messages)

    # --- inspection ----------------------------------------------------------------------------

    async def _inspect(self, request: ContextInspect) -> ContextInspection:
        if request.exact and request.content is None:
            raise GatewayError("INVALID_MESSAGE", "`exact`: the provider counts with a `content`.")
        composer = self._composer
        async with self._sessions.open(request.session_id) as held:
            assert held.session is not None
            session = held.session
            if request.model is not None:
                session = msgspec.structs.replace(session, model=request.model)
            info = await self._catalog.describe(session.model)
            user = None
            if request.content is not None:
                user = await composer.question(session, "", request.content, info)
            weighed = await composer.weigh(
                session,
                held,
                user,
                agent=await composer.agent(session),
                info=info,
                max_tokens=composer.output_limit(info, None),
            )
        return await self._inspected(request, info, weighed)

    async def _inspected(
        self, request: ContextInspect, info: ModelInfo, weighed: Weighed
    ) -> ContextInspection:
        exact_tokens: int | UnsetType = UNSET
        if request.exact:
            most = self._composer.output_limit(info, None)
            prompt = self._composer.prompt(weighed, Thinking(config=None, effort=None), most)
            exact_tokens = await self._model.count_tokens(prompt.body(), prompt.betas)
            weighed = self._weigher.exact(weighed, exact_tokens)
        sections = weighed.sections(self._clock.now())
        return ContextInspection(
            request_id=request.id,
            model=weighed.model,
            sections=sections,
            totals=weighed.totals(sections),
            window=weighed.window(info.max_input_tokens),
            calibration=self._calibrations.calibration(
                weighed.model, has_tools=weighed.parts.has_tools
            ),
            context=weighed.unseen or UNSET,
            exact_tokens=exact_tokens,
        )

    def _new_session(self, send: ChatSend) -> SessionRecord:
        return self._archive.new(
            agent_id=send.agent_id, model=None, system=None, title=title_of(send.content)
        )

    def _renewed(
        self, session: SessionRecord, send: ChatSend, offered: list[OfferedTool]
    ) -> SessionRecord:
        """The session as `send` leaves it: it remembers the last model, system and tools."""
        if send.agent_id is not None and send.agent_id != session.agent_id:
            raise GatewayError(
                "INVALID_MESSAGE",
                f"`agentId`: this session belongs to the agent `{session.agent_id}`.",
            )
        changes: dict[str, Any] = {
            "last_active_at": self._clock.now(),
            "tools": chosen_tools(session.tools, send, offered),
        }
        if send.model is not None:
            changes["model"] = send.model
        if send.system is not None:
            changes["system"] = send.system
        return msgspec.structs.replace(session, **changes)


def _hashed(thinking: Thinking) -> int:
    return hash(repr(thinking))
