"""The outside world for the actors' tests: real actors above ports that do as they are told."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count
from typing import Any, NoReturn

import msgspec
import trio

from actors.connection.connection import Connection, ConnectionEnd, ConnectionSettings
from actors.connection.queries import Queries
from actors.connection.rounds import Rounds
from actors.context.catalog import Catalog
from actors.context.context import Context
from actors.context.gathering import ContextSettings
from actors.mailbox import Mailbox
from actors.ports import AgentFiles, MediaWeight, ProviderEvents, SocketClosed, TakeEvents, nothing
from actors.turn_log import TurnLogs
from actors.turns.llm import Llm, LlmSettings
from actors.turns.retry import RetryPolicy
from actors.turns.tools import ToolSettings
from actors.usage.sharing import merged, whole
from actors.usage.usage import UsageActor
from protocol.beginning import Begun, Found, judge
from protocol.codec import JSON
from protocol.errors import LedgerUnavailable
from protocol.mail import ConnectionMail, ContextMail, LlmMail, UsageMail
from protocol.prompt import Prompt
from protocol.provider.content import Block
from protocol.provider.events import (
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    MessageDelta,
    MessageEnd,
    MessageStart,
    MessageStop,
    ProviderEvent,
    ProviderMessage,
    ProviderUsage,
    TextDelta,
)
from protocol.provider.model_info import Lifecycle, ModelInfo
from protocol.provider.models import fallback
from protocol.records import (
    SENT,
    CalibrationRecord,
    Change,
    Entry,
    Head,
    SessionRecord,
    StoredSession,
    TurnRecord,
    UsageTotals,
)
from protocol.server import GatewayStatusReport, ServerMessage
from protocol.tools import LeftOutTool, OfferedTool, ToolAnswer
from protocol.usage import PLAIN_TERMS, Cost, Terms, TokenCounts

MODEL = "claude-sonnet-5-5"
LONGEST_WAIT = 3_600.0
TERMINAL = frozenset({"chat.stream.end", "error"})

Frame = dict[str, Any]
Step = ProviderEvent | list[ProviderEvent] | float | Exception | trio.Event
"""A provider's event, several that come at once, a pause in seconds, a failure, or something to
wait for."""


# --- what the provider says --------------------------------------------------------------------


def begin(tokens: int = 100) -> MessageStart:
    """The first event: the prompt is billed `tokens`."""
    usage = ProviderUsage(input_tokens=tokens, output_tokens=1)
    return MessageStart(ProviderMessage(MODEL, usage))


def open_block(index: int = 0, **block: Any) -> ContentBlockStart:
    """A block opens; a text block unless it is said otherwise."""
    return ContentBlockStart(index, block or {"type": "text", "text": ""})


def piece(text: str, index: int = 0) -> ContentBlockDelta:
    """More text."""
    return ContentBlockDelta(index, TextDelta(text))


def finish(tokens: int = 5, stop: str | None = "end_turn") -> list[Step]:
    """The last events: the answer is billed `tokens`."""
    told = MessageDelta(MessageEnd(stop), ProviderUsage(output_tokens=tokens))
    return [ContentBlockStop(0), told, MessageStop()]


def reply(*pieces: str, prompt: int = 100, output: int = 5, pause: float = 0) -> list[Step]:
    """A whole answer, with a `pause` before each piece."""
    steps: list[Step] = [begin(prompt), open_block()]
    for text in pieces:
        steps += [pause, piece(text)] if pause else [piece(text)]
    return [*steps, *finish(output)]


class FakeModel:
    """A provider that plays one script a request; a script that begins with an error refuses."""

    def __init__(self) -> None:
        self.scripts: deque[Sequence[Step]] = deque()
        self.bodies: list[bytes] = []
        self.open_streams = 0
        self.infos: dict[str, ModelInfo] = {}
        self.describing: Exception | None = None
        self.listing: Exception | None = None
        self.lifecycle: Lifecycle | None = None
        self.described: list[str] = []
        self.window: int | None = None
        self.edits: tuple[str, ...] = ()
        self.exact = 77
        self.betas: tuple[str, ...] = ()
        self.version: str | None = None

    def will(self, *scripts: Sequence[Step]) -> None:
        """What the next requests are answered with."""
        self.scripts.extend(scripts)

    @property
    def last_request(self) -> dict[str, Any]:
        """The body of the last request."""
        body: dict[str, Any] = json.loads(self.bodies[-1])
        return body

    async def list_models(self) -> list[ModelInfo]:
        """See `Model`."""
        await trio.lowlevel.checkpoint()
        if self.listing is not None:
            raise self.listing
        return [fallback(MODEL), fallback("claude-of-no-price")]

    async def describe(self, model: str) -> ModelInfo:
        """See `Model`."""
        await trio.lowlevel.checkpoint()
        self.described.append(model)
        if self.describing is not None:
            raise self.describing
        info = fallback(model)
        if self.window is not None:
            info = msgspec.structs.replace(info, max_input_tokens=self.window)
        lifecycle = self.lifecycle or info.lifecycle
        return msgspec.structs.replace(info, edits=self.edits, lifecycle=lifecycle)

    async def count_tokens(self, body: bytes, betas: Sequence[str] = ()) -> int:
        """See `Model`."""
        await trio.lowlevel.checkpoint()
        self.bodies.append(body)
        return self.exact

    @asynccontextmanager
    async def stream(
        self, prompt: Prompt, on_its_way: Callable[[], None] = nothing
    ) -> AsyncIterator[ProviderEvents]:
        """See `Model`."""
        self.betas, self.version = prompt.betas, prompt.version
        script = deque(self.scripts.popleft() if self.scripts else reply("Hello."))
        self.bodies.append(prompt.body)
        refusal = script[0] if script and isinstance(script[0], Exception) else None
        if refusal is None:  # a request that is refused never leaves
            on_its_way()
        await trio.lowlevel.checkpoint()
        if refusal is not None:
            raise refusal
        self.open_streams += 1
        try:
            yield _Events(script, _model_of(prompt.body))
        finally:
            self.open_streams -= 1


def _model_of(body: bytes) -> str:
    """The model that is asked; a fake context makes bodies that name none."""
    request = json.loads(body or b"0")
    return str(request["model"]) if isinstance(request, dict) and "model" in request else MODEL


class _Events:
    """A script, played by the model that was asked; another one answers when its start says so.

    Each of its events is a batch, unless the script has several at once.
    """

    request_id = "req_fake"

    def __init__(self, script: deque[Step], asked: str) -> None:
        self._script = script
        self._asked = asked

    async def each(self, take: TakeEvents) -> bool:
        """See `ProviderEvents`."""
        await trio.lowlevel.checkpoint()
        while self._script:
            event = await self._next()
            if event is not None and take(event if isinstance(event, list) else [event]):
                return True
            await trio.lowlevel.checkpoint()
        return False

    async def _next(self) -> ProviderEvent | list[ProviderEvent] | None:
        match self._script.popleft():
            case float(pause) | int(pause):
                await trio.sleep(pause)
            case trio.Event() as event:
                await event.wait()
            case Exception() as error:
                raise error
            case MessageStart(message=message) if message.model == MODEL:
                return MessageStart(msgspec.structs.replace(message, model=self._asked))
            case event:
                return event
        return None


# --- the small ports ---------------------------------------------------------------------------


class FakeTokenizer:
    """One token a character; a text with one of the `slow` words in it takes its time."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.slow: dict[str, float] = {}
        self.failing: Exception | None = None

    async def count_many(self, texts: Sequence[str]) -> list[int]:
        """See `Tokenizer`."""
        await trio.lowlevel.checkpoint()
        if self.failing is not None:
            raise self.failing
        self.texts += texts
        for word, seconds in [*self.slow.items()]:
            if any(word in text for text in texts):
                await trio.sleep(seconds)
        return [len(text) for text in texts]


class FakeMedia:
    """Every picture and document weighs the same; one with `bad` in it is refused."""

    def __init__(self) -> None:
        self.tokens = 1_000
        self.edge = 100

    async def weigh(self, model: str, blocks: Sequence[Block]) -> list[MediaWeight]:
        """See `Media`."""
        await trio.lowlevel.checkpoint()
        texts = [block.get("source", {}).get("type") == "text" for block in blocks]
        return [MediaWeight(0 if text else self.tokens, self.edge) for text in texts]

    async def refusals(self, blocks: Sequence[Block], most_attached: int) -> list[str | None]:
        """See `Media`."""
        await trio.lowlevel.checkpoint()
        return ["it is bad" if "bad" in json.dumps(block) else None for block in blocks]


class FakePrices:
    """3 USD a million tokens of input, 15 of output, whatever the model; some have no price.

    Writing to the prompt cache costs a quarter more, reading from it a tenth.
    """

    def __init__(self) -> None:
        self.per_input = Decimal("0.000003")
        self.per_output = Decimal("0.000015")
        self.per_search = Decimal(0)
        self.failing: Exception | None = None

    def price(self, model: str, tokens: TokenCounts, terms: Terms = PLAIN_TERMS) -> Cost | None:
        """See `Prices`."""
        if self.failing is not None:
            raise self.failing
        if "no-price" in model:
            return None
        weighted = (
            tokens.uncached
            + tokens.cache_write5m * Decimal("1.25")
            + tokens.cache_write1h * 2
            + tokens.cache_read * Decimal("0.1")
        )
        output = self.per_output * tokens.output + self.per_search * tokens.web_searches
        return Cost(input_cost=self.per_input * weighted, output_cost=output)


class FakeTools:
    """Tools that answer with what they were told to, call by call."""

    def __init__(self) -> None:
        self.tools: list[OfferedTool] = []
        self.odd: list[LeftOutTool] = []
        self.down: set[str] = set()
        self.scripts: dict[str, deque[ToolAnswer | float | Exception]] = {}
        self.called: list[tuple[str, dict[str, Any]]] = []
        self.running = 0

    def offers(self, name: str, *script: ToolAnswer | float | Exception, **fields: Any) -> None:
        """There is a tool; for each call an answer, a failure, or how many seconds it takes."""
        schema = {"type": "object"}
        self.tools.append(
            OfferedTool(name=name, description=f"Does {name}.", input_schema=schema, **fields)
        )
        self.scripts[name] = deque(script)

    def offered(self, files: AgentFiles) -> list[OfferedTool]:
        """See `Tools`."""
        return self.tools

    def left_out(self) -> list[LeftOutTool]:
        """See `Tools`."""
        return self.odd

    def may_return(self, name: str) -> bool:
        """See `Tools`."""
        return name in self.down

    def absent(self, name: str) -> str:
        """See `Tools`."""
        return f"There is no tool named {name}."

    async def call(self, agent_id: str, name: str, args: dict[str, Any]) -> ToolAnswer:
        """See `Tools`."""
        self.called.append((name, args))
        self.running += 1
        try:
            match self.scripts[name].popleft() if self.scripts[name] else 0.0:
                case ToolAnswer() as answer:
                    return answer
                case Exception() as error:
                    raise error
                case seconds:
                    await trio.sleep(seconds)
            return ToolAnswer(content=f"{name} is done.")
        finally:
            self.running -= 1


class FakeLibrary:
    """Agents' folders."""

    def __init__(self) -> None:
        self.files: dict[str, AgentFiles] = {}

    async def read(self, agent_id: str) -> AgentFiles:
        """See `Library`."""
        await trio.lowlevel.checkpoint()
        return self.files.get(agent_id, AgentFiles(memory="", skills=()))


class FakeClock:
    """Every look at it is a millisecond later."""

    def __init__(self) -> None:
        self._ticks = count(1_000)

    def skip(self, milliseconds: int) -> None:
        """Time passes."""
        self._ticks = count(next(self._ticks) + milliseconds)

    def now(self) -> int:
        """See `Clock`."""
        return next(self._ticks)


class FakeNames:
    """`turn_1`, `session_2`, …"""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new(self, kind: str) -> str:
        """See `Names`."""
        return f"{kind}_{next(self._numbers)}"


class FakeCensus:
    """Figures out of thin air, or none."""

    def __init__(self) -> None:
        self.failing: Exception | None = None

    def report(self, request_id: str) -> GatewayStatusReport:
        """See `Census`."""
        if self.failing is not None:
            raise self.failing
        return GatewayStatusReport(
            request_id=request_id,
            version="0",
            uptime_seconds=0,
            connections=1,
            turns={},
            upstream_streams=0,
            logs=0,
            log_bytes=0,
            mailboxes={},
            ledger="ok",
            ledger_queue=0,
            open_rows=0,
            memory_bytes=0,
            draining=False,
        )


class FakeStore:
    """Both stores in memory; each method can be made slow, or fail.

    What is written keeps the rules of the ledger: a change of another version of its session is
    refused, and so is a turn that may not begin.
    """

    def __init__(self) -> None:
        self.sessions: dict[str, SessionRecord] = {}
        self.heads: dict[str, dict[int, Head]] = {}
        self.entries: dict[str, list[Entry]] = {}
        self.rows: dict[str, TurnRecord] = {}
        self.settled: list[str] = []
        self.calibration: list[CalibrationRecord] = []
        self.slow: dict[str, float] = {}
        self.failing: dict[str, Exception] = {}
        self.calls: list[str] = []

    def breaks(self, *methods: str) -> None:
        """The database cannot be written."""
        for method in methods:
            self.failing[method] = LedgerUnavailable("The disk is full.")

    def works(self) -> None:
        """It can be again, and fast."""
        self.slow.clear()
        self.failing.clear()

    @property
    def messages(self) -> list[Entry]:
        """What people are shown of all sessions."""
        return [one for entries in self.entries.values() for one in entries if _is_shown(one)]

    async def _enter(self, method: str) -> None:
        await trio.lowlevel.checkpoint()
        await trio.sleep(self.slow.get(method, 0))
        self.calls.append(method)
        if method in self.failing:
            raise self.failing[method]

    # --- sessions ------------------------------------------------------------------------------

    async def create_session(self, session: SessionRecord) -> None:
        """See `SessionStore`."""
        await self._enter("create_session")
        assert session.session_id not in self.sessions
        self.sessions[session.session_id] = session

    async def begin_turn(self, change: Change, turn: TurnRecord, *, is_new: bool) -> Begun:
        """See `SessionStore`."""
        await self._enter("begin_turn")
        session = change.session
        rows = [row for row in self.rows.values() if row.session_id == session.session_id]
        same = [row.turn_id for row in rows if row.request_id == turn.request_id]
        still = [row.turn_id for row in rows if row.status == "open"]
        stored = self.sessions.get(session.session_id)
        found = Found(
            version=None if stored is None else stored.version,
            same_request=next(iter(same), None),
            open_turn=next(iter(still), None),
        )
        begun = judge(found, is_new=is_new, version=session.version)
        if begun.outcome == "begun":
            if is_new:
                self.sessions[session.session_id] = session
            assert self._apply(change)
            assert turn.turn_id not in self.rows, "one row a turn"
            self.rows[turn.turn_id] = turn
        return begun

    async def extend_turn(self, change: Change, turn: TurnRecord) -> bool:
        """See `SessionStore`."""
        await self._enter("extend_turn")
        held = self._apply(change)
        if held and self.rows[turn.turn_id].status == "open":
            self.rows[turn.turn_id] = turn
        return held

    async def settle_turn(self, change: Change, turn: TurnRecord) -> bool:
        """See `SessionStore`."""
        await self._enter("settle_turn")
        assert turn.turn_id not in self.settled, "a turn is settled once"
        assert turn.status != "open", "a settled turn is not open"
        self.settled.append(turn.turn_id)
        self.rows[turn.turn_id] = turn
        return self._apply(change)

    async def withdraw_turn(
        self, turn_id: str, before: SessionRecord, *, epoch: int | None, is_new: bool
    ) -> None:
        """See `SessionStore`."""
        await self._enter("withdraw_turn")
        session_id, last = before.session_id, -1 if epoch is None else epoch
        del self.rows[turn_id]
        if is_new:
            for kept in (self.sessions, self.entries, self.heads):
                del kept[session_id]
            return
        entries = self.entries[session_id]
        entries[:] = [entry for entry in entries if entry.turn_id != turn_id]
        for newer in [one for one in self.heads[session_id] if one > last]:
            del self.heads[session_id][newer]
        self.sessions[session_id] = msgspec.structs.replace(
            before,
            version=self.sessions[session_id].version + 1,
            message_count=sum(map(_is_shown, entries)),
        )

    def _apply(self, change: Change) -> bool:
        session = change.session
        stored = self.sessions.get(session.session_id)
        if stored is None or stored.version != session.version:
            return False
        entries = self.entries.setdefault(session.session_id, [])
        shown = sum(map(_is_shown, entries))
        if (gone := change.withheld) is not None:
            entries[:] = [
                msgspec.structs.replace(one, status=gone.status)
                if gone.has(one) and one.status in SENT
                else one
                for one in entries
            ]
        for entry in change.entries:
            assert entry.place == len(entries), "places have no gap"
            entries.append(entry)
        if change.head is not None:
            self.heads.setdefault(session.session_id, {})[change.head.epoch] = change.head
        self.sessions[session.session_id] = msgspec.structs.replace(
            session,
            version=session.version + 1,
            message_count=stored.message_count + sum(map(_is_shown, entries)) - shown,
        )
        return True

    async def load_session(self, session_id: str) -> StoredSession | None:
        """See `SessionStore`."""
        await self._enter("load_session")
        session = self.sessions.get(session_id)
        if session is None:
            return None
        heads = self.heads.get(session_id, {})
        head = heads[max(heads)] if heads else None
        entries = self.entries.get(session_id, [])
        first = 0 if head is None else head.first
        return StoredSession(
            session=session,
            head=head,
            entries=[one for one in entries if one.place >= first and one.status in SENT],
            next_place=len(entries),
        )

    async def list_sessions(self, limit: int, before: str | None) -> list[SessionRecord]:
        """See `SessionStore`."""
        await self._enter("list_sessions")
        newest = sorted(self.sessions.values(), key=lambda s: s.last_active_at, reverse=True)
        if before is not None:
            ids = [session.session_id for session in newest]
            newest = newest[ids.index(before) + 1 :] if before in ids else []
        return newest[:limit]

    async def page_entries(
        self, session_id: str, limit: int, before: int | None
    ) -> list[Entry] | None:
        """See `SessionStore`."""
        await self._enter("page_entries")
        if session_id not in self.sessions:
            return None
        older = [
            one
            for one in self.entries.get(session_id, [])
            if _is_shown(one) and (before is None or one.place < before)
        ]
        return older[-limit:]

    async def delete_session(self, session_id: str) -> bool:
        """See `SessionStore`."""
        await self._enter("delete_session")
        self.heads.pop(session_id, None)
        self.entries.pop(session_id, None)
        return self.sessions.pop(session_id, None) is not None

    async def load_calibration(self) -> list[CalibrationRecord]:
        """See `SessionStore`."""
        await self._enter("load_calibration")
        return self.calibration

    # --- turns ---------------------------------------------------------------------------------

    async def close_turn(self, turn: TurnRecord) -> None:
        """See `TurnStore`."""
        await self._enter("close_turn")
        assert self.rows[turn.turn_id].status == "open"
        self.rows[turn.turn_id] = turn

    async def load_turn(self, session_id: str, turn_id: str) -> TurnRecord | None:
        """See `TurnStore`."""
        await self._enter("load_turn")
        row = self.rows.get(turn_id)
        return row if row is not None and row.session_id == session_id else None

    async def note_turn(self, turn: TurnRecord) -> None:
        """See `TurnStore`."""
        await self._enter("note_turn")
        if turn.turn_id in self.rows and self.rows[turn.turn_id].status == "open":
            self.rows[turn.turn_id] = turn

    async def load_open_turns(self) -> list[TurnRecord]:
        """See `TurnStore`."""
        await self._enter("load_open_turns")
        return [row for row in self.rows.values() if row.status == "open"]

    async def total_usage(
        self, session_id: str | None, since: int | None, until: int | None
    ) -> UsageTotals:
        """See `TurnStore`."""
        await self._enter("total_usage")
        rows = [
            row
            for row in self.rows.values()
            if session_id in (None, row.session_id)
            and row.status != "open"
            and (since or 0) <= row.created_at < (until or math.inf)
        ]
        return UsageTotals(
            models=tuple(merged(whole(row) for row in rows if not row.is_mixed)),
            mixed=tuple(row for row in rows if row.is_mixed),
        )


def _is_shown(entry: Entry) -> bool:
    """Whether people are shown it."""
    return entry.role != "system" and entry.status != "replaced"


# --- clients -----------------------------------------------------------------------------------


class FakeSocket:
    """A WebSocket without a network; its client can stop reading, or go."""

    def __init__(self) -> None:
        self._say, self._said = trio.open_memory_channel[str](math.inf)
        self._tell, self.told = trio.open_memory_channel[str](math.inf)
        self._reading = trio.Event()
        self._reading.set()
        self._gone = False
        self._tail: list[str] = []
        self.answers_pings = True
        self.pings = 0

    def say(self, frame: str) -> None:
        """The client sends a frame."""
        self._say.send_nowait(frame)

    def leave(self) -> None:
        """The client goes."""
        self._gone = True
        self._say.close()

    def stop_reading(self) -> None:
        """The client reads no more: the next write blocks."""
        self._reading = trio.Event()

    def read_on(self) -> None:
        """The client reads again."""
        self._reading.set()

    async def listen(self, take: Callable[[str | bytes], Awaitable[None]]) -> NoReturn:
        """See `Socket`."""
        async for frame in self._said:
            await take(frame)
        raise SocketClosed

    @property
    def is_behind(self) -> bool:
        """See `Socket`."""
        return bool(self._tail)

    def write(self, payload: bytes) -> bool:
        """See `Socket`."""
        if self._gone:
            raise SocketClosed
        self._tail.append(payload.decode())
        if self._reading.is_set():
            self._take()
        return not self._tail

    async def flush(self) -> None:
        """See `Socket`."""
        await trio.lowlevel.checkpoint()
        await self._reading.wait()
        if self._gone:
            raise SocketClosed
        self._take()

    def _take(self) -> None:
        for frame in self._tail:
            self._tell.send_nowait(frame)
        self._tail.clear()

    async def ping(self) -> None:
        """See `Socket`."""
        self.pings += 1
        if self._gone:
            raise SocketClosed
        if not self.answers_pings:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()


class Client:
    """A client's side of a conversation."""

    def __init__(self, connection: Connection, socket: FakeSocket) -> None:
        self.connection = connection
        self.socket = socket
        self.closing: ConnectionEnd | None = None
        self.closed = trio.Event()
        self._ids = count(1)

    async def run(self) -> None:
        """The connection's life."""
        self.closing = await self.connection.run()
        self.closed.set()

    def say(self, kind: str, **fields: Any) -> str:
        """Send a message; its id."""
        message = {"type": kind, "id": f"r{next(self._ids)}", **fields}
        self.socket.say(json.dumps(message))
        return str(message["id"])

    def send(self, content: Any = "Hi.", **fields: Any) -> str:
        """Send `chat.send`; its id."""
        return self.say("chat.send", content=content, **fields)

    async def hear(self) -> Frame:
        """The next message."""
        with trio.fail_after(LONGEST_WAIT):
            frame: Frame = json.loads(await self.socket.told.receive(), parse_float=Decimal)
            return frame

    async def expect(self, kind: str, **fields: Any) -> Frame:
        """The next message, which must be of this type and have these fields."""
        heard = await self.hear()
        assert heard == {**heard, "type": kind, **fields}, heard
        return heard

    async def hear_out(self, request_id: str) -> list[Frame]:
        """The messages up to and with the terminal one of the request's stream."""
        frames = [await self.hear()]
        while frames[-1]["type"] not in TERMINAL or frames[-1].get("requestId") != request_id:
            frames.append(await self.hear())
        return frames

    async def converse(self, content: Any = "Hi.", **fields: Any) -> list[Frame]:
        """Send `chat.send` and hear it out."""
        return await self.hear_out(self.send(content, **fields))

    async def begun(self, content: str = "Hi.", **fields: Any) -> Frame:
        """Send `chat.send` and hear its start."""
        self.send(content, **fields)
        heard = await self.hear()
        while heard["type"] != "chat.stream.start":
            assert heard["type"] == "session.created", heard
            heard = await self.hear()
        return heard

    async def silence(self) -> None:
        """Nothing more is on its way to the client."""
        await trio.testing.wait_all_tasks_blocked()
        assert self.waiting() == []

    def waiting(self) -> list[Frame]:
        """The messages that have come and have not been heard."""
        frames = []
        while True:
            try:
                frames.append(json.loads(self.socket.told.receive_nowait()))
            except trio.WouldBlock:
                return frames


def text_of(frames: Sequence[Frame]) -> str:
    """The answer's text as a client puts it together."""
    return "".join(one["delta"] for one in frames if one["type"] == "chat.stream.delta")


def kinds_of(frames: Sequence[Frame]) -> list[str]:
    """The messages' types."""
    return [frame["type"] for frame in frames]


# --- the actors --------------------------------------------------------------------------------


class World:
    """All actors, wired as the gateway wires them; settings that matter are small numbers."""

    def __init__(self, **changes: Any) -> None:
        self.model = FakeModel()
        self.tokenizer = FakeTokenizer()
        self.media = FakeMedia()
        self.prices = FakePrices()
        self.library = FakeLibrary()
        self.tools = FakeTools()
        self.clock = FakeClock()
        self.names = FakeNames()
        self.store = FakeStore()
        self.census = FakeCensus()
        self._changes = changes
        self.nursery: trio.Nursery | None = None
        self.context_box: Mailbox[ContextMail] = Mailbox("context", ContextMail, 64)
        self.usage_box: Mailbox[UsageMail] = Mailbox("usage", UsageMail, 64)
        self.llm_box: Mailbox[LlmMail] = Mailbox("llm", LlmMail, 64)
        self.logs = self._made(
            TurnLogs, keep_seconds=300.0, keep_bytes=1_000_000, clock=trio.current_time
        )
        self.usage = UsageActor(
            self.usage_box, store=self.store, prices=self.prices, clock=self.clock, at_once=64
        )
        self.context = self._make_context()
        self.llm = self._make_llm()

    def _made(self, make: Callable[..., Any], **settings: Any) -> Any:
        return make(**{name: self._changes.get(name, value) for name, value in settings.items()})

    def _make_context(self) -> Context:
        settings = self._made(
            ContextSettings,
            default_model=MODEL,
            system_prompt="Be brief.",
            response_format=False,
            max_tokens=8_192,
            thinking_budget=8_000,
            history_cache_bytes=1_000_000,
            at_once=64,
            ask_seconds=15.0,
            page_size=2,
            longest_page=200,
            prompt_caching=True,
            server_tools=(),
        )
        return Context(
            self.context_box,
            settings,
            store=self.store,
            model=self.model,
            catalog=Catalog(
                self.model,
                self.prices,
                keep_seconds=3_600,
                timer=trio.current_time,
                clock=self.clock,
            ),
            tokenizer=self.tokenizer,
            media=self.media,
            prices=self.prices,
            library=self.library,
            tools=self.tools,
            clock=self.clock,
            names=self.names,
            usage=self.usage_box,
        )

    def _make_llm(self) -> Llm:
        settings = self._made(
            LlmSettings,
            first_content_seconds=120.0,
            idle_seconds=60.0,
            working_seconds=900.0,
            turn_seconds=3_600.0,
            settle_seconds=10.0,
            ask_seconds=15.0,
            note_seconds=1.0,
            retry=RetryPolicy(attempts=2, cap_seconds=8.0),
            max_steps=8,
            tools=self._made(
                ToolSettings,
                tool_seconds=30.0,
                client_tool_seconds=60.0,
                approval_seconds=90.0,
                result_bytes=1_000,
                tools_at_once=4,
            ),
        )
        return Llm(
            self.llm_box,
            settings,
            context=self.context_box,
            usage=self.usage_box,
            model=self.model,
            tools=self.tools,
            media=self.media,
            tokenizer=self.tokenizer,
            prices=self.prices,
            logs=self.logs,
            clock=self.clock,
            names=self.names,
        )

    def connect(self, *, hello: ServerMessage | None = None, **changes: Any) -> Client:
        """A new client."""
        self._changes = {**self._changes, **changes}
        socket = FakeSocket()
        box: Mailbox[ConnectionMail] = Mailbox(
            self.names.new("conn"), ConnectionMail, self._changes.get("mailbox_size", 8)
        )
        settings = self._made(
            ConnectionSettings,
            write_seconds=10.0,
            keepalive_seconds=20.0,
            ask_seconds=10.0,
            outbox_size=8,
            max_pending=4,
        )
        connection = Connection(
            socket,
            JSON,
            box,
            settings,
            llm=self.llm_box,
            queries=Queries(
                context=self.context_box,
                llm=self.llm_box,
                usage=self.usage_box,
            ),
            logs=self.logs,
            census=self.census,
            rounds=self._rounds(settings.keepalive_seconds),
            hello=hello,
        )
        client = Client(connection, socket)
        assert self.nursery is not None
        self.nursery.start_soon(client.run)
        return client

    def _rounds(self, seconds: float) -> Rounds:
        """Of its own for each client, so that a test may choose the time."""
        rounds = Rounds(seconds)
        assert self.nursery is not None
        self.nursery.start_soon(rounds.run)
        return rounds

    @property
    def row(self) -> TurnRecord:
        """The only turn's row."""
        (row,) = self.store.rows.values()
        return row


@asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    """The time in which a world's actors run."""
    async with trio.open_nursery() as nursery:
        world.nursery = nursery
        await nursery.start(world.usage.run)
        await nursery.start(world.context.run)
        await nursery.start(world.llm.run)
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_world(**changes: Any) -> AsyncIterator[World]:
    """A world that runs; `changes` are settings."""
    world = World(**changes)
    async with running(world):
        yield world
