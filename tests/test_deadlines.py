"""A provider that keeps a turn waiting: each way of it has a deadline, an error and a settled row.

Its connection may never come about, its answer may never begin, or fall silent in the middle;
pings are no content, but the status shows them.
"""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.simulator import Fault, Reply, ReplyText, SimulatorSettings
from tests.support import SECONDS, Frame, Talk, kinds_of, open_world, status_when, text_of

PINGS = SimulatorSettings(ping_every=0.05)
LONG = 60.0
SHORT = 0.6


@contextmanager
def never_accepting() -> Iterator[str]:
    """The URL of an address where a connection is neither made nor refused: its queue is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}"


def rows(data_dir: Path) -> list[tuple[str, str | None]]:
    """How the turns were settled: their states and error codes."""
    with closing(sqlite3.connect(data_dir / "ledger.db")) as database:
        return database.execute("SELECT status, error_code FROM turn").fetchall()


async def assert_settled(talk: Talk, error: Frame, data_dir: Path) -> None:
    """It failed for the time it took, with its one row settled, and nothing is left upstream."""
    assert (error["type"], error["code"], error["retryable"]) == ("error", "LLM_TIMEOUT", True)
    status = await talk.ask("gateway.status")
    assert (status["openRows"], status["oldestOpenRowSeconds"]) == (0, 0)
    assert (status["upstreamStreams"], status["longestSilenceSeconds"]) == (0, 0)
    assert not any(status["turns"].values())
    assert rows(data_dir) == [("failed", "LLM_TIMEOUT")]


async def test_a_connection_that_is_never_made_has_a_deadline(tmp_path: Path) -> None:
    """It is that of the connection alone: nothing was sent, and nothing billed."""
    limits: dict[str, Any] = {"connect_seconds": SHORT, "first_content_seconds": LONG}
    with never_accepting() as url:
        async with (
            open_world(tmp_path, anthropic_base_url=url, retry_attempts=0, **limits) as world,
            world.talk() as talk,
        ):
            began = trio.current_time()
            frames = await talk.turn("Hi")
            assert SHORT <= trio.current_time() - began < SECONDS
            assert kinds_of(frames) == ["session.created", "chat.stream.start", "error"]
            assert "usage" not in frames[-1]
            await assert_settled(talk, frames[-1], tmp_path)


@pytest.mark.parametrize(
    ("reply", "pings"),
    [
        pytest.param(Reply(delay=LONG), False, id="no headers"),
        pytest.param(Reply(fault=Fault("stall")), False, id="headers alone"),
        pytest.param(Reply(fault=Fault("pings")), True, id="pings alone"),
        pytest.param(Reply(fault=Fault("pings", at=1)), True, id="a start and pings"),
    ],
)
async def test_the_first_content_has_a_deadline(
    tmp_path: Path, reply: Reply, *, pings: bool
) -> None:
    """Neither headers nor pings nor the message's start put it off."""
    limits: dict[str, Any] = {"first_content_seconds": SHORT, "llm_idle_seconds": LONG}
    async with (
        open_world(tmp_path, provider=PINGS, retry_attempts=0, **limits) as world,
        world.talk() as talk,
    ):
        world.simulator.script(reply)
        began = trio.current_time()
        frames = await talk.turn("Hi")
        assert SHORT <= trio.current_time() - began < SECONDS
        assert text_of(frames) == ""
        await assert_settled(talk, frames[-1], tmp_path)
        assert ((await talk.ask("gateway.status"))["providerPings"] > 0) is pings
        with trio.fail_after(SECONDS):
            await world.simulator.wait_idle()


@pytest.mark.parametrize("kind", ["stall", "pings"])
async def test_a_silence_in_mid_answer_has_a_deadline(tmp_path: Path, kind: str) -> None:
    """What came is kept and billed, and marked as broken off."""
    limits: dict[str, Any] = {"first_content_seconds": LONG, "llm_idle_seconds": SHORT}
    async with open_world(tmp_path, provider=PINGS, **limits) as world, world.talk() as talk:
        fault = Fault(kind, at=6)  # type: ignore[arg-type]
        world.simulator.script(Reply(blocks=(ReplyText("word " * 40),), flush=1, fault=fault))
        began = trio.current_time()
        frames = await talk.turn("Hi")
        assert SHORT <= trio.current_time() - began < SECONDS
        assert frames[-1]["usage"]["estimated"] is True
        await assert_settled(talk, frames[-1], tmp_path)
        page = await talk.ask("session.history", sessionId=frames[0]["sessionId"])
        partial = page["messages"][-1]
        assert (partial["status"], partial["content"][0]["text"]) == ("partial", text_of(frames))
        assert text_of(frames)
        with trio.fail_after(SECONDS):
            await world.simulator.wait_idle()


async def test_a_silence_with_pings_shows_while_the_turn_waits(tmp_path: Path) -> None:
    """The silence and the pings grow in the status, which asks nobody; content ends it."""
    limits: dict[str, Any] = {"llm_idle_seconds": LONG}
    async with (
        open_world(tmp_path, provider=PINGS, **limits) as world,
        world.talk() as talk,
        world.talk() as other,
    ):
        assert (await other.ask("gateway.status"))["longestSilenceSeconds"] == 0
        fault = Fault("pings", at=6, seconds=2.5)
        answer = Reply(blocks=(ReplyText("word " * 100),), flush=1, fault=fault)
        world.simulator.script(answer)
        request_id = await talk.say("chat.send", content="Hi")
        early = await status_when(other, lambda now: bool(now["providerPings"] >= 3))
        assert (early["upstreamStreams"], early["turns"]["streaming"]) == (1, 1)
        later = await status_when(other, lambda now: bool(now["longestSilenceSeconds"] >= 1.5))
        assert later["providerPings"] > early["providerPings"]
        assert later["turns"]["streaming"] == 1
        assert text_of(await talk.rest(request_id)) == "word " * 100
        over = await other.ask("gateway.status")
        assert over["longestSilenceSeconds"] == 0
        assert over["providerPings"] >= later["providerPings"]
