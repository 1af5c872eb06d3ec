"""What probes are told, as a container platform or curl asks."""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trio
from websockets.exceptions import InvalidStatus

from gateway.health import Readiness
from tests.support import World, open_world

WELL = (200, {"status": "ok"})


async def asked(
    world: World, path: str, *, method: str = "GET", head: str = "Host: 10.1.2.3:80\r\n"
) -> tuple[bytes, bytes]:
    """What a bare request is answered: head and body. It names a Host that nobody knows."""
    port = urlsplit(world.url).port or 0
    with trio.fail_after(5):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            text = f"{method} {path} HTTP/1.1\r\n{head}\r\n"
            await stream.send_all(text.encode("latin-1"))
            said = b"".join([bytes(piece) async for piece in stream])
    start, _, body = said.partition(b"\r\n\r\n")
    return start, body


async def probe(world: World, path: str) -> tuple[int, object]:
    """The status and the word."""
    start, body = await asked(world, path)
    assert b"content-type: application/json" in start
    return int(start.split()[1]), json.loads(body)


async def test_a_gateway_that_serves_is_alive_and_ready(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a token, with any Host and Origin, and without a line in the log."""
    async with open_world(tmp_path) as world:
        caplog.set_level(logging.DEBUG)
        caplog.clear()
        for path in ("/healthz", "/readyz", "/readyz?verbose"):
            assert await probe(world, path) == WELL
        for head in (
            "Host: 10.1.2.3:80\r\nOrigin: https://evil.example\r\n",
            "",
            "Host: caf\xe9.example\r\n",
            "Host: a\r\nHost: b\r\n",
        ):
            start, _ = await asked(world, "/healthz", head=head)
            assert start.startswith(b"HTTP/1.1 200 ")
        start, body = await asked(world, "/readyz", method="HEAD")
        assert start.startswith(b"HTTP/1.1 200 ")
        assert b"content-length: 15" in start
        assert body == b""
        assert not [one for one in caplog.records if one.name in ("gateway.door", "gateway.server")]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/healthz", b"403"),
        ("GET", "/healthz/", b"403"),
        ("GET", "/healthzz", b"403"),
        ("GET", "/", b"403"),
    ],
)
async def test_what_is_no_probe_is_judged_like_any_request(
    tmp_path: Path, method: str, path: str, status: bytes
) -> None:
    """A Host that nobody knows is refused then."""
    async with open_world(tmp_path) as world:
        start, _ = await asked(world, path, method=method)
        assert start.split()[1] == status


async def test_a_full_gateway_is_alive(tmp_path: Path) -> None:
    """No probe takes a client's place, and no client a probe's."""
    async with open_world(tmp_path, max_connections=1) as world:
        port = urlsplit(world.url).port or 0
        async with await trio.open_tcp_stream("127.0.0.1", port), world.talk():
            for path in ("/healthz", "/readyz"):
                assert await probe(world, path) == WELL
            with pytest.raises(InvalidStatus):
                async with world.talk():
                    pass


async def test_a_draining_gateway_is_alive_and_not_ready(tmp_path: Path) -> None:
    """It takes no new client while the last ones finish."""
    async with open_world(tmp_path, drain_seconds=20) as world, world.talk() as busy:
        request_id = await busy.say("chat.send", content="[[sim: count=1000 rate=50]]")
        while (await busy.hear())["type"] != "chat.stream.delta":
            pass
        world.gateway.stop()
        while (await busy.hear())["type"] != "gateway.draining":
            pass
        assert await probe(world, "/healthz") == WELL
        assert await probe(world, "/readyz") == (503, {"status": "draining"})
        await busy.say("chat.cancel", requestId=request_id)
        while (await busy.hear())["type"] != "chat.stream.end":
            pass


async def test_a_gateway_whose_ledger_is_full_is_not_ready_until_there_is_room(
    tmp_path: Path,
) -> None:
    """Without a client, too: nobody else would find out that there is room again."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        await world.limit_database(0)
        while (await talk.turn("x" * 50_000))[-1]["type"] != "error":
            pass
        assert await probe(world, "/readyz") == (503, {"status": "ledger"})
        assert await probe(world, "/healthz") == WELL
        await world.limit_database(10_000)
        with trio.fail_after(10):
            while await probe(world, "/readyz") != WELL:  # noqa: ASYNC110 - asks a peer
                await trio.sleep(0.1)
        assert (await talk.turn("Hi"))[-1]["type"] == "chat.stream.end"


async def test_a_gateway_whose_ledger_has_become_read_only_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever keeps the ledger from being written, a full disk or a lost right."""

    def refuse(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    async with open_world(tmp_path) as world, world.talk() as talk:
        with monkeypatch.context() as broken:
            broken.setattr("gateway.ledger.writes.begin_turn", refuse)
            broken.setattr("gateway.ledger.writes.take_room", refuse)
            assert (await talk.turn("Hi"))[-1]["type"] == "error"
            assert await probe(world, "/readyz") == (503, {"status": "ledger"})
        with trio.fail_after(10):
            while await probe(world, "/readyz") != WELL:  # noqa: ASYNC110 - asks a peer
                await trio.sleep(0.1)


class FakeLedger:
    """Counts the trials, each of which takes `seconds`."""

    def __init__(self, seconds: float, *, is_well: bool) -> None:
        self.trials = 0
        self.is_well = is_well
        self._seconds = seconds

    async def try_to_write(self) -> None:
        self.trials += 1
        await trio.sleep(self._seconds)
        self.is_well = True


async def test_a_ledger_that_is_well_is_left_alone() -> None:
    """A probe costs no write."""
    ledger = FakeLedger(0, is_well=True)
    assert await Readiness(ledger).can_write()
    assert ledger.trials == 0


@pytest.mark.usefixtures("autojump_clock")
async def test_there_is_one_trial_a_second_however_many_ask() -> None:
    """Who asks meanwhile is told what is known."""
    ledger = FakeLedger(0.5, is_well=False)
    readiness = Readiness(ledger)
    told: list[bool] = []

    async def ask() -> None:
        told.append(await readiness.can_write())

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(ask)
    assert (ledger.trials, told.count(True), told.count(False)) == (1, 1, 99)


@pytest.mark.usefixtures("autojump_clock")
async def test_a_trial_that_takes_too_long_is_given_up_and_made_again() -> None:
    """A probe is answered in time, while the database is locked by another process, say."""
    ledger = FakeLedger(60, is_well=False)
    readiness = Readiness(ledger)
    assert not await readiness.can_write()
    assert not await readiness.can_write()
    assert ledger.trials == 2
