"""Sessions: their history, the requests built from it, and what those weigh.

A message's bytes and tokens are measured once, when it is stored; building and inspecting cost
only the new text.
"""

from __future__ import annotations

from typing import Any, assert_never

import msgspec
import trio

from actors.assembly import encode_tools, system_texts, title_of
from actors.catalog import Catalog
from actors.history import History, Sessions
from actors.mailbox import Mailbox
from actors.ports import Clock, Library, Model, Names, Prices, SessionStore, Tokenizer
from actors.serving import serve
from actors.weighing import Weighed, Weigher
from protocol.client import ChatSend
from protocol.content import UserContent, is_blank
from protocol.errors import GatewayError
from protocol.mail import (
    BeginTurn,
    BuildContext,
    CompleteTurn,
    ContextBuilt,
    ContextMail,
    CreateSession,
    DeleteSession,
    Done,
    HistoryPage,
    InspectContext,
    Inspection,
    ListModels,
    ListSessions,
    ModelPage,
    ReadHistory,
    SessionPage,
)
from protocol.models import ModelInfo, choose_thinking
from protocol.records import MessageRecord, SessionRecord

LONGEST_MESSAGE_ID = 18
"""Decimal digits: what a database's 64-bit integer surely takes."""


class ContextSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the context actor is told at its start; tokens, bytes and requests."""

    default_model: str
    system_prompt: str
    response_format: bool
    max_tokens: int
    thinking_budget: int
    history_cache_bytes: int
    at_once: int


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
        prices: Prices,
        library: Library,
        clock: Clock,
        names: Names,
    ) -> None:
        self._mailbox = mailbox
        self._settings = settings
        self._store = store
        self._model = model
        self._catalog = catalog
        self._weigher = Weigher(tokenizer, prices)
        self._library = library
        self._clock = clock
        self._names = names
        self._sessions = Sessions(store, keep_bytes=settings.history_cache_bytes)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Learn what was billed before, then serve until the mailbox is closed."""
        self._weigher.recall(await self._store.load_calibration())
        task_status.started()
        await serve(self._mailbox, self._respond, at_once=self._settings.at_once)

    async def _respond(self, message: ContextMail) -> msgspec.Struct:
        match message:
            case BuildContext():
                return await self._build(message)
            case BeginTurn():
                return await self._begin(message)
            case CompleteTurn():
                return await self._complete(message)
            case InspectContext():
                return await self._inspect(message)
            case CreateSession():
                return await self._create(message)
            case ListSessions():
                return await self._list(message)
            case ReadHistory():
                return await self._read(message)
            case DeleteSession():
                return await self._delete(message)
            case ListModels():
                models = await self._catalog.list()
                return ModelPage(default_model=self._settings.default_model, models=models)
        assert_never(message)

    # --- turns ---------------------------------------------------------------------------------

    async def _build(self, request: BuildContext) -> ContextBuilt:
        send = request.send
        if is_blank(send.content):
            raise GatewayError("INVALID_MESSAGE", "`content`: there is nothing in it to answer.")
        if send.session_id is None:
            return await self._built(request, self._new_session(send), History(()), is_new=True)
        async with self._sessions.open(send.session_id) as held:
            assert held.session is not None
            return await self._built(request, held.session, held.history, is_new=False)

    async def _built(
        self, request: BuildContext, before: SessionRecord, history: History, *, is_new: bool
    ) -> ContextBuilt:
        send = request.send
        session = self._renewed(before, send)
        info = await self._catalog.describe(session.model)
        limit = self._output_limit(info, send.max_tokens)
        weighed = await self._weigh(session, history, send.content, info, limit)
        assert weighed.parts.user is not None
        affordable = self._weigher.affordable_output(session.model, weighed, send.max_cost)
        max_tokens = min(limit, affordable)
        thinking = choose_thinking(
            info,
            send.thinking,
            send.effort,
            max_tokens=max_tokens,
            budget=self._settings.thinking_budget,
        )
        return ContextBuilt(
            session=session,
            before=before,
            is_new=is_new,
            body=weighed.parts.request(
                model=session.model,
                max_tokens=max_tokens,
                thinking=thinking.config,
                effort=thinking.effort,
            ),
            user_message=MessageRecord(
                session_id=session.session_id,
                turn_id=request.turn_id,
                role="user",
                content=weighed.parts.user,
                status="complete",
                created_at=session.last_active_at,
                byte_count=len(weighed.parts.user),
                token_count=weighed.counted["user_message"],
            ),
            counted_tokens=weighed.counted_tokens,
            token_estimate=weighed.token_estimate,
            cost_estimate=weighed.cost_estimate,
            left_out=weighed.left_out,
            capped=affordable < limit,
        )

    def _output_limit(self, info: ModelInfo, wanted: int | None) -> int:
        if wanted is not None and wanted > info.max_tokens:
            raise GatewayError(
                "INVALID_MESSAGE",
                f"`maxTokens`: {info.id} writes at most {info.max_tokens:,}.",
            )
        return wanted or min(self._settings.max_tokens, info.max_tokens)

    async def _begin(self, request: BeginTurn) -> Done:
        session, message = request.session, request.user_message
        place = self._sessions.create if request.is_new else self._sessions.open
        async with place(session.session_id) as held:
            await self._store.begin_turn(session, message)
            held.session = session
            held.history.append(message)
        return Done()

    async def _complete(self, request: CompleteTurn) -> Done:
        if request.billed_tokens:
            self._weigher.learn(
                request.model, counted=request.counted_tokens, billed=request.billed_tokens
            )
        try:
            async with self._sessions.open(request.session_id) as held:
                if request.restore is not None:
                    await self._store.save_session(request.restore)
                    held.session = request.restore
                if request.answer is not None:
                    message = await self._answer(request, request.answer)
                    await self._store.append_message(message)
                    held.history.append(message)
        except GatewayError as error:
            if error.failure.code != "SESSION_NOT_FOUND":
                raise
            # Deleted while it was answered: the answer is not wanted any more, its bill is.
        return Done()

    async def _answer(self, request: CompleteTurn, content: bytes) -> MessageRecord:
        return MessageRecord(
            session_id=request.session_id,
            turn_id=request.turn_id,
            role="assistant",
            content=content,
            status="complete" if request.whole else "partial",
            created_at=self._clock.now(),
            byte_count=len(content),
            token_count=await self._weigher.count(request.answer_text),
        )

    # --- measuring -----------------------------------------------------------------------------

    async def _weigh(
        self,
        session: SessionRecord,
        history: History,
        content: UserContent | None,
        info: ModelInfo,
        max_tokens: int,
    ) -> Weighed:
        prompt = self._settings.system_prompt if session.system is None else session.system
        system = system_texts(
            system_prompt=prompt,
            response_format=self._settings.response_format,
            files=await self._library.read(session.agent_id),
        )
        return await self._weigher.weigh(
            session.model,
            limit=info.max_input_tokens,
            reserve=max_tokens,
            system=system,
            tools=session.tools,
            turns=history.answered(),
            content=content,
        )

    # --- inspection ----------------------------------------------------------------------------

    async def _inspect(self, request: InspectContext) -> Inspection:
        if request.content is not None and is_blank(request.content):
            raise GatewayError("INVALID_MESSAGE", "`content`: there is nothing in it to weigh.")
        if request.exact and request.content is None:
            raise GatewayError("INVALID_MESSAGE", "`exact`: the provider counts with a `content`.")
        async with self._sessions.open(request.session_id) as held:
            assert held.session is not None
            session = held.session
            if request.model is not None:
                session = msgspec.structs.replace(session, model=request.model)
            info = await self._catalog.describe(session.model)
            most = self._output_limit(info, None)
            weighed = await self._weigh(session, held.history, request.content, info, most)
        return await self._inspected(session, info, weighed, exact=request.exact)

    async def _inspected(
        self, session: SessionRecord, info: ModelInfo, weighed: Weighed, *, exact: bool
    ) -> Inspection:
        exact_tokens = None
        if exact:
            exact_tokens = await self._model.count_tokens(
                weighed.parts.request(
                    model=session.model,
                    max_tokens=self._output_limit(info, None),
                    thinking=None,
                    effort=None,
                )
            )
        sections = weighed.sections()
        return Inspection(
            model=session.model,
            sections=sections,
            totals=weighed.totals(sections),
            window=weighed.window(info.max_input_tokens),
            calibration=self._weigher.calibration(session.model),
            left_out=weighed.left_out,
            exact_tokens=exact_tokens,
        )

    # --- sessions ------------------------------------------------------------------------------

    async def _create(self, request: CreateSession) -> SessionRecord:
        now = self._clock.now()
        session = SessionRecord(
            session_id=self._names.new("session"),
            agent_id=request.agent_id or "default",
            model=request.model or self._settings.default_model,
            system=request.system,
            tools=None,
            title=request.title,
            created_at=now,
            last_active_at=now,
        )
        await self._store.save_session(session)
        return session

    async def _list(self, request: ListSessions) -> SessionPage:
        sessions = await self._store.list_sessions(request.limit + 1, request.before)
        page = sessions[: request.limit]
        return SessionPage(
            sessions=page,
            next=page[-1].session_id if len(sessions) > request.limit else None,
        )

    async def _read(self, request: ReadHistory) -> HistoryPage:
        before = _message_id(request.before)
        async with self._sessions.open(request.session_id) as held:
            answered = {turn.messages[0].turn_id for turn in held.history.answered()}
            messages = await self._store.page_messages(
                request.session_id, request.limit + 1, before
            )
        page = messages[-request.limit :]
        return HistoryPage(
            messages=page,
            answered=[m.turn_id for m in page if m.turn_id in answered],
            next=str(page[0].message_id) if len(messages) > request.limit else None,
        )

    async def _delete(self, request: DeleteSession) -> Done:
        async with self._sessions.forget(request.session_id):
            existed = await self._store.delete_session(request.session_id)
        if not existed:
            raise GatewayError("SESSION_NOT_FOUND", "There is no such session.")
        return Done()

    def _new_session(self, send: ChatSend) -> SessionRecord:
        now = self._clock.now()
        return SessionRecord(
            session_id=self._names.new("session"),
            agent_id=send.agent_id or "default",
            model=self._settings.default_model,
            system=None,
            tools=None,
            title=title_of(send.content),
            created_at=now,
            last_active_at=now,
        )

    def _renewed(self, session: SessionRecord, send: ChatSend) -> SessionRecord:
        """The session as `send` leaves it: it remembers the last model, system and tools."""
        if send.agent_id is not None and send.agent_id != session.agent_id:
            raise GatewayError(
                "INVALID_MESSAGE",
                f"`agentId`: this session belongs to the agent `{session.agent_id}`.",
            )
        changes: dict[str, Any] = {"last_active_at": self._clock.now()}
        if send.model is not None:
            changes["model"] = send.model
        if send.system is not None:
            changes["system"] = send.system
        if send.tools is not None:
            changes["tools"] = encode_tools(send.tools)
        return msgspec.structs.replace(session, **changes)


def _message_id(before: str | None) -> int | None:
    if before is None:
        return None
    if not before.isdecimal() or len(before) > LONGEST_MESSAGE_ID:
        raise GatewayError("INVALID_MESSAGE", "`before`: take it from a former page's `next`.")
    return int(before)
