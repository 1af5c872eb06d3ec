"""What a session's length costs: asking and inspecting at 20 turns and at 2,000, in one run.

The context actor works on a real ledger, with the real tokenizer; only the provider is not asked.
The sessions take turns, and what counts is the CPU time of the loop's thread.

What the request's own bytes cost is measured apart and taken off, since no gateway can send a long
prompt for nothing: they are copied a few times on their way. These megabytes also push everything
else out of the processor's caches, and the next 0.3 ms of work take half as long again. So both
sessions are asked right after as many bytes were copied. The longest time for which the loop was
held is that of the whole step, bytes included.
"""

from __future__ import annotations

import gc
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple, cast

import msgspec
import trio

from actors.context.catalog import Catalog
from actors.context.context import Context
from actors.context.gathering import ContextSettings
from actors.mailbox import Address, Mailbox
from actors.ports import AgentFiles, Model, Tools
from gateway.app import RandomNames, SystemClock
from gateway.cli.serve import GC_THRESHOLDS, SWITCH_SECONDS
from gateway.ledger.ledger import Ledger
from gateway.media.media import PictureMedia
from gateway.prices import GenaiPrices
from gateway.tokenizer import TiktokenTokenizer
from protocol.client import ChatSend, ContextInspect
from protocol.mail import (
    BeginTurn,
    CompleteTurn,
    ContextBuilt,
    ContextMail,
    NewMessage,
    UsageMail,
)
from protocol.provider.model_info import ModelInfo
from protocol.provider.models import fallback
from protocol.records import StepRecord
from protocol.usage import TokenCounts

MODEL = "claude-sonnet-5-5"
SHORT = 20
WORDS = "The tide is the rise and fall of the sea that the moon and the sun bring about together. "


class Offline:
    """A provider that tells of its models and is asked for nothing else."""

    async def describe(self, model: str) -> ModelInfo:
        """What the table by version says."""
        return fallback(model)


class NoFiles:
    """An agent without a folder, and without tools."""

    async def read(self, _: str) -> AgentFiles:
        """Nothing."""
        return AgentFiles(memory="", skills=())

    def offered(self, _: AgentFiles) -> list[object]:
        """Nothing."""
        return []

    def may_return(self, _: str) -> bool:
        """No server is down."""
        return False


class Bench:
    """One context actor on one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        prices = GenaiPrices(None)
        offline, nothing = cast(Model, Offline()), NoFiles()
        self.box: Mailbox[ContextMail] = Mailbox("context", ContextMail, 64)
        self.context = Context(
            self.box,
            ContextSettings(
                default_model=MODEL,
                system_prompt="Be brief.",
                response_format=True,
                max_tokens=8_192,
                thinking_budget=8_000,
                history_cache_bytes=1 << 28,
                at_once=64,
                ask_seconds=15.0,
                page_size=50,
                longest_page=200,
            ),
            store=ledger,
            model=offline,
            catalog=Catalog(
                offline, prices, keep_seconds=3_600, timer=time.monotonic, clock=SystemClock()
            ),
            tokenizer=TiktokenTokenizer(),
            media=PictureMedia(),
            prices=prices,
            library=nothing,
            tools=cast(Tools, nothing),
            clock=SystemClock(),
            names=RandomNames(),
            usage=Address("usage", UsageMail, 64),
        )
        self.names = RandomNames()

    async def ask(self, session_id: str, text: str) -> ContextBuilt:
        """Build a turn's request, and begin nothing: a commit would take as long as all of it."""
        send = ChatSend(id="r", content=text, session_id=session_id)
        beginnings = self.context._beginnings
        async with beginnings._parts.sessions.open(session_id) as held:
            assert held.session is not None
            build = await beginnings._builder.build("turn", send, held.session, held, is_new=False)
        return build.context

    async def turn(self, session_id: str | None) -> str:
        """A whole turn, with thinking, that is billed as it was estimated."""
        turn_id, created_at = self.names.new("turn"), time.time_ns() // 1_000_000
        send = ChatSend(id=turn_id, content=f"Question {turn_id}. {WORDS}", session_id=session_id)
        request = BeginTurn(turn_id=turn_id, send=send, created_at=created_at)
        built = await self.box.ask(request)
        row = built.row(turn_id, send.id, created_at)
        step = StepRecord(
            counts=TokenCounts(uncached=built.prompt.token_estimate, output=200),
            stop_reason="end_turn",
            estimated=False,
            counted_tokens=built.prompt.counted_tokens,
        )
        blocks = [
            {"type": "thinking", "thinking": WORDS * 3, "signature": "s" * 200},
            {"type": "text", "text": WORDS * 5},
        ]
        answer = NewMessage(role="assistant", content=msgspec.json.encode(blocks))
        settled = msgspec.structs.replace(row, status="completed", steps=(step,))
        await self.box.ask(CompleteTurn(turn=settled, at=0, messages=[answer]))
        return built.session_id

    async def session(self, turns: int) -> str:
        """A new session of so many turns; its id."""
        session_id: str | None = None
        for _ in range(turns):
            session_id = await self.turn(session_id)
        assert session_id is not None
        return session_id

    async def asking(self, session_id: str) -> Work:
        """The next question of a session."""
        body = (await self.ask(session_id, "How long is it?")).prompt.body
        return Work(lambda: self.ask(session_id, "And now?"), lambda: b"".join([body, b"}"]))

    async def inspecting(self, session_id: str) -> Work:
        """A look at a session."""
        inspect = ContextInspect(id="i", session_id=session_id, content="And now?")
        sections = (await self.box.ask(inspect)).sections
        content = next(one.content for one in sections if one.name == "history").encode()
        return Work(lambda: self.box.ask(inspect), lambda: show(content))


class Held:
    """The longest time for which the loop was held."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        """Look at the clock as often as the loop comes round."""
        last = time.perf_counter()
        while True:
            await trio.lowlevel.checkpoint()
            now = time.perf_counter()
            self.longest = max(self.longest, now - last)
            last = now


class Work(NamedTuple):
    """What is asked of a session, and the same bytes copied as often, without anything else."""

    step: Callable[[], Awaitable[object]]
    copy: Callable[[], object]


async def compared(repeats: int, short: Work, long: Work) -> tuple[float, float]:
    """Milliseconds that the steps of both take without their bytes, each in the middle."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for work, found in zip((short, long), times, strict=True):
            long.copy()
            start = time.thread_time()
            await work.step()
            end = time.thread_time()
            work.copy()
            found.append(2 * end - start - time.thread_time())
    return statistics.median(times[0]) * 1_000, statistics.median(times[1]) * 1_000


async def timed(step: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds that a step takes, while nothing else is done."""
    start = time.perf_counter()
    await step()
    return (time.perf_counter() - start) * 1_000


async def held_by(step: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds for which a step holds the loop.

    The loop never rests meanwhile, and leaves little of the interpreter to other threads.
    """
    held = Held()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(held.watch)
        await trio.lowlevel.checkpoint()
        await step()
        nursery.cancel_scope.cancel()
    return held.longest * 1_000


async def after_start(
    ledger: Ledger,
    session_id: str,
    measure: Callable[[Callable[[], Awaitable[object]]], Awaitable[float]],
) -> float:
    """What is measured of the first question of a session that is not in memory."""
    async with trio.open_nursery() as nursery:
        fresh = Bench(ledger)
        await nursery.start(fresh.context.run)
        await fresh.turn(None)  # loads the vocabulary
        found = await measure(lambda: fresh.ask(session_id, "After a start."))
        fresh.box.close()
    return found


class Shown(msgspec.Struct):
    """A text in a reply."""

    content: str


def show(content: bytes) -> None:
    """What is done with an inspection's text: put together, encoded, decoded."""
    shown = Shown(b"".join([content, b"]"]).decode())
    msgspec.msgpack.decode(msgspec.msgpack.encode(shown), type=Shown)


async def costs(turns: int, repeats: int) -> dict[str, float]:
    """Make the sessions and measure: milliseconds, and how they compare."""
    logging.disable()
    sys.setswitchinterval(SWITCH_SECONDS)  # as `agentspace serve` does, and the next three
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        ledger = Ledger(Path(folder) / "ledger.db", queue_size=1_000)
        await ledger.open()
        async with trio.open_nursery() as nursery:
            bench = Bench(ledger)
            await nursery.start(bench.context.run)
            sessions = [await bench.session(length) for length in (SHORT, turns)]
            asking = [await bench.asking(one) for one in sessions]
            inspecting = [await bench.inspecting(one) for one in sessions]
            asked = await compared(repeats, *asking)
            inspected = await compared(repeats, *inspecting)
            held = [
                statistics.median([await held_by(work.step) for _ in range(repeats)])
                for work in (asking[1], inspecting[1])
            ]
            bench.box.close()
        first = await after_start(ledger, sessions[1], timed)
        first_held = await after_start(ledger, sessions[1], held_by)
        await ledger.close()
    return {
        "ask_short": asked[0],
        "ask_long": asked[1],
        "ask_ratio": asked[1] / asked[0],
        "inspect_ratio": inspected[1] / inspected[0],
        "held": max(held),
        "first": first,
        "first_held": first_held,
    }
