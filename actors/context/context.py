"""Sessions: what each is to the provider, the requests made of it, and what those weigh.

A session is a transcript (`protocol.transcript`). A turn adds to it three times: its question, with
what has changed since the last one; each step's answer and results, before they go upstream; the
last answer. Each is one commit with the turn's row, and nothing is written twice.
"""

from __future__ import annotations

from typing import assert_never

import msgspec
import trio
from msgspec import UNSET

from actors.context.archive import Archive
from actors.context.beginning import Beginnings
from actors.context.catalog import Catalog
from actors.context.composing import Composer
from actors.context.estimate.calibration import Calibrations
from actors.context.estimate.counting import Counter
from actors.context.estimate.weighing import Weigher
from actors.context.flight import Underway
from actors.context.gathering import ContextSettings, Gatherer
from actors.context.inspecting import Inspector
from actors.context.parts import Parts
from actors.context.refused import RefusedTools
from actors.context.sessions import Sessions
from actors.context.turn_writes import TurnWrites
from actors.mailbox import Address, Mailbox
from actors.ports import (
    AgentFiles,
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
    ContextInspect,
    ModelList,
    SessionCreate,
    SessionDelete,
    SessionHistory,
    SessionList,
)
from protocol.mail import (
    BeginTurn,
    CompleteTurn,
    ContextMail,
    Done,
    ExtendContext,
    KeepAnswer,
    LeaveOutTool,
    RenewContext,
    WithdrawTurn,
)
from protocol.server import ModelListing
from protocol.tools import LeftOutTool


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
        usage: Address,
    ) -> None:
        self._mailbox = mailbox
        self._settings = settings
        self._tools = tools
        self._refused = RefusedTools()
        counter, calibrations = Counter(tokenizer, media), Calibrations()
        weigher = Weigher(prices, calibrations)
        self._parts = parts = Parts(
            store=store,
            sessions=Sessions(store, keep_bytes=settings.history_cache_bytes),
            underway=Underway(),
            catalog=catalog,
            gatherer=Gatherer(
                settings,
                counter=counter,
                library=library,
                tools=tools,
                refused=self._refused,
                media=media,
            ),
            composer=Composer(counter, weigher, caches=settings.prompt_caching),
            weigher=weigher,
            calibrations=calibrations,
            clock=clock,
        )
        self._archive = Archive(
            parts.sessions,
            store,
            model=settings.default_model,
            tools=settings.server_tools,
            page_size=settings.page_size,
            longest_page=settings.longest_page,
            clock=clock,
            names=names,
        )
        self._writes = TurnWrites(parts)
        self._beginnings = Beginnings(settings, parts, self._archive, usage=usage)
        self._inspector = Inspector(model, parts)

    @property
    def open_rows(self) -> int:
        """How many turns' rows were opened and are not settled yet."""
        return len(self._parts.underway.open)

    @property
    def oldest_open_seconds(self) -> float:
        """How long ago the oldest unsettled turn was made; 0 when every row is settled."""
        opened = [turn.created_at for turn in self._parts.underway.open.values()]
        return max(0, self._parts.clock.now() - min(opened)) / 1_000 if opened else 0.0

    @property
    def tools_left_out(self) -> list[LeftOutTool]:
        """The tools of servers that no model is offered."""
        offered = self._tools.offered(AgentFiles(memory="", skills=()))
        return [*self._tools.left_out(), *self._refused.marks(offered)]

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Learn what was billed before, then serve until the mailbox is closed."""
        self._parts.calibrations.recall(await self._parts.store.load_calibration())
        task_status.started()
        await serve(self._mailbox, self._respond, at_once=self._settings.at_once)

    async def _respond(self, message: ContextMail) -> msgspec.Struct:
        match message:
            case BeginTurn():
                return await self._beginnings.begin(message)
            case WithdrawTurn():
                return await self._beginnings.withdraw(message)
            case KeepAnswer():
                return await self._writes.keep(message)
            case ExtendContext():
                return await self._writes.extend(message)
            case RenewContext():
                return await self._writes.renew(message)
            case LeaveOutTool():
                self._refused.add(msgspec.json.decode(message.definition), message.mark)
                return Done()
            case CompleteTurn():
                return await self._writes.complete(message)
            case ContextInspect():
                return await self._inspector.inspect(message)
            case ModelList():
                return ModelListing(
                    request_id=message.id,
                    default_model=self._settings.default_model,
                    models=await self._parts.catalog.list(),
                    tools_left_out=self.tools_left_out or UNSET,
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
