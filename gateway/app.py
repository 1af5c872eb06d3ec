"""The composition root: which parts there are, and who dies with whom.

Nested nurseries are the life cycle, and their nesting order is the shutdown order:
`stores (usage, context) > turns (llm, MCP servers) > connections > listeners`.
"""

from __future__ import annotations

import logging
import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import trio

from actors.connection.connection import Connection, ConnectionSettings
from actors.connection.queries import Queries
from actors.connection.rounds import Rounds
from actors.context.catalog import Catalog
from actors.context.context import Context
from actors.context.gathering import ContextSettings
from actors.mailbox import Mailbox
from actors.ports import Socket
from actors.turn_log import TurnLogs
from actors.turns.llm import Llm, LlmSettings
from actors.turns.retry import RetryPolicy
from actors.turns.tools import ToolSettings
from actors.usage.usage import UsageActor
from gateway import __version__
from gateway.access import access_rules
from gateway.announcing import announce
from gateway.anthropic.late_model import LateModel
from gateway.census import GatewayCensus
from gateway.config import ConfigError, Settings
from gateway.descriptors import connections_for, tell_if_fewer
from gateway.door import Door
from gateway.folder import prepare_folder
from gateway.health import Readiness
from gateway.ledger.ledger import Ledger
from gateway.library import FolderLibrary
from gateway.mcp.state import McpTimes
from gateway.mcp.tools import McpTools
from gateway.media.media import PictureMedia
from gateway.network import PROVIDER_URL, check_network
from gateway.prices import GenaiPrices
from gateway.server import Server, ServerSettings
from gateway.tokenizer import TiktokenTokenizer
from gateway.toolbox import Toolbox
from gateway.vault import Vault, VaultError
from protocol.codec import Codec
from protocol.mail import ConnectionMail, ContextMail, DrainTurns, LlmMail, UsageMail
from protocol.server import GatewayHello, Limits

log = logging.getLogger(__name__)

RESIDENT_MAILBOX = 1_024
"""Messages; a resident serves all connections, each of which has few requests at once."""

AT_ONCE = 1_024
"""Requests that a resident serves side by side."""

NOTE_SECONDS = 1.0
"""How long a turn may run before it is written down what the provider bills for its prompt."""

FLUSH_SECONDS = 0.2
"""What the writers get to send the last frames in, when a drain is over."""

FIELDS = [
    "toolChoice",
    "stopSequences",
    "outputFormat",
    "temperature",
    "topP",
    "topK",
    "cacheTtl",
    "userId",
    "strict",
    "deferLoading",
    "inputExamples",
    "serverTools",
]
"""The fields of a request that were added to the protocol."""

FEATURES = [
    *("resume", "detach", "cancel", "inspect", "msgpack", "tools", "approvals", "notices"),
    *FIELDS,
]


class SystemClock:
    """`actors.ports.Clock`."""

    def now(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000


class RandomNames:
    """`actors.ports.Names`: 96 random bits, so that an id is also a secret."""

    def new(self, kind: str) -> str:
        """An id such as `turn_4nX…`."""
        return f"{kind}_{urlsafe_b64encode(os.urandom(12)).decode()}"


class Gateway:
    """One gateway: `await run(...)` serves until `stop()`."""

    def __init__(self, settings: Settings, vault: Vault) -> None:
        self._settings = settings
        self._vault = vault
        self._stopping = trio.Event()
        self.url = ""
        self.ledger: Ledger | None = None
        self.loaded = trio.Event()
        """Set when nothing is left to load."""

    def stop(self) -> None:
        """Drain: take no more, let turns finish until the deadline, then end."""
        self._stopping.set()

    async def run(  # noqa: ASYNC128 - `_serve` says that it has started
        self, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve; `task_status` gets the URL once clients can connect.

        Raises ConfigError for an address that cannot be had, LedgerUnusable for the database.
        """
        settings = self._settings
        _check_network(settings)
        prepare_folder(settings.data_dir)
        rules = access_rules(settings)
        ledger = Ledger(settings.data_dir / "ledger.db", queue_size=settings.ledger_queue)
        self.ledger = ledger
        await ledger.open()
        model = LateModel(
            self._find_key,
            base_url=settings.anthropic_base_url or PROVIDER_URL,
            connect_seconds=settings.connect_seconds,
            answer_seconds=settings.ask_seconds / 2,
        )
        try:
            parts = Wiring(settings, ledger, model)
            door = Door(
                rules,
                Readiness(ledger),
                max_connections=connections_for(settings.max_connections),
                close_seconds=settings.close_seconds,
            )
            server = Server(_server_settings(settings), door, parts.connect)
            parts.server = server
            await self._serve(parts, door, server, task_status)
        finally:
            end = trio.current_time() + settings.settle_seconds
            with trio.CancelScope(shield=True, deadline=end):
                await model.aclose()
                await ledger.close()

    async def _serve(
        self,
        parts: Wiring,
        door: Door,
        server: Server,
        task_status: trio.TaskStatus[str],
    ) -> None:
        settings = self._settings
        async with trio.open_nursery() as stores:
            await stores.start(parts.usage.run)
            await stores.start(parts.context.run)
            async with trio.open_nursery() as turns:
                await turns.start(parts.llm.run)
                async with trio.open_nursery() as connections, trio.open_nursery() as listeners:
                    with _address_errors(settings):
                        sockets = await trio.open_tcp_listeners(settings.port, host=settings.host)
                    self.url = _url(settings.host, sockets)
                    listeners.start_soon(_listen, server, sockets, connections)
                    listeners.start_soon(server.watch_handshakes)
                    listeners.start_soon(door.tell_refusals)
                    listeners.start_soon(parts.rounds.run)
                    tell_if_fewer(settings.max_connections, door.max_connections)
                    task_status.started(self.url)
                    listeners.start_soon(self._load_rest, parts, turns)
                    listeners.start_soon(announce, self.url, self._vault, settings.ask_seconds)
                    await self._stopping.wait()
                    turns.start_soon(self._cut, parts.llm, server)
                    await self._drain(parts, server)
                    listeners.cancel_scope.cancel()
                    connections.cancel_scope.cancel()  # who has no place yet comes too late
                parts.llm_mailbox.close()
                await parts.llm.finished.wait()
                turns.cancel_scope.cancel()
            parts.usage_mailbox.close()
            parts.context_mailbox.close()
            stores.cancel_scope.deadline = trio.current_time() + settings.settle_seconds

    async def _load_rest(self, parts: Wiring, turns: trio.Nursery) -> None:
        with _loading_errors():
            await parts.load_rest()
            await turns.start(parts.mcp.run)
        self.loaded.set()
        log.debug("everything is loaded")

    async def _drain(self, parts: Wiring, server: Server) -> None:
        """Take no more, and wait until the last client has gone; who comes now gets a 503."""
        log.info("draining for at most %g s", self._settings.drain_seconds)
        server.drain(round(self._settings.drain_seconds * 1_000))
        with trio.move_on_after(self._settings.ask_seconds):
            await parts.llm_mailbox.tell(DrainTurns())
        await server.empty.wait()

    async def _cut(self, llm: Llm, server: Server) -> None:
        """End what has not ended by itself within the time to drain."""
        await trio.sleep(self._settings.drain_seconds)
        llm.cancel_all()
        with trio.move_on_after(self._settings.settle_seconds):
            await llm.quiet.wait()
        await trio.sleep(FLUSH_SECONDS)
        server.send_away()

    def _find_key(self) -> str | None:
        try:
            found = self._vault.find()
        except VaultError as error:
            log.info("no API key: %s", error)  # the turn that needs it says that it failed
            return None
        return None if found is None else found.key


class Wiring:
    """The actors and what they share, wired."""

    def __init__(self, settings: Settings, ledger: Ledger, model: LateModel) -> None:
        self._settings = settings
        self.server: Server | None = None
        self._model = model
        self._tokenizer = tokenizer = TiktokenTokenizer()
        self._prices = prices = GenaiPrices(settings.prices_file)
        library = FolderLibrary(settings.agents_dir, memory_bytes=settings.memory_bytes)
        self.mcp = McpTools(settings.mcp_servers, _mcp_times(settings))
        tools = Toolbox(library, self.mcp, skill_bytes=settings.skill_bytes)
        media = PictureMedia()
        clock, names = SystemClock(), RandomNames()
        self._names = names
        self.usage_mailbox: Mailbox[UsageMail] = Mailbox("usage", UsageMail, RESIDENT_MAILBOX)
        self.context_mailbox: Mailbox[ContextMail] = Mailbox(
            "context", ContextMail, RESIDENT_MAILBOX
        )
        self.llm_mailbox: Mailbox[LlmMail] = Mailbox("llm", LlmMail, RESIDENT_MAILBOX)
        self._logs = TurnLogs(
            keep_seconds=settings.log_retention_seconds,
            keep_bytes=settings.log_retention_bytes,
            clock=time.monotonic,
        )
        self.usage = UsageActor(
            self.usage_mailbox, store=ledger, prices=prices, clock=clock, at_once=AT_ONCE
        )
        self.context = Context(
            self.context_mailbox,
            _context_settings(settings),
            store=ledger,
            model=model,
            catalog=Catalog(
                model,
                prices,
                keep_seconds=settings.catalog_seconds,
                timer=time.monotonic,
                clock=clock,
                chosen=settings.models,
                default=settings.default_model,
            ),
            tokenizer=tokenizer,
            media=media,
            prices=prices,
            library=library,
            tools=tools,
            clock=clock,
            names=names,
            usage=self.usage_mailbox,
        )
        self.llm = Llm(
            self.llm_mailbox,
            _llm_settings(settings),
            context=self.context_mailbox,
            usage=self.usage_mailbox,
            model=model,
            tools=tools,
            media=media,
            tokenizer=tokenizer,
            prices=prices,
            logs=self._logs,
            clock=clock,
            names=names,
        )
        self._queries = Queries(
            context=self.context_mailbox,
            llm=self.llm_mailbox,
            usage=self.usage_mailbox,
        )
        self.rounds = Rounds(settings.keepalive_seconds)
        self._connection_settings = ConnectionSettings(
            write_seconds=settings.write_seconds,
            keepalive_seconds=settings.keepalive_seconds,
            ask_seconds=settings.ask_seconds,
            outbox_size=settings.outbox_size,
            max_pending=settings.max_pending_queries,
        )
        self._census = GatewayCensus(
            server=self._serving,
            llm=self.llm,
            context=self.context,
            logs=self._logs,
            model=model,
            ledger=ledger,
            mailboxes=[self.usage_mailbox, self.context_mailbox, self.llm_mailbox],
        )

    async def load_rest(self) -> None:
        """Load what was not needed to listen, in the order in which a turn needs it.

        A turn first asks the provider about its model; the tokenizer is loaded meanwhile.
        """
        await self._prices.ready()
        await self._model.ready()
        await self._tokenizer.ready()

    async def connect(self, socket: Socket, codec: Codec, *, says_hello: bool) -> Connection:
        """The actor of a new connection; what it may ask of the others needs the prices."""
        await self._prices.ready()
        settings = self._settings
        connection_id = self._names.new("conn")
        hello = GatewayHello(
            protocol=1,
            version=__version__,
            connection_id=connection_id,
            default_model=settings.default_model,
            limits=Limits(
                max_message_bytes=settings.max_message_bytes,
                max_sessions=settings.list_limit_max,
                max_pending_requests=settings.max_pending_queries,
            ),
            features=FEATURES,
        )
        mailbox: Mailbox[ConnectionMail] = Mailbox(
            connection_id, ConnectionMail, settings.mailbox_size
        )
        return Connection(
            socket,
            codec,
            mailbox,
            self._connection_settings,
            llm=self.llm_mailbox,
            queries=self._queries,
            logs=self._logs,
            census=self._census,
            rounds=self.rounds,
            hello=hello if says_hello else None,
        )

    def _serving(self) -> Server:
        assert self.server is not None
        return self.server


async def _listen(
    server: Server, sockets: list[trio.SocketListener], connections: trio.Nursery
) -> None:
    accept = partial(server.accept, connections)
    await trio.serve_listeners(accept, sockets, handler_nursery=connections)


@contextmanager
def _address_errors(settings: Settings) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}. "
            "Choose another with --port or AGENTSPACE_PORT; 0 takes a free one."
        ) from error


@contextmanager
def _loading_errors() -> Iterator[None]:
    """No later start would do better: a supervisor need not try again."""
    try:
        yield
    except (ImportError, OSError, ValueError) as error:
        raise ConfigError(
            f"a part of the installation cannot be loaded ({error}). Install the gateway anew."
        ) from error


def _url(host: str, sockets: list[trio.SocketListener]) -> str:
    port = sockets[0].socket.getsockname()[1]
    name = f"[{host}]" if ":" in host else host
    return f"ws://{name}:{port}/gateway"


def _check_network(settings: Settings) -> None:
    servers = [one.url for one in settings.mcp_servers if one.enabled and one.url]
    check_network([settings.anthropic_base_url or PROVIDER_URL, *servers], os.environ)


def _server_settings(settings: Settings) -> ServerSettings:
    return ServerSettings(
        handshake_seconds=settings.handshake_seconds,
        close_seconds=settings.close_seconds,
        max_message_bytes=settings.max_message_bytes,
    )


def _context_settings(settings: Settings) -> ContextSettings:
    return ContextSettings(
        default_model=settings.default_model,
        system_prompt=settings.system_prompt,
        response_format=settings.response_format,
        max_tokens=settings.max_tokens,
        thinking_budget=settings.thinking_budget,
        history_cache_bytes=settings.history_cache_bytes,
        at_once=AT_ONCE,
        ask_seconds=settings.ask_seconds,
        page_size=settings.list_limit_default,
        longest_page=settings.list_limit_max,
        prompt_caching=settings.prompt_caching,
        server_tools=settings.server_tools,
    )


def _mcp_times(settings: Settings) -> McpTimes:
    return McpTimes(
        start=settings.mcp_start_seconds,
        restart=settings.mcp_restart_seconds,
        check=settings.mcp_check_seconds,
    )


def _llm_settings(settings: Settings) -> LlmSettings:
    return LlmSettings(
        first_content_seconds=settings.first_content_seconds,
        idle_seconds=settings.llm_idle_seconds,
        working_seconds=settings.llm_tool_seconds,
        turn_seconds=settings.turn_seconds,
        settle_seconds=settings.settle_seconds,
        ask_seconds=settings.ask_seconds + settings.connect_seconds,
        note_seconds=NOTE_SECONDS,
        retry=RetryPolicy(attempts=settings.retry_attempts, cap_seconds=settings.retry_cap_seconds),
        max_steps=settings.max_steps,
        tools=ToolSettings(
            tool_seconds=settings.tool_seconds,
            client_tool_seconds=settings.client_tool_seconds,
            approval_seconds=settings.approval_seconds,
            result_bytes=settings.tool_result_bytes,
            tools_at_once=settings.tools_at_once,
        ),
    )
