"""A load of gateways that are not this one: what they do wrong is counted, and ends no load."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from websockets.trio.server import ServerConnection, serve

from agentspace.client.errors import ConnectError
from agentspace.client.local import Target
from gateway.load.asking import Asking
from gateway.load.mix import PLAIN, Mix, TurnKind
from gateway.load.plan import LoadPlan
from gateway.load.run import LoadRun
from gateway.load.schedule import Schedule
from gateway.load.tally import LoadTally
from tests.shell import AGENTSPACE, environment

SECONDS = 20.0
Answer = Callable[["Foreign", str], Awaitable[None]]


class Foreign:
    """One connection of a gateway that knows of no subprotocol, and says no hello."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket

    async def say(self, kind: str, request_id: str, **fields: Any) -> None:
        """Send a message."""
        await self.socket.send(json.dumps({"type": kind, "requestId": request_id, **fields}))

    async def start(self, request_id: str) -> None:
        """Begin a turn."""
        await self.say("chat.stream.start", request_id, turnId="t", sessionId="s", seq=0)

    async def delta(self, request_id: str, seq: int, text: str = "hello") -> None:
        """A piece of text."""
        await self.say("chat.stream.delta", request_id, delta=text, seq=seq)

    async def end(self, request_id: str, **more: Any) -> None:
        """End it well."""
        fields = {"turnId": "t", "seq": 9, "stopReason": "end_turn", **more}
        await self.say("chat.stream.end", request_id, **fields)

    async def hear(self) -> dict[str, Any]:
        """The next message."""
        heard = json.loads(await self.socket.recv())
        assert isinstance(heard, dict)
        return heard


@asynccontextmanager
async def foreign_gateway(
    answer: Answer,
    *,
    tls: ssl.SSLContext | None = None,
    seen: list[Any] | None = None,
    sizes: list[int] | None = None,
) -> AsyncIterator[str]:
    """A gateway that answers every question like this; its address.

    `seen` takes the headers of each connection, `sizes` the characters of each message.
    """

    async def handle(socket: ServerConnection) -> None:
        foreign = Foreign(socket)
        if seen is not None:
            assert socket.request is not None
            seen.append(socket.request.headers)
        async for frame in socket:
            message = json.loads(frame)
            if sizes is not None:
                sizes.append(len(frame))
            if message["type"] == "chat.send":
                await answer(foreign, message["id"])

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(
            partial(serve, handle, listeners=listeners, ssl=tls, close_timeout=1, max_size=None)
        )
        yield f"{'ws' if tls is None else 'wss'}://127.0.0.1:{port}/gateway"
        nursery.cancel_scope.cancel()


async def loaded(
    url: str,
    *,
    turns: int = 2,
    turn_seconds: float = 10.0,
    mix: Mix = PLAIN,
    content: str = "hello",
) -> LoadTally:
    """What a load of so many turns, one after another, has seen."""
    plan = LoadPlan(
        connections=1,
        schedule=Schedule(rate=100, count=turns),
        asking=Asking(content=content),
        mix=mix,
        turn_seconds=turn_seconds,
    )
    one = LoadRun(plan, Target(url, None))
    with trio.fail_after(SECONDS):
        await one.run()
    return one.tally


async def well(foreign: Foreign, request_id: str) -> None:
    """As it should be, and with a message that nobody knows."""
    await foreign.start(request_id)
    await foreign.delta(request_id, 1)
    await foreign.say("chat.stream.sparkle", request_id, seq=2)
    await foreign.delta(request_id, 3)
    await foreign.end(request_id)


async def test_a_gateway_without_a_hello_is_loaded_too() -> None:
    """And no message is expected that the protocol does not promise."""
    async with foreign_gateway(well) as url:
        tally = await loaded(url)
    assert tally.total("finished") == tally.total("admitted") == 2
    assert (tally.deltas, tally.characters) == (4, 20)
    assert tally.errors == {}


@pytest.mark.parametrize(("kind", "size"), [("plain", 40_000), ("slow", 4_000)])
async def test_a_gateway_is_loaded_over_tls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: TurnKind, size: int
) -> None:
    """Also when a frame has many records of TLS, and when a record is read piece by piece."""

    async def much(foreign: Foreign, request_id: str) -> None:
        await foreign.start(request_id)
        await foreign.delta(request_id, 1)
        await foreign.delta(request_id, 2, "x" * size)
        await foreign.end(request_id, padding="x" * size)

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with foreign_gateway(much, tls=context) as url:
        tally = await loaded(url, mix=Mix({kind: 1.0}))
    assert tally.errors == {}
    assert tally.characters == 2 * (len("hello") + size)


async def test_a_certificate_that_is_not_trusted_ends_the_load() -> None:
    """It says why, before anything is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with foreign_gateway(well, tls=context) as url:
        with pytest.RaisesGroup(pytest.RaisesExc(ConnectError, match="certificate")):
            await loaded(url)


async def test_a_message_in_fragments_is_one_and_pings_are_answered() -> None:
    """As the WebSocket allows."""

    async def fragments(foreign: Foreign, request_id: str) -> None:
        await foreign.start(request_id)
        answered = await foreign.socket.ping()
        text = json.dumps(
            {"type": "chat.stream.delta", "requestId": request_id, "seq": 1, "delta": "hello"}
        )
        await foreign.socket.send([text[:20], text[20:30], text[30:]])
        with trio.fail_after(SECONDS):
            await answered.wait()
        await foreign.end(request_id)

    async with foreign_gateway(fragments) as url:
        tally = await loaded(url)
    assert tally.errors == {}
    assert tally.characters == 10


async def test_a_long_message_goes_out_whole() -> None:
    """More than a socket takes at once."""
    heard: list[int] = []

    async with foreign_gateway(well, sizes=heard) as url:
        tally = await loaded(url, turns=1, content="x" * 8_000_000)
    assert tally.total("finished") == 1
    assert heard[0] > 8_000_000


async def test_what_breaks_the_protocol_is_counted() -> None:
    """A `seq` that does not grow, and a frame that is no message; the turns go on."""

    async def badly(foreign: Foreign, request_id: str) -> None:
        await foreign.start(request_id)
        await foreign.delta(request_id, 2)
        await foreign.delta(request_id, 2)
        await foreign.socket.send("no JSON")
        await foreign.end(request_id)

    async with foreign_gateway(badly) as url:
        tally = await loaded(url)
    assert tally.errors == {"out_of_order": 2, "bad_message": 2}
    assert tally.total("finished") == 2


async def test_a_gateway_that_hangs_up_fails_its_turn_alone() -> None:
    """The close code is told; the next turn has a connection of its own."""
    codes = iter([1011, None])

    async def hang_up(foreign: Foreign, request_id: str) -> None:
        await foreign.start(request_id)
        if (code := next(codes)) is not None:
            await foreign.socket.aclose(code)
        else:
            await foreign.end(request_id)

    async with foreign_gateway(hang_up) as url:
        tally = await loaded(url)
    assert tally.errors == {"closed_1011": 1}
    assert (tally.total("failed"), tally.total("finished")) == (1, 1)


async def test_a_turn_without_an_end_is_given_up() -> None:
    """After the longest time that a turn may take; the gateway hears a cancel."""
    heard: list[str] = []

    async def never(foreign: Foreign, request_id: str) -> None:
        await foreign.start(request_id)
        heard.append((await foreign.hear())["type"])

    async with foreign_gateway(never) as url:
        tally = await loaded(url, turns=1, turn_seconds=0.3)
        with trio.fail_after(SECONDS):
            while not heard:  # noqa: ASYNC110 - the other side makes it so
                await trio.sleep(0.01)
    assert heard == ["chat.cancel"]
    assert tally.errors == {"turn_timeout": 1}


async def test_no_load_consents_to_a_tool_of_the_gateway() -> None:
    """It would run for real; the turn goes on without it."""
    heard: list[dict[str, Any]] = []

    async def ask(foreign: Foreign, request_id: str) -> None:
        await foreign.start(request_id)
        await foreign.say(
            "tool.approval.request", request_id, toolCallId="c", toolName="rm", args={}, seq=1
        )
        heard.append(await foreign.hear())
        await foreign.end(request_id)

    async with foreign_gateway(ask) as url:
        tally = await loaded(url, turns=1)
    assert [(each["toolCallId"], each["approved"]) for each in heard] == [("c", False)]
    assert tally.total("finished") == 1


async def test_the_token_of_the_folder_goes_to_no_other_gateway(tmp_path: Path) -> None:
    """Only one that was named for this call does."""
    seen: list[Any] = []
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "token").write_text("the-token-of-the-folder\n")
    async with foreign_gateway(well, seen=seen) as url:
        command = [*AGENTSPACE, "load", "--yes", "--url", url, "--count", "1"]
        for named in ([], ["--token", "a-token-that-was-named"]):
            with trio.fail_after(SECONDS):
                await trio.run_process(
                    [*command, *named], env=environment(tmp_path), capture_stdout=True
                )
    told = [headers.get("Authorization") for headers in seen]
    assert set(told) == {None, "Bearer a-token-that-was-named"}
