"""Storms: turns cancelled, dropped, resumed, broken and read slowly, and nothing of them stays."""

from __future__ import annotations

import gc
import logging
import os
import random
import re
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import pytest
import trio

from gateway.simulator import SimulatorSettings, open_simulator
from tests.child import log_of, open_child
from tests.support import SECONDS, TERMINAL, Frame, Talk, World, open_world, text_of

log = logging.getLogger(__name__)

MIB = 1024 * 1024

OURS = re.compile(r"(protocol|actors|gateway(?!\.simulator))\.")

UNREAD: dict[str, Any] = {"max_queue": None}
"""For a client that leaves with frames unread: one whose queue is full waits for ever to close."""

CANCELS = 400
WARM = 100
PAIRS = 25

SOAK_SECONDS = float(os.environ.get("SOAK_SECONDS", "4"))
"""How long the soak lasts; set it to soak for minutes."""
SOAK_CLIENTS = 60
ROUND_SECONDS = 30.0
"""Of a long soak: after each round the gateway has to be calm."""


# --- what is left ------------------------------------------------------------------------------


def figures(status: Frame) -> dict[str, Any]:
    """What of a status comes back to where it was when nothing runs any more."""
    kept = "connections turns upstreamStreams logs logBytes detachedLogs ledgerQueue openRows"
    return {
        **{name: status[name] for name in kept.split()},
        "mailboxes": {name: depth["waiting"] for name, depth in status["mailboxes"].items()},
    }


async def calm(watcher: Talk, baseline: Frame) -> Frame:
    """Wait until the gateway's figures are those of `baseline` again; its status then."""
    status: Frame = {}
    with trio.move_on_after(3 * SECONDS):
        while not status or figures(status) != figures(baseline):
            await trio.sleep(0.1)
            status = await watcher.ask("gateway.status")
    assert figures(status) == figures(baseline)
    return status


def ours() -> Counter[str]:
    """The objects of the gateway's own classes that are alive."""
    gc.collect()
    kinds = (type(thing) for thing in gc.get_objects())
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)
    return Counter(name for name in names if OURS.match(name))


class Settlements:
    """The database's own record of every time that a turn's row was settled."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "ledger.db"
        self._work(
            "CREATE TABLE settled (turn_id, was, became)",
            "CREATE TRIGGER settle AFTER UPDATE ON Turn WHEN new.status <> 'open' "
            "BEGIN INSERT INTO settled VALUES (new.turn_id, old.status, new.status); END",
        )

    def all(self) -> list[tuple[str, str, str]]:
        """Turn, former and new status, in their order."""
        return self._work("SELECT turn_id, was, became FROM settled")

    def rows(self) -> list[tuple[str, str, str]]:
        """Each row's turn, request and status."""
        return self._work("SELECT turn_id, request_id, status FROM Turn")

    def _work(self, *statements: str) -> list[tuple[str, str, str]]:
        with closing(sqlite3.connect(self._file, timeout=SECONDS)) as database, database:
            found = [database.execute(statement).fetchall() for statement in statements]
        return found[-1]


# --- hundreds of cancels -----------------------------------------------------------------------


class Cancelled(msgspec.Struct, frozen=True):
    """How one turn ended that somebody wanted to cancel; `missed` when that was too late."""

    request_id: str
    terminal: Frame
    missed: bool


class Pair:
    """Two clients; what the one begins, it or the other cancels."""

    def __init__(self, world: World, own: Talk, other: Talk, chance: random.Random) -> None:
        self._world = world
        self._own = own
        self._other = other
        self._chance = chance

    async def turn(self, request_id: str) -> Cancelled:
        """One turn, and one of the ways to cancel it."""
        ways = (self._by_request, self._by_turn, self._by_the_other, self._by_the_other_later)
        return await self._chance.choice(ways)(request_id)

    async def _send(self, talk: Talk, request_id: str) -> None:
        content = f"{request_id} [[sim: count=20 rate=100 chars=9 delay=0.04]]"
        await talk.say("chat.send", id=request_id, content=content)

    async def _moment(self) -> None:
        """From before the first byte to after the last; often there is no wait at all."""
        await trio.sleep(max(0.0, self._chance.uniform(-0.05, 0.3)))

    async def _by_request(self, request_id: str) -> Cancelled:
        await self._send(self._own, request_id)
        await self._moment()
        cancel = await self._own.say("chat.cancel", requestId=request_id, id=f"{request_id}.c")
        return await self._end(self._own, request_id, [], cancel)

    async def _by_turn(self, request_id: str) -> Cancelled:
        await self._send(self._own, request_id)
        frames = await _to_start(self._own)
        await self._moment()
        turn_id = frames[-1]["turnId"]
        cancel = await self._own.say("chat.cancel", turnId=turn_id, id=f"{request_id}.c")
        return await self._end(self._own, request_id, frames, cancel)

    async def _by_the_other(self, request_id: str) -> Cancelled:
        await self._send(self._own, request_id)
        frames = await _to_start(self._own)
        await self._moment()
        turn_id = frames[-1]["turnId"]
        cancel = await self._other.say("chat.cancel", turnId=turn_id, id=f"{request_id}.c")
        refusals = await _to_pong(self._other)
        ended = await self._end(self._own, request_id, frames, cancel)
        return msgspec.structs.replace(ended, missed=_is_missed(refusals, cancel))

    async def _by_the_other_later(self, request_id: str) -> Cancelled:
        """The client has gone; another one names its request, and takes the stream up."""
        async with self._world.talk(**UNREAD) as lost:
            await self._send(lost, request_id)
            turn_id = (await _to_start(lost))[-1]["turnId"]
            await self._moment()
        cancel = await self._other.say("chat.cancel", requestId=request_id, id=f"{request_id}.c")
        resumed = await self._other.say("chat.resume", turnId=turn_id, id=f"{request_id}.r")
        ended = await self._end(self._other, resumed, [], cancel)
        return msgspec.structs.replace(ended, request_id=request_id)

    async def _end(
        self, talk: Talk, request_id: str, frames: list[Frame], cancel: str
    ) -> Cancelled:
        """Hear the terminal frame, and then make sure that nothing follows it."""
        frames = list(frames)
        while not frames or not _ends(frames[-1], request_id):
            frames.append(await talk.hear())
        frames += await _to_pong(talk)
        terminals = [frame for frame in frames if _ends(frame, request_id)]
        others = [frame for frame in frames if frame["requestId"] not in (request_id, cancel)]
        assert len(terminals) == 1, frames
        assert others == []
        last = max(at for at, frame in enumerate(frames) if frame["requestId"] == request_id)
        assert frames[last] is terminals[0]
        return Cancelled(request_id, terminals[0], _is_missed(frames, cancel))


def _ends(frame: Frame, request_id: str) -> bool:
    return frame["requestId"] == request_id and frame["type"] in TERMINAL


def _is_missed(frames: list[Frame], cancel: str) -> bool:
    answers = [frame for frame in frames if frame["requestId"] == cancel]
    assert [answer["code"] for answer in answers] in ([], ["REQUEST_NOT_FOUND"])
    return bool(answers)


async def _to_start(talk: Talk) -> list[Frame]:
    frames: list[Frame] = []
    while not frames or frames[-1]["type"] != "chat.stream.start":
        frames.append(await talk.hear())
    return frames


async def _to_pong(talk: Talk) -> list[Frame]:
    """What comes before the pong, which answers all that was said before it."""
    ping = await talk.say("ping")
    frames: list[Frame] = []
    while not frames or frames[-1]["requestId"] != ping:
        frames.append(await talk.hear())
    assert frames.pop()["type"] == "pong"
    return frames


async def cancel_many(world: World, numbers: range) -> list[Cancelled]:
    """These turns, over several connections at once."""
    done: list[Cancelled] = []
    waiting = iter(numbers)

    async def work(seed: int) -> None:
        async with world.talk() as own, world.talk() as other:
            pair = Pair(world, own, other, random.Random(seed))
            for number in waiting:
                done.append(await pair.turn(f"turn{number}"))  # noqa: PERF401 - they share it

    with trio.fail_after(12 * SECONDS):
        async with trio.open_nursery() as nursery:
            for place in range(PAIRS):
                nursery.start_soon(work, numbers.start + place)
    return done


async def test_hundreds_of_cancels_leave_as_many_settled_rows_and_nothing_else(
    tmp_path: Path,
) -> None:
    """At any moment, from any connection: one end, one settlement, no stream left, no leak."""
    settings: dict[str, Any] = {"log_retention_seconds": 4.0, "history_cache_bytes": 1_024}
    async with open_world(tmp_path, **settings) as world, world.talk() as watcher:
        baseline = await watcher.ask("gateway.status")
        settlements = Settlements(tmp_path)
        done = await cancel_many(world, range(WARM))
        await calm(watcher, baseline)
        objects = ours()
        before = await watcher.ask("gateway.status")
        done += await cancel_many(world, range(WARM, CANCELS))
        with trio.fail_after(SECONDS):
            await world.simulator.wait_idle()
        await calm(watcher, baseline)
        world.simulator.requests.clear()
        world.simulator.billed.clear()
        grown = ours() - objects
        after = await watcher.ask("gateway.status")
        check_settled(done, settlements)
    log.info(
        "%s; memory %+d KiB",
        Counter(ended.terminal["stopReason"] for ended in done),
        (after["memoryBytes"] - before["memoryBytes"]) // 1024,
    )
    assert {kind: more for kind, more in grown.items() if more > 20} == {}
    assert after["memoryBytes"] - before["memoryBytes"] < 16 * MIB


def check_settled(done: list[Cancelled], settlements: Settlements) -> None:
    """Each turn has one row that was settled once, as its terminal frame says."""
    told = {}
    for ended in done:
        reason = ended.terminal["stopReason"]
        assert reason in ("cancelled", "end_turn")
        assert not (ended.missed and reason == "cancelled")
        told[ended.request_id] = "cancelled" if reason == "cancelled" else "completed"
    assert len(told) == len(done) == CANCELS
    rows = settlements.rows()
    assert len(rows) == CANCELS
    assert {request_id: status for _, request_id, status in rows} == told
    expected = [(turn_id, "open", status) for turn_id, _, status in rows]
    assert sorted(settlements.all()) == sorted(expected)
    kinds = Counter(told.values())
    assert kinds["cancelled"] > CANCELS / 4
    assert kinds["completed"] > CANCELS / 20


# --- how soon ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "directive",
    [
        "[[sim: delay=600]]",
        "[[sim: count=100000 rate=200]]",
        "[[sim: count=100 flush=1 fault=stall@6]]",
    ],
    ids=["before the first byte", "in mid-stream", "in a silence"],
)
async def test_the_provider_sees_a_cancel_within_100_ms(tmp_path: Path, directive: str) -> None:
    """From the client's `chat.cancel` to the upstream connection's end, as the provider sees it."""
    took = []
    async with open_world(tmp_path) as world, world.talk() as talk:
        for number in range(21):
            request_id = await talk.say("chat.send", content=directive)
            await _until_asked(world, number + 1)
            if "delay" not in directive:
                while (await talk.hear())["type"] != "chat.stream.delta":
                    pass
            began = trio.current_time()
            await talk.say("chat.cancel", requestId=request_id)
            with trio.fail_after(SECONDS):
                await world.simulator.wait_idle()
            took.append(trio.current_time() - began)
            assert (await talk.rest(request_id))[-1]["stopReason"] == "cancelled"
    log.info("closed upstream after %.1f ms (median)", median(took) * 1_000)
    assert median(took) < 0.1


async def _until_asked(world: World, times: int) -> None:
    """Wait until the provider has begun so many answers."""
    with trio.fail_after(SECONDS):
        while world.simulator.streams_started < times:  # noqa: ASYNC110 - nobody tells of it
            await trio.sleep(0.005)


# --- the soak ----------------------------------------------------------------------------------

BROKEN = (
    "count=30 flush=1 fault=error@8",
    "count=30 flush=1 fault=reset@8",
    "count=30 flush=1 fault=truncate@8",
    "count=30 flush=1 fault=end@8",
    "count=30 flush=1 fault=bad_json@8",
    "status=400",
    "status=429 retry_after=60",
)
ODD = (
    "count=30 flush=1 fault=unknown_event@8",
    "count=30 flush=1 fault=double_stop",
    "count=30 flush=1 fault=split@2",
    "count=30 rate=200 thinking=20",
    "count=30 search=3",
)


class Restless:
    """A client that does now this and now that, until the soak is over."""

    def __init__(self, world: World, number: int, seen: Counter[str]) -> None:
        self._world = world
        self._chance = random.Random(number)
        self._ids = (f"client{number}.{place}" for place in count())
        self._seen = seen
        self._session: dict[str, str] = {}

    async def live(self, until: float) -> None:
        """Connect, and again whenever the connection was dropped."""
        acts: tuple[Callable[[Talk], Awaitable[bool]], ...] = (
            self._whole,
            self._whole,
            self._cancel,
            self._drop_and_resume,
            self._drop_for_good,
            self._read_slowly,
            self._break,
            self._look,
            self._leave_silence,
            self._forget,
        )
        while trio.current_time() < until:
            async with self._world.talk(**UNREAD) as talk:
                stays = True
                while stays and trio.current_time() < until:
                    act = self._chance.choice(acts)
                    self._seen[act.__name__] += 1
                    stays = await act(talk)

    async def _send(self, talk: Talk, directive: str, **more: str) -> str:
        request_id = next(self._ids)
        content = f"{request_id} [[sim: {directive}]]"
        return await talk.say("chat.send", id=request_id, content=content, **self._session, **more)

    async def _begin(self, talk: Talk, directive: str, **more: str) -> list[Frame]:
        """Send, and hear the first text."""
        await self._send(talk, directive, **more)
        frames = await _to_start(talk)
        self._session = {"sessionId": frames[-1]["sessionId"]}
        while frames[-1]["type"] != "chat.stream.delta":
            frames.append(await talk.hear())
        return frames

    async def _whole(self, talk: Talk) -> bool:
        directive = self._chance.choice(("count=40 rate=200", "count=200 rate=0", *ODD))
        frames = await talk.rest(await self._send(talk, directive))
        assert frames[-1]["type"] == "chat.stream.end", frames[-1]
        return True

    async def _cancel(self, talk: Talk) -> bool:
        request_id = await self._send(talk, "count=1000 rate=200 delay=0.05")
        await trio.sleep(self._chance.random() / 3)
        await talk.say("chat.cancel", id=next(self._ids), requestId=request_id)
        assert (await talk.rest(request_id))[-1]["stopReason"] == "cancelled"
        return True

    async def _drop_and_resume(self, talk: Talk) -> bool:
        frames = await self._begin(talk, "count=60 rate=200 chars=7")
        start = next(frame for frame in frames if frame["type"] == "chat.stream.start")
        await trio.aclose_forcefully(talk.socket.stream)
        async with self._world.talk() as again:
            resumed = await again.say(
                "chat.resume", id=next(self._ids), turnId=start["turnId"], after=frames[-1]["seq"]
            )
            frames += await again.rest(resumed)
        assert frames[-1]["type"] == "chat.stream.end", frames[-1]
        assert len(text_of(frames)) == 60 * 7
        return False

    async def _drop_for_good(self, talk: Talk) -> bool:
        """With a whole turn to come, or an endless one that is to be cancelled by that."""
        gone = self._chance.choice(("detach", "cancel"))
        directive = f"count={30 if gone == 'detach' else 100_000} rate=100"
        await self._begin(talk, directive, onDisconnect=gone)
        if self._chance.random() < 0.5:
            await trio.aclose_forcefully(talk.socket.stream)
        self._session = {}
        return False

    async def _read_slowly(self, _talk: Talk) -> bool:
        """Much at once for a client that reads no frame for a while, and then all of them."""
        async with self._world.talk() as slow:
            request_id = await self._send(slow, "count=3000 rate=0 chars=200 flush=4096")
            await trio.sleep(0.3)
            assert len(text_of(await slow.rest(request_id))) == 3_000 * 200
        self._session = {}  # its history has become dear
        return True

    async def _break(self, talk: Talk) -> bool:
        request_id = await self._send(talk, self._chance.choice(BROKEN))
        assert (await talk.rest(request_id))[-1]["type"] == "error"
        return True

    async def _leave_silence(self, talk: Talk) -> bool:
        """A provider that says no more, and a client that waits for nothing."""
        await self._begin(talk, "count=100 flush=1 fault=stall@6", onDisconnect="cancel")
        self._session = {}
        return False

    async def _look(self, talk: Talk) -> bool:
        if self._session:
            for kind in ("context.inspect", "session.history"):
                assert (await talk.ask(kind, id=next(self._ids), **self._session))[
                    "type"
                ] != "error"
        for kind in ("usage.query", "session.list", "gateway.status", "model.list"):
            assert (await talk.ask(kind, id=next(self._ids)))["type"] != "error"
        await talk.socket.send("nonsense")
        assert (await talk.hear())["code"] == "INVALID_MESSAGE"
        return True

    async def _forget(self, talk: Talk) -> bool:
        session, self._session = self._session, {}
        if session:
            gone = await talk.ask("session.delete", id=next(self._ids), **session)
            assert gone["type"] == "session.deleted"
        return True


async def soak(world: World, watcher: Talk, baseline: Frame, seconds: float, seed: int) -> Frame:
    """A mixed storm, and the calm after it; the status then."""
    seen = Counter[str]()
    until = trio.current_time() + seconds
    with trio.fail_after(seconds + 6 * SECONDS):
        async with trio.open_nursery() as nursery:
            for number in range(SOAK_CLIENTS):
                client = Restless(world, seed + number, seen)
                nursery.start_soon(client.live, until)
    with trio.fail_after(SECONDS):
        await world.simulator.wait_idle()
    status = await calm(watcher, baseline)
    log.info("%s; memory %.1f MiB", dict(seen), status["memoryBytes"] / MIB)
    return status


async def test_after_a_mixed_storm_the_gateway_is_as_it_was_before(tmp_path: Path) -> None:
    """Sends, cancels, drops, resumes, slow readers and faults leave no figure behind."""
    settings = {
        "AGENTSPACE_LOG_RETENTION_SECONDS": "5",
        "AGENTSPACE_HISTORY_CACHE_BYTES": str(MIB),
        "AGENTSPACE_RETRY_ATTEMPTS": "0",
    }
    few = SimulatorSettings(keep=10)
    async with (
        open_simulator(settings=few) as simulator,
        open_child(tmp_path, simulator, **settings) as child,
        child.talk() as watcher,
    ):
        baseline = await watcher.ask("gateway.status")
        rounds = max(2, round(SOAK_SECONDS / ROUND_SECONDS))
        calms = [
            await soak(child, watcher, baseline, SOAK_SECONDS / rounds, 1_000 * place)
            for place in range(rounds)
        ]
        with closing(sqlite3.connect(tmp_path / "data" / "ledger.db", timeout=SECONDS)) as ledger:
            (unsettled,) = ledger.execute(
                "SELECT count(*) FROM Turn WHERE status = 'open'"
            ).fetchone()
    assert unsettled == 0
    assert calms[-1]["memoryBytes"] - calms[0]["memoryBytes"] < 32 * MIB
    assert "Traceback" not in log_of(tmp_path).read_text()
