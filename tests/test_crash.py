"""The process dies under load, at once or in time: what the next one finds is what was told."""

from __future__ import annotations

import random
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trio
from websockets.exceptions import ConnectionClosed

from gateway.app import NOTE_SECONDS
from gateway.simulator import Bill, Reply, ReplyText, Simulator, calls, open_simulator, turn
from gateway.simulator.request import last_text
from tests.child import Child, log_of, open_child
from tests.support import SECONDS, TERMINAL, Frame, Talk, text_of

CLIENTS = 16
SHORT = "[[sim: count=60 rate=100 chars=9]]"
LONG = "[[sim: count=100000 rate=100 chars=9]]"

Row = dict[str, Any]


class Said:
    """One `chat.send`, and what its client heard of it."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.asked_at = trio.current_time()
        self.first_text: float | None = None
        """When its first text was heard."""
        self.frames: list[Frame] = []

    def heard(self, kind: str) -> Frame | None:
        """The first frame of this type."""
        return next((frame for frame in self.frames if frame["type"] == kind), None)

    @property
    def terminal(self) -> Frame | None:
        """The terminal frame, if it was heard."""
        return self.frames[-1] if self.frames and self.frames[-1]["type"] in TERMINAL else None


class Crowd:
    """Clients that talk all the time, and what they say and hear."""

    def __init__(self, kind: str, number: int) -> None:
        self.turns: dict[str, Said] = {}
        self.moment = trio.Event()
        self._awaited, self._left = kind, number
        self._gathered = trio.Event()
        self._here = 0

    async def join(self, world: Child, number: int) -> None:
        """One client: a session of one turn after the other, until the gateway is gone."""
        async with world.talk() as talk:
            self._here += 1
            if self._here == CLIENTS:
                self._gathered.set()
            await self._gathered.wait()
            with suppress(ConnectionClosed):
                await self._converse(talk, number)

    async def _converse(self, talk: Talk, number: int) -> None:
        chance = random.Random(number)
        more: dict[str, str] = {}
        for asked in count():
            said = Said(f"client{number}.{asked}")
            self.turns[said.request_id] = said
            await talk.say(
                "chat.send",
                id=said.request_id,
                content=f"{said.request_id} {_pace(chance)}",
                **more,
            )
            while said.terminal is None:
                self._note(said, await talk.hear())
            more["sessionId"] = _session_of(said)

    def _note(self, said: Said, frame: Frame) -> None:
        assert frame["requestId"] == said.request_id, frame
        said.frames.append(frame)
        if frame["type"] == "chat.stream.delta" and said.first_text is None:
            said.first_text = trio.current_time()
        self._left -= frame["type"] == self._awaited
        if self._left == 0:
            self.moment.set()

    def surely_noted(self, said: Said) -> bool:
        """Whether a turn has its row that was asked for a while after this one's text was heard.

        Rows are written in their order: what the provider told has then been written too.
        """
        return said.first_text is not None and any(
            other.asked_at > said.first_text + NOTE_SECONDS and other.heard("chat.stream.start")
            for other in self.turns.values()
        )


def _pace(chance: random.Random) -> str:
    deltas, rate = chance.randint(1, 60), chance.choice((50, 100, 300, 0))
    return f"[[sim: count={deltas} chars=11 rate={rate} delay={chance.random() / 20:.3f}]]"


def _session_of(said: Said) -> str:
    start = said.heard("chat.stream.start")
    assert start is not None, said.frames
    return str(start["sessionId"])


def rows_of(folder: Path) -> dict[str, Row]:
    """The turns' rows by their requests' ids, of which each must be there once."""
    with closing(sqlite3.connect(folder / "data" / "ledger.db", timeout=SECONDS)) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute("SELECT * FROM Turn")]
    twice = [
        name for name, times in Counter(row["request_id"] for row in rows).items() if times > 1
    ]
    assert twice == []
    return {row["request_id"]: row for row in rows}


def billed_by(simulator: Simulator) -> dict[str, Bill | None]:
    """For each turn that the provider has heard of, what it billed."""
    bills = {bill.request_id: bill for bill in simulator.billed}
    received = [request for request in simulator.requests if request.path == "/v1/messages"]
    return {
        last_text(request.body).split()[0]: bills.get(request.request_id) for request in received
    }


def usage_of(row: Row) -> Frame:
    """A row as the wire tells it."""
    details = {
        "uncached": row["uncached"],
        "cacheRead": row["cache_read"],
        "cacheWrite5m": row["cache_write5m"],
        "cacheWrite1h": row["cache_write1h"],
    }
    tokens = sum(details.values())
    return {
        "inputTokens": tokens,
        "outputTokens": row["output"],
        "totalTokens": tokens + row["output"],
        "inputDetails": details,
        "outputDetails": {"thinking": row["thinking"]},
        "webSearches": row["web_searches"],
        "estimated": bool(row["estimated"]),
    }


def input_of(bill: Bill) -> int:
    """All input tokens of a bill."""
    parts = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return sum(bill.usage[part] for part in parts)


async def answer_of(talk: Talk, session_id: str, turn_id: str) -> Frame | None:
    """What the session's history has of a turn's answer."""
    page = await talk.ask("session.history", sessionId=session_id, limit=200)
    answers = [
        message
        for message in page["messages"]
        if message["turnId"] == turn_id and message["role"] == "assistant"
    ]
    assert len(answers) <= 1
    return answers[0] if answers else None


async def check_told(talk: Talk, said: Said, row: Row) -> None:
    """What a client was told in the end is what is kept, to the token and to the character."""
    terminal = said.terminal
    assert terminal is not None
    assert terminal["turnId"] == row["turn_id"]
    assert terminal["usage"] == usage_of(row)
    is_whole = terminal["stopReason"] != "cancelled"
    assert row["status"] == ("completed" if is_whole else "cancelled")
    kept = await answer_of(talk, row["session_id"], row["turn_id"])
    assert kept is not None
    assert kept["content"][0]["text"] == text_of(said.frames)
    assert kept.get("status") == (None if is_whole else "partial")


def check_interrupted(row: Row, bill: Bill | None, *, noted: bool) -> None:
    """Settled by the next process, with the provider's figure of the input where it had come."""
    assert row["status"] == "interrupted"
    assert row["settled_at"] >= row["created_at"]
    assert row["estimated"]
    figure = usage_of(row)["inputTokens"]
    known = {row["token_estimate"], None if bill is None else input_of(bill)}
    assert figure > 0
    assert figure in known
    if noted:
        assert bill is not None
        assert figure == input_of(bill)


async def check_goes_on(talk: Talk, session_id: str) -> None:
    """The session takes a further message."""
    assert (await talk.turn("Go on.", sessionId=session_id))[-1]["type"] == "chat.stream.end"


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("chat.stream.start", CLIENTS),
        ("chat.stream.delta", 200),
        ("chat.stream.end", 40),
    ],
)
async def test_nothing_that_was_told_is_lost_when_the_process_is_killed(
    tmp_path: Path, kind: str, number: int
) -> None:
    """Every turn has one row, told ones as they were told, the others interrupted, none open."""
    crowd = Crowd(kind, number)
    async with open_simulator() as simulator:
        async with open_child(tmp_path, simulator) as child, trio.open_nursery() as nursery:
            for client in range(CLIENTS):
                nursery.start_soon(crowd.join, child, client)
            with trio.fail_after(3 * SECONDS):
                await crowd.moment.wait()
            child.kill()
        with trio.fail_after(SECONDS):
            await simulator.wait_idle()
        bills = billed_by(simulator)
        async with open_child(tmp_path, simulator) as child, child.talk() as talk:
            rows = rows_of(tmp_path)
            assert bills.keys() <= rows.keys(), "the provider was asked without a row"
            for said in crowd.turns.values():
                row = rows.get(said.request_id)
                if said.heard("chat.stream.start") is not None:
                    assert row is not None
                if said.terminal is not None:
                    assert row is not None
                    await check_told(talk, said, row)
            left = [row for row in rows.values() if row["status"] != "completed"]
            for row in left:
                said = crowd.turns[row["request_id"]]
                bill = bills.get(said.request_id)
                check_interrupted(row, bill, noted=crowd.surely_noted(said))
            await check_sums(talk, rows, bills)
            for row in left:
                await check_goes_on(talk, row["session_id"])
    assert left, "it was not killed under load"
    assert "Traceback" not in log_of(tmp_path).read_text()


async def test_a_killed_turn_leaves_what_its_tools_have_done(tmp_path: Path) -> None:
    """The next message is sent with the calls and their results, and each step is in the bill."""
    tide = [{"name": "tide", "description": "Tides.", "inputSchema": {"type": "object"}}]
    steps = [calls(("tide", {"at": place}), say=f"To {place}.") for place in ("Kiel", "Cork")]
    async with open_simulator() as simulator:
        simulator.script(turn(*steps, Reply(blocks=(ReplyText("So."),), delay=60), when="Tide?"))
        async with open_child(tmp_path, simulator) as child, child.talk() as talk:
            await talk.say("chat.send", id="killed", content="Tide?", tools=tide)
            for answer in ("low", "high"):
                while (heard := await talk.hear())["type"] != "tool.call":
                    assert heard["type"] not in TERMINAL, heard
                await talk.say("tool.output", toolCallId=heard["toolCallId"], content=answer)
            with trio.fail_after(SECONDS):
                while len(child.sent()) < 3:  # noqa: ASYNC110 - asks a peer
                    await trio.sleep(0.01)
            child.kill()
        with trio.fail_after(SECONDS):
            await simulator.wait_idle()
        bills = list(simulator.billed)
        async with open_child(tmp_path, simulator) as child, child.talk() as talk:
            row = rows_of(tmp_path)["killed"]
            assert row["status"] == "interrupted"
            told = [bill.usage["output_tokens"] for bill in bills[:2]]
            assert row["output"] >= sum(told)
            await check_goes_on(talk, row["session_id"])
            sent = child.sent()[-1]["messages"]
            results = [message["content"] for message in sent if message["role"] == "user"]
            assert [block["content"] for block in (results[1][0], results[2][0])] == ["low", "high"]


async def check_sums(talk: Talk, rows: dict[str, Row], bills: dict[str, Bill | None]) -> None:
    """Turn by turn and in sum, what was completed cost what the provider says."""
    kept, billed = Counter[str](), Counter[str]()
    for name, row in rows.items():
        if row["status"] != "completed":
            continue
        bill = bills[name]
        assert bill is not None
        assert bill.outcome == "completed"
        told = {"input": usage_of(row)["inputTokens"], "output": row["output"]}
        assert told == {"input": input_of(bill), "output": bill.output_tokens}
        kept.update(told)
        billed.update(input=input_of(bill), output=bill.output_tokens)
    assert kept == billed
    report = await talk.ask("usage.query")
    assert report["grandTotal"]["requestCount"] == len(rows)
    tokens = sum(usage_of(row)["totalTokens"] for row in rows.values())
    assert report["grandTotal"]["totalTokens"] == tokens


class Leaving:
    """One client of a gateway that ends: its turn in flight, and what it hears to the end."""

    def __init__(self, talk: Talk, request_id: str, directive: str) -> None:
        self.said = Said(request_id)
        self.directive = directive
        self.others: list[Frame] = []
        self.code: int | None = None
        self._talk = talk

    async def begin(self) -> None:
        """Send, and wait for the first text."""
        name = self.said.request_id
        await self._talk.say("chat.send", id=name, content=f"{name} {self.directive}")
        while self.said.heard("chat.stream.delta") is None:
            self.said.frames.append(await self._talk.hear())

    async def hear_draining(self) -> None:
        """Listen until the gateway says that it is about to close."""
        while not self.others:
            await self._hear()

    async def finish(self) -> None:
        """Hear everything, to the close."""
        with suppress(ConnectionClosed):
            while True:
                await self._hear()
        self.code = self._talk.socket.close_code

    async def _hear(self) -> None:
        frame = await self._talk.hear()
        its_own = frame.get("requestId") == self.said.request_id
        (self.said.frames if its_own else self.others).append(frame)


@asynccontextmanager
async def open_leaving(child: Child, directives: Sequence[str]) -> AsyncIterator[list[Leaving]]:
    """As many clients as directives, each in mid-stream.

    Their queues have no bound: one that is full would wait for ever to close.
    """
    async with AsyncExitStack() as stack:
        crowd = [
            Leaving(
                await stack.enter_async_context(child.talk(max_queue=None)),
                f"client{number}",
                directive,
            )
            for number, directive in enumerate(directives)
        ]
        async with trio.open_nursery() as nursery:
            for leaving in crowd:
                nursery.start_soon(leaving.begin)
        yield crowd


async def test_a_drain_under_load_ends_every_turn_and_every_connection(tmp_path: Path) -> None:
    """Who can finish does, who cannot is cut and keeps its part, all are told, and all leave."""
    async with open_simulator() as simulator:
        async with (
            open_child(tmp_path, simulator, "--drain-seconds", "3") as child,
            child.talk() as silent,
            open_leaving(child, [LONG, SHORT] * 8) as crowd,
        ):
            child.terminate()
            async with trio.open_nursery() as nursery:
                for leaving in crowd:
                    nursery.start_soon(leaving.finish)
                await silent.expect("gateway.draining")
                assert await silent.close_code() == 1001
            assert await child.exit_code() == 0
        with trio.fail_after(SECONDS):
            await simulator.wait_idle()
        for leaving in crowd:
            assert [frame["type"] for frame in leaving.others] == ["gateway.draining"]
            assert leaving.others[0]["deadlineMs"] == 3_000
            assert leaving.code == 1001
            assert leaving.said.terminal is not None
            reason = leaving.said.terminal["stopReason"]
            assert reason == ("cancelled" if leaving.directive == LONG else "end_turn")
        async with open_child(tmp_path, simulator) as child, child.talk() as talk:
            rows = rows_of(tmp_path)
            assert len(rows) == len(crowd)
            for leaving in crowd:
                row = rows[leaving.said.request_id]
                await check_told(talk, leaving.said, row)
                await check_goes_on(talk, row["session_id"])
    assert "Traceback" not in log_of(tmp_path).read_text()


async def check_written_so_far(child: Child) -> None:
    """A turn more, which ends after all that is due by now was written."""
    async with child.talk() as talk:
        slow = f"last [[sim: delay={NOTE_SECONDS}]]"
        assert (await talk.turn(slow, id="last"))[-1]["type"] == "chat.stream.end"


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    """It waits for no turn; the exit code names the signal, and the next process settles."""
    async with open_simulator() as simulator:
        async with (
            open_child(tmp_path, simulator, "--drain-seconds", "600") as child,
            open_leaving(child, [LONG] * 4) as crowd,
        ):
            await check_written_so_far(child)
            child.terminate()
            async with trio.open_nursery() as nursery:
                for leaving in crowd:
                    nursery.start_soon(leaving.hear_draining)
            child.terminate()
            assert await child.exit_code() == 128 + signal.SIGTERM
        with trio.fail_after(SECONDS):
            await simulator.wait_idle()
        bills = billed_by(simulator)
        async with open_child(tmp_path, simulator) as child, child.talk() as talk:
            rows = rows_of(tmp_path)
            assert len(rows) == len(crowd) + 1
            for leaving in crowd:
                name = leaving.said.request_id
                row = rows[name]
                check_interrupted(row, bills[name], noted=True)
                await check_goes_on(talk, row["session_id"])
    assert "Traceback" not in log_of(tmp_path).read_text()
