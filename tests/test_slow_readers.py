"""Clients that read slowly or not at all, or never answer, harm neither the gateway nor others.

The client here is a bare socket with a tiny receive buffer under `websockets`' rules without IO:
it reads when a test says so, and never by itself.
"""

from __future__ import annotations

import json
import socket as stdlib_socket
import statistics
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trio
from websockets.client import ClientProtocol
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from protocol.turn import LONGEST_JOINED
from tests.support import (
    SECONDS,
    TERMINAL,
    TOKEN,
    Frame,
    Talk,
    World,
    open_world,
    status_when,
    text_of,
)

TINY = 4_096
"""Bytes of a socket's receive buffer, so that it is soon full."""

HANGING = 20
"""Clients that stop reading at once."""


class Reader:
    """A client that reads only when it is told to."""

    def __init__(self, stream: trio.SocketStream, rules: ClientProtocol) -> None:
        self._stream = stream
        self._rules = rules
        self.answers_pings = True
        self.pongs: list[bytes] = []
        self.heard: list[Frame] = []
        self.is_over = False
        """Whether the connection has ended; with or without a close frame."""

    @property
    def close_code(self) -> int | None:
        """The gateway's, or 1006 when the connection ended without one."""
        return self._rules.close_code

    @property
    def has_its_end(self) -> bool:
        """Whether a turn's terminal frame was heard."""
        return any(frame["type"] in TERMINAL for frame in self.heard)

    def has_pong(self, payload: bytes) -> bool:
        """Whether this ping was answered."""
        return payload in self.pongs

    async def shake_hands(self) -> None:
        """Open the WebSocket."""
        request = self._rules.connect()
        request.headers["Authorization"] = f"Bearer {TOKEN}"
        self._rules.send_request(request)
        await self._flush()
        await self.read_until(lambda: self._rules.state.name == "OPEN")

    async def say(self, kind: str, **fields: object) -> None:
        """Send a message."""
        self._rules.send_text(json.dumps({"id": "r1", **fields, "type": kind}).encode())
        await self._flush()

    async def ping(self, payload: bytes) -> None:
        """Send a ping."""
        self._rules.send_ping(payload)
        await self._flush()

    async def read(self, most: int = 65_536) -> None:
        """Read once, at most so many bytes."""
        try:
            data = await self._stream.receive_some(most)
        except trio.BrokenResourceError:
            data = b""
        if data:
            self._rules.receive_data(data)
        else:
            self._rules.receive_eof()
            self.is_over = True
        for event in self._rules.events_received():
            match event:
                case Response():
                    assert event.status_code == 101
                case WireFrame(opcode=Opcode.TEXT, data=text):
                    self.heard.append(json.loads(bytes(text)))
                case WireFrame(opcode=Opcode.PONG, data=payload):
                    self.pongs.append(bytes(payload))
        if self.answers_pings and not self.is_over:
            await self._flush()
        else:
            self._rules.data_to_send()

    async def read_until(self, seen: Callable[[], bool]) -> None:
        """Read as fast as it goes."""
        with trio.fail_after(SECONDS):
            while not seen():
                assert not self.is_over, "the connection ended early"
                await self.read()

    async def read_steadily(self, most: int, every: float) -> None:
        """Read so many bytes so often, to the turn's end; lateness does not add up."""
        due = trio.current_time()
        with trio.fail_after(3 * SECONDS):
            while not self.has_its_end:
                assert not self.is_over, f"the connection ended early: {self._rules.close_exc}"
                await self.read(most)
                due += every
                await trio.sleep_until(due)

    async def read_out(self) -> None:
        """Read whatever still comes, to the end of the connection."""
        with trio.fail_after(SECONDS):
            while not self.is_over:
                await self.read()

    def reset(self) -> None:
        """Reset the connection, as a client does that dies."""
        linger = struct.pack("ii", 1, 0)
        self._stream.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, linger)
        self._stream.socket.close()

    async def _flush(self) -> None:
        for data in self._rules.data_to_send():
            await self._stream.send_all(data)


@asynccontextmanager
async def open_reader(world: World, receive_bytes: int = TINY) -> AsyncIterator[Reader]:
    """Connect, with so many bytes of the system's between; the hello has been heard."""
    address = urlsplit(world.url)
    raw = trio.socket.socket()
    raw.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_RCVBUF, receive_bytes)
    await raw.connect((address.hostname, address.port))
    rules = ClientProtocol(
        parse_uri(world.url), subprotocols=[Subprotocol("agentspace.v1.json")], max_size=None
    )
    async with trio.SocketStream(raw) as stream:
        reader = Reader(stream, rules)
        await reader.shake_hands()
        await reader.read_until(lambda: bool(reader.heard))
        assert reader.heard.pop()["type"] == "gateway.hello"
        yield reader


async def started(reader: Reader, content: str) -> str:
    """Send, and read no further than to the start; the turn's id."""
    await reader.say("chat.send", content=content)
    kind = "chat.stream.start"
    await reader.read_until(lambda: any(frame["type"] == kind for frame in reader.heard))
    start = next(frame for frame in reader.heard if frame["type"] == kind)
    return str(start["turnId"])


async def stored_text(talk: Talk, frames: list[Frame]) -> str:
    """The answer as the session's history has it."""
    session_id = next(frame["sessionId"] for frame in frames if "sessionId" in frame)
    history = await talk.ask("session.history", sessionId=session_id)
    return str(history["messages"][-1]["content"][0]["text"])


def is_quiet(status: Frame) -> bool:
    """Whether no turn runs."""
    return not any(status["turns"].values())


@asynccontextmanager
async def hanging(world: World, content: str) -> AsyncIterator[list[Reader]]:
    """Clients that have each begun a turn and read nothing more of it."""
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(open_reader(world)) for _ in range(HANGING)]
        for reader in readers:
            await started(reader, content)
        yield readers


async def test_clients_that_stop_reading_cost_their_turns_logs_and_no_more(tmp_path: Path) -> None:
    """Nothing is queued for them, however much they have missed."""
    large = "[[sim: count=1000 chars=1000]]"
    async with open_world(tmp_path, write_seconds=60.0) as world, world.talk() as talk:
        await talk.turn(large)
        before = await talk.ask("gateway.status")
        async with hanging(world, large):
            status = await status_when(talk, is_quiet)
    assert status["connections"] == HANGING + 1
    logs = status["logBytes"] - before["logBytes"]
    # What came with one read is one event: how many there are, and what they weigh, varies a bit.
    assert logs == pytest.approx(HANGING * before["logBytes"], rel=0.05)
    assert logs > HANGING * 1_000_000
    # Each answer is kept in its log and in its session's history, and was on its way to the disk;
    # the simulator, which made it, is in this process too.
    assert status["memoryBytes"] - before["memoryBytes"] < 4 * logs


async def test_clients_that_stop_reading_slow_nobody_else(tmp_path: Path) -> None:
    """Another client's turn takes about the time that it takes without them."""
    own = "[[sim: count=200 chars=100]]"

    async def typical(talk: Talk) -> float:
        """How long a turn takes: the median of some, in seconds."""
        took = []
        for _ in range(7):
            began = trio.current_time()
            assert (await talk.turn(own))[-1]["type"] == "chat.stream.end"
            took.append(trio.current_time() - began)
        return statistics.median(took)

    async with open_world(tmp_path, write_seconds=60.0) as world, world.talk() as talk:
        alone = await typical(talk)
        async with hanging(world, "[[sim: count=100 chars=2000]]"):
            await status_when(talk, is_quiet)
            beside = await typical(talk)
            assert (await talk.ask("gateway.status"))["connections"] == HANGING + 1
    assert beside < 3 * alone + 0.1


async def test_a_client_that_stops_reading_is_cut_and_its_turn_goes_on(tmp_path: Path) -> None:
    """In the middle of a frame no close frame can be said: it sees the end of the connection
    (1006), and takes its turn up on another one without a character lost."""
    async with open_world(tmp_path, write_seconds=0.5) as world, world.talk() as talk:
        async with open_reader(world) as reader:
            began = trio.current_time()
            turn_id = await started(reader, "[[sim: count=90 chars=10000 rate=40]]")
            cut = await status_when(talk, lambda now: bool(now["connections"] == 1))
            assert trio.current_time() - began >= 0.5
            assert (cut["turns"]["streaming"], cut["detachedLogs"], cut["openRows"]) == (1, 1, 1)
            assert cut["detachedLogBytes"] == cut["logBytes"] > 100_000
            await reader.read_out()
            assert (reader.close_code, reader.has_its_end) == (1006, False)
        seen = reader.heard
        assert text_of(seen)
        request_id = await talk.say("chat.resume", turnId=turn_id, after=seen[-1]["seq"])
        seen += await talk.rest(request_id)
        assert seen[-1]["type"] == "chat.stream.end"
        assert len(text_of(seen)) == 900_000
        assert text_of(seen) == await stored_text(talk, seen)
        settled = await talk.ask("gateway.status")
        assert (settled["openRows"], settled["detachedLogs"]) == (0, 0)
        report = await talk.ask("usage.query")
        assert report["grandTotal"]["requestCount"] == 1


async def test_a_client_that_reads_slowly_but_steadily_stays(tmp_path: Path) -> None:
    """However long the whole takes, as long as single frames get through in time; it gets fewer
    and larger frames than a fast one, and the same text.

    Its receive buffer is not tiny: then TCP itself may pause for seconds.
    """
    async with (
        open_world(tmp_path, write_seconds=5.0, keepalive_seconds=5.0) as world,
        world.talk() as talk,
        open_reader(world, receive_bytes=32_768) as reader,
    ):
        began = trio.current_time()
        turn_id = await started(reader, "[[sim: count=1000 chars=300 rate=1000]]")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reader.read_steadily, 1_024, 0.02)
            fast = await talk.rest(await talk.say("chat.resume", turnId=turn_id))
        slow = reader.heard
        assert trio.current_time() - began > 5.0
        assert text_of(slow) == text_of(fast) == await stored_text(talk, fast)
        assert len(text_of(slow)) == 300_000
        assert slow[-1]["usage"] == fast[-1]["usage"]
        deltas = [
            [frame for frame in frames if frame["type"] == "chat.stream.delta"]
            for frames in (slow, fast)
        ]
        assert len(deltas[0]) < len(deltas[1])
        assert max(len(delta["delta"]) for delta in deltas[0]) > LONGEST_JOINED / 2
        # What came with one read is one event of the turn, for both.
        assert deltas[0][-1]["seq"] == deltas[1][-1]["seq"] <= 1_000


async def test_a_client_that_never_answers_a_ping_is_closed_and_its_turn_goes_on(
    tmp_path: Path,
) -> None:
    """However eagerly it reads; a client that does answer stays, and so does the turn."""
    async with (
        open_world(tmp_path, keepalive_seconds=0.3, close_seconds=0.2) as world,
        world.talk() as talk,
        open_reader(world) as reader,
        open_reader(world) as answering,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(answering.read_out)
        began = trio.current_time()
        turn_id = await started(reader, "[[sim: count=150 rate=100]]")
        reader.answers_pings = False
        await reader.read_out()
        assert trio.current_time() - began >= 0.3
        assert (reader.close_code, reader.has_its_end) == (1008, False)
        cut = await talk.ask("gateway.status")
        assert (cut["connections"], cut["detachedLogs"]) == (2, 1)
        request_id = await talk.say("chat.resume", turnId=turn_id)
        frames = await talk.rest(request_id)
        assert frames[-1]["stopReason"] == "end_turn"
        assert text_of(frames).startswith(text_of(reader.heard))
        assert text_of(frames) == await stored_text(talk, frames)
        assert not answering.is_over
        nursery.cancel_scope.cancel()


async def test_a_ping_is_answered_in_mid_stream(tmp_path: Path) -> None:
    """Each with its own payload, before the stream has come to its end."""
    async with open_world(tmp_path) as world, open_reader(world) as reader:
        await started(reader, "[[sim: count=100000 chars=50 rate=500]]")
        for payload in (b"one", b"two"):
            await reader.ping(payload)
            await reader.read_until(partial(reader.has_pong, payload))
        heard = len(reader.heard)
        await reader.read_until(lambda: len(reader.heard) > heard)
        assert not reader.has_its_end
        await reader.say("chat.cancel", id="r2", requestId="r1")
        await reader.read_until(lambda: reader.has_its_end)
        assert reader.heard[-1]["stopReason"] == "cancelled"


async def test_pongs_go_between_the_frames_that_a_slow_reader_gets(tmp_path: Path) -> None:
    """Whatever of the one and the other is on its way: no frame begins within another, and no
    character is lost. Read by few bytes at a time, by one who pings all the while."""
    async with open_world(tmp_path) as world, world.talk() as talk, open_reader(world) as reader:
        turn_id = await started(reader, "[[sim: count=400 chars=400 rate=2000]]")
        pings = [b"%d" % number for number in range(200)]
        with trio.fail_after(SECONDS):
            for number, payload in enumerate(pings):
                await reader.ping(payload)
                await reader.read(1 + 37 * number % 3_000)
        await reader.read_until(lambda: reader.has_its_end and reader.has_pong(pings[-1]))
        assert reader.pongs == pings
        again = await talk.rest(await talk.say("chat.resume", turnId=turn_id))
        assert text_of(reader.heard) == text_of(again)
        assert len(text_of(again)) == 160_000


async def test_a_watcher_whose_connection_is_reset_ends_alone(tmp_path: Path) -> None:
    """The turn and its other watcher go on; no connection is left behind."""
    async with open_world(tmp_path) as world, world.talk() as talk:
        async with open_reader(world) as reader:
            turn_id = await started(reader, "[[sim: count=150 chars=50 rate=300]]")
            request_id = await talk.say("chat.resume", turnId=turn_id)
            await reader.read_until(lambda: bool(text_of(reader.heard)))
            reader.reset()
        frames = await talk.rest(request_id)
        assert frames[-1]["stopReason"] == "end_turn"
        assert len(text_of(frames)) == 7_500
        assert text_of(frames) == await stored_text(talk, frames)
        await status_when(talk, lambda now: bool(now["connections"] == 1))


async def test_a_turn_is_resumed_while_its_first_client_is_far_behind(tmp_path: Path) -> None:
    """Both get the whole of it, the one at once and the other when it reads."""
    async with open_world(tmp_path) as world, world.talk() as talk, open_reader(world) as reader:
        turn_id = await started(reader, "[[sim: count=900 chars=1000]]")
        await status_when(talk, is_quiet)
        resumed = await talk.rest(await talk.say("chat.resume", turnId=turn_id))
        assert not reader.has_its_end
        await reader.read_until(lambda: reader.has_its_end)
        assert text_of(reader.heard) == text_of(resumed) == await stored_text(talk, resumed)
        assert len(text_of(resumed)) == 900_000


async def test_the_deepest_mailbox_tells_of_a_client_that_sends_and_does_not_read(
    tmp_path: Path,
) -> None:
    """Its answers wait for its writer, its messages for them, and the rest in its socket."""
    sizes: dict[str, Any] = {"outbox_size": 1, "mailbox_size": 4}
    async with (
        open_world(tmp_path, write_seconds=60.0, **sizes) as world,
        world.talk() as talk,
        open_reader(world) as reader,
    ):
        await started(reader, "[[sim: count=1000 chars=1000]]")
        await status_when(talk, is_quiet)
        for number in range(10):
            await reader.say("ping", id=f"p{number}")
        full = {"waiting": 4, "size": 4}
        await status_when(talk, lambda now: bool(now["mailboxes"]["connections"] == full))
        await reader.read_until(lambda: reader.has_its_end)
        await reader.read_until(lambda: {"type": "pong", "requestId": "p9"} in reader.heard)
        empty = {"waiting": 0, "size": 4}
        await status_when(talk, lambda now: bool(now["mailboxes"]["connections"] == empty))
