"""Whatever the provider does wrong, wherever, and whatever the client does meanwhile.

Every cell of `tests/faults.py` is played to a client that stays *attached*; to one that is *gone*
when the fault strikes, and takes the turn up on another connection; and to one so *slow* that the
gateway cannot write to it until the turn is settled. After each the same holds.
"""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import trio

from gateway.simulator import Bill, ErrorReply, Reply, ReplyText, ReplyThinking, SimulatorSettings
from tests.faults import DELTAS, Cell, cells
from tests.support import (
    SECONDS,
    Frame,
    Talk,
    World,
    open_world,
    reasoning_of,
    status_when,
    text_block,
    text_of,
)

THOUGHT = "The moon, and the sun a little."


class Stage:
    """A session and a provider that is about to fail; `watcher` asks for the gateway's figures."""

    def __init__(self, world: World, watcher: Talk, cell: Cell, *, chars: int) -> None:
        self.world = world
        self.watcher = watcher
        self.cell = cell
        self.session_id = ""
        self.asked = trio.Event()
        self.gate = trio.Event()
        self.chars = chars
        self._first, self._second = (
            (words * chars)[: chars * DELTAS]
            for words in ("It rises and it falls. ", "Twice a day, and a little later. ")
        )

    async def prepare(self) -> None:
        """Make the session, and arrange what the provider answers."""
        self.session_id = (await self.watcher.ask("session.create"))["sessionId"]
        answer = Reply(
            blocks=(ReplyThinking(THOUGHT), ReplyText(self._first), ReplyText(self._second)),
            chars=self.chars,
            flush=1,
        )
        cell = self.cell
        trouble = msgspec.structs.replace(
            answer, gate=self.gate, failure=cell.failure, fault=cell.fault, delay=cell.delay
        )
        replies = iter([trouble] * cell.times + [answer])

        def respond(_body: Any) -> Reply | None:
            self.asked.set()
            return next(replies, None)

        self.world.simulator.script(respond)

    @property
    def before(self) -> str:
        """The text that comes before the fault."""
        match self.cell.heard:
            case "nothing":
                return ""
            case "the first block":
                return self._first
            case "half":
                return self._first + self._second[: self.chars * DELTAS // 2]
            case "all":
                return self._first + self._second

    @property
    def text(self) -> str:
        """All the text that comes."""
        return self._first + self._second if self.cell.code is None else self.before

    async def say(self, talk: Talk) -> str:
        """The message that the provider will fail at; said again, it is the same."""
        return await talk.say(
            "chat.send", id="mine", content="What makes the tides?", sessionId=self.session_id
        )

    def rows(self) -> list[dict[str, Any]]:
        """The database's rows of the session's turns, oldest first."""
        path = self.world.settings.data_dir / "ledger.db"
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            found = db.execute(
                "SELECT * FROM Turn WHERE session_id = ? ORDER BY created_at", (self.session_id,)
            )
            return [dict(row) for row in found]


# --- three clients: each yields the connection on which it heard the end, and all its frames ----


@asynccontextmanager
async def attached(stage: Stage) -> AsyncIterator[tuple[Talk, list[Frame]]]:
    """Listens from beginning to end."""
    stage.gate.set()
    async with stage.world.talk() as talk:
        yield talk, await talk.rest(await stage.say(talk))


@asynccontextmanager
async def gone(stage: Stage) -> AsyncIterator[tuple[Talk, list[Frame]]]:
    """Is cut off before the fault strikes, and takes the turn up again.

    With what it has heard it resumes; with nothing at all it says its message again.
    """
    frames: list[Frame] = []
    async with stage.world.talk() as lost:
        request_id = await stage.say(lost)
        with trio.fail_after(SECONDS):
            await stage.asked.wait()
        while text_of(frames) != stage.before:
            frames.append(await lost.hear())
            assert frames[-1]["requestId"] == request_id
        await trio.aclose_forcefully(lost.socket.stream)

    await status_when(stage.watcher, lambda status: status["connections"] == 1)
    stage.gate.set()
    async with stage.world.talk() as talk:
        if frames:
            request_id = await talk.say(
                "chat.resume", turnId=frames[0]["turnId"], after=frames[-1]["seq"]
            )
        else:
            request_id = await stage.say(talk)
        yield talk, frames + await talk.rest(request_id)


@asynccontextmanager
async def slow(stage: Stage) -> AsyncIterator[tuple[Talk, list[Frame]]]:
    """Reads nothing until the turn is settled; there is little room on the way to it."""
    stage.gate.set()
    address = urlsplit(stage.world.url)
    narrow = trio.socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    await narrow.connect((address.hostname, address.port))
    async with stage.world.talk(stream=trio.SocketStream(narrow), max_queue=1) as talk:
        request_id = await stage.say(talk)
        with trio.fail_after(SECONDS):
            await stage.asked.wait()
        await status_when(stage.watcher, lambda status: not status["openRows"])
        frames = await talk.rest(request_id)
        deltas = [frame["delta"] for frame in frames if frame["type"] == "chat.stream.delta"]
        assert not deltas or max(map(len, deltas)) > stage.chars, "what waits for it is joined"
        yield talk, frames


Client = Callable[[Stage], AbstractAsyncContextManager[tuple[Talk, list[Frame]]]]


# --- what holds after each ---------------------------------------------------------------------


@pytest.mark.parametrize("client", [attached, gone, slow], ids=lambda client: client.__name__)
@pytest.mark.parametrize("cell", list(cells()), ids=lambda cell: cell.name)
async def test_whatever_the_provider_does_wrong(tmp_path: Path, cell: Cell, client: Client) -> None:
    """One end, one row, the text that came, a session that goes on, nothing left behind."""
    settings: dict[str, Any] = {
        "retry_attempts": 1,
        "retry_cap_seconds": 0.05,
        "max_tokens": 128_000,  # an estimate goes no further, and the slow client is sent much
        **cell.settings,
    }
    async with (
        open_world(tmp_path, provider=SimulatorSettings(ping_every=0.02), **settings) as world,
        world.talk() as watcher,
    ):
        stage = Stage(world, watcher, cell, chars=16_000 if client is slow else 16)
        await stage.prepare()
        async with client(stage) as (talk, frames):
            assert (await talk.ask("ping"))["type"] == "pong", "nothing follows the end"
            cut_short = client is slow and "reset" in cell.name
            check_frames(stage, frames, cut_short=cut_short)
            await check_that_nothing_is_left(stage)
            check_row(stage, frames, cut_short=cut_short)
            kept = await check_history(stage, talk, frames)
            await check_that_it_goes_on(stage, talk, kept)


def check_frames(stage: Stage, frames: list[Frame], *, cut_short: bool) -> None:
    """One beginning, the text that came before the fault, one end.

    A reset may destroy what was on the way: with `cut_short`, less than that may have come.
    """
    cell = stage.cell
    kinds = [frame["type"] for frame in frames]
    assert kinds.count("chat.stream.start") == 1
    assert kinds[0] == "chat.stream.start"
    seqs = [frame["seq"] for frame in frames if "seq" in frame]
    assert seqs == sorted(set(seqs))
    if cut_short:
        assert stage.text.startswith(text_of(frames))
    else:
        assert (text_of(frames), reasoning_of(frames)) == (stage.text, THOUGHT * bool(stage.text))
    end = frames[-1]
    assert end["turnId"] == frames[0]["turnId"]
    if cell.code is None:
        assert (end["type"], end["stopReason"]) == ("chat.stream.end", "end_turn")
    else:
        told = (end["type"], end["code"], end["retryable"], end.get("retryAfterMs"))
        assert told == ("error", cell.code, cell.retryable, cell.retry_after_ms)
    assert ("usage" in end) == ("cost" in end) == (cell.told != "nothing")


async def check_that_nothing_is_left(stage: Stage) -> None:
    """No stream, no turn, no open row, nothing that waits."""
    with trio.fail_after(SECONDS):
        await stage.world.simulator.wait_idle()
    status = await stage.watcher.ask("gateway.status")
    assert status["connections"] == 2
    assert set(status["turns"].values()) == {0}
    assert {box["waiting"] for box in status["mailboxes"].values()} == {0}
    left = ("upstreamStreams", "openRows", "ledgerQueue", "draining", "ledger")
    assert [status[name] for name in left] == [0, 0, 0, False, "ok"]


def check_row(stage: Stage, frames: list[Frame], *, cut_short: bool) -> None:
    """One row: how it ended, and the provider's bill as far as it was told.

    With `cut_short` the end of the bill may have been on the way when it was destroyed.
    """
    cell, end = stage.cell, frames[-1]
    assert len(stage.world.sent()) == cell.asked
    (row,) = stage.rows()
    ended = (row["turn_id"], row["status"], row["error_code"], row["stop_reason"])
    if cell.code is None:
        assert ended == (end["turnId"], "completed", None, "end_turn")
    else:
        assert ended == (end["turnId"], "failed", cell.code, None)
    is_lost = cut_short and bool(row["estimated"])
    assert bool(row["estimated"]) == (cell.doubtful or is_lost)
    if cell.told == "nothing":
        assert [row[name] for name in (*INPUT, "output", "thinking")] == [0] * 6
        return
    billed = stage.world.simulator.billed[-1]
    assert {name: row[name] for name in INPUT} == input_of(billed)
    if cell.told == "all" and not is_lost:
        thinking = billed.usage["output_tokens_details"]["thinking_tokens"]
        assert (row["output"], row["thinking"]) == (billed.output_tokens, thinking)
    else:
        received = len(text_of(frames)) + len(reasoning_of(frames))
        # The first event tells of one token.
        assert row["output"] == pytest.approx(max(1, received / 3.6), rel=0.5)
    usage, cost = end["usage"], end["cost"]
    assert usage["inputTokens"] == sum(row[name] for name in INPUT)
    assert (usage["outputTokens"], usage["estimated"]) == (row["output"], bool(row["estimated"]))
    total = Decimal(row["input_cost"] + row["output_cost"]).scaleb(-12)
    assert Decimal(str(cost["totalCost"])) == total > 0


INPUT = ("uncached", "cache_read", "cache_write5m", "cache_write1h")


def input_of(billed: Bill) -> dict[str, int]:
    """What the provider billed for the input."""
    usage = billed.usage
    written = usage["cache_creation"]
    figures = (
        usage["input_tokens"],
        usage["cache_read_input_tokens"],
        written["ephemeral_5m_input_tokens"],
        written["ephemeral_1h_input_tokens"],
    )
    return dict(zip(INPUT, figures, strict=True))


async def check_history(stage: Stage, talk: Talk, frames: list[Frame]) -> list[Frame]:
    """The question, and of the answer what the client heard, marked when it is a part.

    A question that the provider never began to answer is marked, and not sent again.
    """
    history = await talk.ask("session.history", sessionId=stage.session_id)
    question, *answers = history["messages"]
    assert (question["role"], question["content"]) == ("user", "What makes the tides?")
    heard = text_of(frames)
    assert [text_in(answer) for answer in answers] == ([heard] if heard else [])
    partial = "partial" if stage.cell.code else None
    assert [answer.get("status") for answer in answers] == ([partial] if heard else [])
    never_began = stage.cell.told == "nothing"
    assert question.get("status") == ("unanswered" if never_began else None)
    return [] if never_began else history["messages"]


def blocks_of(message: Frame) -> Any:
    """What goes upstream for a message that the history shows."""
    content = message["content"]
    return text_block(content) if isinstance(content, str) else content


def text_in(message: Frame) -> str:
    """The text of a message's blocks."""
    return "".join(block.get("text", "") for block in message["content"])


async def check_that_it_goes_on(stage: Stage, talk: Talk, kept: list[Frame]) -> None:
    """The provider takes the next message, behind what was kept, and there is a second row."""
    frames = await talk.turn("Go on.", sessionId=stage.session_id)
    assert (frames[-1]["type"], frames[-1].get("stopReason")) == ("chat.stream.end", "end_turn")
    sent = stage.world.sent()[-1]["messages"]
    kept = [*kept, {"role": "user", "content": "Go on."}]
    assert sent == [{"role": one["role"], "content": blocks_of(one)} for one in kept]
    assert [row["status"] for row in stage.rows()][1:] == ["completed"]


async def test_the_pause_that_the_provider_asks_for_is_kept(tmp_path: Path) -> None:
    """The second attempt comes when `retry-after` says, and is the turn's answer."""
    came: list[float] = []

    def respond(_body: Any) -> Reply | None:
        came.append(trio.current_time())
        return Reply(failure=ErrorReply(429, retry_after=0.3)) if len(came) == 1 else None

    async with open_world(tmp_path) as world, world.talk() as talk:
        world.simulator.script(respond)
        assert (await talk.turn("What makes the tides?"))[-1]["type"] == "chat.stream.end"
    first, second = came
    assert second - first >= 0.3
