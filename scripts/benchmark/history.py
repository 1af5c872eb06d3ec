"""What a session's length costs: asking and inspecting at 20 turns and at 2,000, in one run.

The context actor works on a real ledger, with the real tokenizer; only the provider is not asked.
What the request's own bytes cost (they are copied a few times on their way) is measured apart and
taken off, since no gateway can send a long prompt for nothing. The longest time for which the loop
was held is that of the whole step, bytes included.
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
from typing import cast

import msgspec
import trio

from actors.context.catalog import Catalog
from actors.context.context import Context
from actors.context.gathering import ContextSettings
from actors.mailbox import Mailbox
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
    BuildContext,
    CompleteTurn,
    ContextBuilt,
    ContextMail,
    NewMessage,
)
from protocol.provider.model_info import ModelInfo
from protocol.provider.models import fallback
from protocol.records import StepRecord, TurnRecord
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
        )
        self.turns = 0

    async def ask(self, session_id: str | None, text: str) -> ContextBuilt:
        """Build a turn's request, and begin nothing."""
        self.turns += 1
        send = ChatSend(id=f"r{self.turns}", content=text, session_id=session_id)
        return await self.box.ask(BuildContext(turn_id=f"turn_{self.turns}", send=send))

    async def turn(self, session_id: str | None) -> str:
        """A whole turn, with thinking, that is billed as it was estimated."""
        built = await self.ask(session_id, f"Question {self.turns}. {WORDS}")
        row = TurnRecord(
            turn_id=f"turn_{self.turns}",
            session_id=built.session_id,
            request_id=f"r{self.turns}",
            model=MODEL,
            status="open",
            created_at=time.time_ns() // 1_000_000,
        )
        await self.box.ask(BeginTurn(turn=row))
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


async def measured(repeats: int, step: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Milliseconds that a step takes, in the middle, and for which it holds the loop."""
    times, holds = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        await step()
        times.append(time.perf_counter() - start)
    for _ in range(repeats):
        _, held = await watched(step)
        holds.append(held)
    return statistics.median(times) * 1_000, statistics.median(holds)


async def watched(step: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Milliseconds that a step takes once, and for which it holds the loop."""
    held = Held()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(held.watch)
        await trio.lowlevel.checkpoint()
        start = time.perf_counter()
        await step()
        took = time.perf_counter() - start
        nursery.cancel_scope.cancel()
    return took * 1_000, held.longest * 1_000


class Carried(msgspec.Struct):
    """Bytes in a reply."""

    body: bytes


class Shown(msgspec.Struct):
    """A text in a reply."""

    content: str


def carrying(body: bytes, repeats: int) -> float:
    """Milliseconds that a request's bytes cost alone: put together, encoded, decoded."""
    decode = msgspec.msgpack.Decoder(Carried).decode
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        decode(msgspec.msgpack.encode(Carried(b"".join([body]) + b"}")))
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1_000


def showing(text: str, repeats: int) -> float:
    """Milliseconds that an inspection's text costs alone: put together, encoded, decoded."""
    decode = msgspec.msgpack.Decoder(Shown).decode
    raw = text.encode()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        decode(msgspec.msgpack.encode(Shown(b"".join([raw, b"]"]).decode())))
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1_000


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
        sessions: dict[int, str] = {}
        rows: dict[int, dict[str, float]] = {}
        async with trio.open_nursery() as nursery:
            bench = Bench(ledger)
            await nursery.start(bench.context.run)
            for length in (SHORT, turns):
                session: str | None = None
                for _ in range(length):
                    session = await bench.turn(session)
                sessions[length] = session or ""
            for length, session_id in sessions.items():
                rows[length] = await figures(bench, session_id, repeats)
            bench.box.close()
        async with trio.open_nursery() as nursery:
            fresh = Bench(ledger)
            await nursery.start(fresh.context.run)
            await fresh.ask(None, "Load the vocabulary.")
            first, held = await watched(lambda: fresh.ask(sessions[turns], "After a start."))
            fresh.box.close()
        await ledger.close()
    short, long = rows[SHORT], rows[turns]
    return {
        "ask_short": short["ask net"],
        "ask_long": long["ask net"],
        "ask_ratio": long["ask net"] / short["ask net"],
        "inspect_ratio": long["inspect net"] / short["inspect net"],
        "held": max(long["ask held"], long["inspect held"]),
        "first": first,
        "first_held": held,
    }


async def figures(bench: Bench, session_id: str, repeats: int) -> dict[str, float]:
    """What one session costs, in milliseconds and bytes."""
    built = await bench.ask(session_id, "How long is it?")
    body = built.prompt.body
    asking, held = await measured(repeats, lambda: bench.ask(session_id, "And now?"))
    inspect = ContextInspect(id="i", session_id=session_id, content="And now?")
    inspecting, inspecting_held = await measured(repeats, lambda: bench.box.ask(inspect))
    shown = await bench.box.ask(inspect)
    content = next(one.content for one in shown.sections if one.name == "history")
    return {
        "bytes": len(body),
        "ask": asking,
        "ask net": asking - carrying(body, repeats),
        "ask held": held,
        "inspect": inspecting,
        "inspect net": inspecting - showing(content, repeats),
        "inspect held": inspecting_held,
    }
