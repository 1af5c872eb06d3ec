"""A whole gateway for a test: the simulated provider, the gateway, and a foreign client.

Everything is real (SDK, HTTP, database, sockets); the client is the package `websockets`, which
this project does not use otherwise; every message that it hears is held against the published
schema. Every wait has a deadline.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from itertools import count
from operator import xor
from pathlib import Path
from typing import Any
from unittest import mock

import jsonschema
import msgspec
import trio
from websockets.exceptions import ConnectionClosed
from websockets.trio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from gateway.app import Gateway
from gateway.config import Settings
from gateway.simulator import Simulator, SimulatorSettings, open_simulator
from gateway.tokenizer import TiktokenTokenizer
from gateway.vault import Vault
from protocol.schema import message_schema

TOKEN = "a-token-for-the-tests"
VOCABULARY = TiktokenTokenizer()
"""Loaded once for all gateways of a test run: it takes half a second."""

SECONDS = 10.0
TERMINAL = frozenset({"chat.stream.end", "error"})

Frame = dict[str, Any]


@cache
def schema_of(kind: str) -> jsonschema.Draft202012Validator:
    """What the published schema says of a message from the gateway."""
    return jsonschema.Draft202012Validator(message_schema(kind, "gateway"))


def client_frame(first: int, payload: bytes, *, mask: bytes = bytes(4)) -> bytes:
    """A client's frame of up to 64 KB; its `first` byte has FIN and the opcode.

    A mask of zeros leaves the payload as it is.
    """
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    key = mask * (size // 4 + 1)
    return bytes([first]) + length + mask + bytes(map(xor, payload, key))


class Talk:
    """A client's conversation with the gateway."""

    def __init__(self, socket: ClientConnection, *, binary: bool) -> None:
        self.socket = socket
        self.hello: Frame = {}
        self._binary = binary
        self._ids = (f"r{number}" for number in count(1))

    async def say(self, kind: str, **fields: Any) -> str:
        """Send a message; its id."""
        message = {"id": next(self._ids), **fields, "type": kind}
        await self.socket.send(
            msgspec.msgpack.encode(message) if self._binary else json.dumps(message)
        )
        return str(message["id"])

    async def hear(self) -> Frame:
        """The next message."""
        with trio.fail_after(SECONDS):
            frame = await self.socket.recv()
        return self.understand(frame)

    def understand(self, frame: str | bytes) -> Frame:
        """The message in a frame."""
        heard = json.loads(frame) if isinstance(frame, str) else msgspec.msgpack.decode(frame)
        assert isinstance(heard, dict)
        schema_of(heard["type"]).validate(heard)
        return heard

    async def expect(self, kind: str) -> Frame:
        """The next message, which must be of this type."""
        heard = await self.hear()
        assert heard["type"] == kind, heard
        return heard

    async def ask(self, kind: str, **fields: Any) -> Frame:
        """Send a message and get the one that answers it."""
        request_id = await self.say(kind, **fields)
        heard = await self.hear()
        assert heard["requestId"] == request_id, heard
        return heard

    async def turn(self, content: Any, **fields: Any) -> list[Frame]:
        """Send `chat.send`; all its frames, the terminal one last."""
        request_id = await self.say("chat.send", content=content, **fields)
        return await self.rest(request_id)

    async def rest(self, request_id: str) -> list[Frame]:
        """What is still to come of a stream, to its terminal frame."""
        frames: list[Frame] = []
        while not frames or frames[-1]["type"] not in TERMINAL:
            frame = await self.hear()
            assert frame["requestId"] == request_id, frame
            frames.append(frame)
        return frames

    async def close_code(self) -> int | None:
        """Wait for the gateway to close; its code."""
        with trio.fail_after(SECONDS), suppress(ConnectionClosed):
            while True:
                await self.socket.recv()
        return self.socket.close_code


class World:
    """A gateway and its provider."""

    def __init__(self, gateway: Gateway, simulator: Simulator, settings: Settings) -> None:
        self.gateway = gateway
        self.simulator = simulator
        self.settings = settings

    @property
    def url(self) -> str:
        """Where the gateway listens."""
        return self.gateway.url

    @asynccontextmanager
    async def talk(
        self, subprotocol: str | None = "agentspace.v1.json", token: str = TOKEN, **options: Any
    ) -> AsyncIterator[Talk]:
        """Connect; the hello of a subprotocol has been heard."""
        names = [Subprotocol(subprotocol)] if subprotocol else None
        async with connect(
            self.url,
            subprotocols=names,
            additional_headers={"Authorization": f"Bearer {token}"},
            open_timeout=SECONDS,
            **options,
        ) as socket:
            talk = Talk(socket, binary=subprotocol == "agentspace.v1.msgpack")
            if subprotocol:
                talk.hello = await talk.expect("gateway.hello")
            yield talk

    async def limit_database(self, more: int) -> None:
        """Let it grow by no more pages than this: SQLite then says that the disk is full."""
        ledger = self.gateway.ledger
        assert ledger is not None

        def work() -> None:
            (now,) = ledger._db.execute("PRAGMA page_count").fetchone()
            ledger._db.execute(f"PRAGMA max_page_count = {now + more}")

        await ledger._thread.read(work)

    def sent(self) -> list[Any]:
        """The bodies of the Messages requests that the provider has received."""
        return [
            request.body for request in self.simulator.requests if request.path == "/v1/messages"
        ]


@asynccontextmanager
async def open_world(
    data_dir: Path,
    *,
    key: str | None = "sk-test",
    provider: SimulatorSettings | None = None,
    **settings: Any,
) -> AsyncIterator[World]:
    """A gateway on a free port before a simulated provider; it drains at the end."""
    async with open_simulator(settings=provider) as simulator:
        chosen = Settings(
            **{
                "data_dir": data_dir,
                "port": 0,
                "token": TOKEN,
                "anthropic_base_url": simulator.url,
                "drain_seconds": 2.0,
                **settings,
            }
        )
        environ = {} if key is None else {"ANTHROPIC_API_KEY": key}
        async with open_gateway(chosen, environ) as gateway:
            yield World(gateway, simulator, chosen)


@asynccontextmanager
async def open_gateway(settings: Settings, environ: dict[str, str]) -> AsyncIterator[Gateway]:
    """A gateway that drains at the end."""
    gateway = Gateway(settings, Vault(settings.api_key_file, environ))
    async with trio.open_nursery() as nursery:
        with (
            trio.fail_after(SECONDS),
            mock.patch("gateway.app.TiktokenTokenizer", return_value=VOCABULARY),
        ):
            await nursery.start(gateway.run)
        try:
            yield gateway
        finally:
            gateway.stop()


async def status_when(talk: Talk, seen: Callable[[Frame], bool]) -> Frame:
    """The gateway's status, as soon as it is as it should be."""
    with trio.fail_after(SECONDS):
        while not seen(status := await talk.ask("gateway.status")):  # noqa: ASYNC110 - asks a peer
            await trio.sleep(0.02)
    return status


def text_block(text: str) -> list[Frame]:
    """The content that goes upstream for a text."""
    return [{"type": "text", "text": text}]


def text_of(frames: list[Frame]) -> str:
    """The text that a client puts together."""
    return "".join(frame["delta"] for frame in frames if frame["type"] == "chat.stream.delta")


def reasoning_of(frames: list[Frame]) -> str:
    """The reasoning that a client puts together."""
    return "".join(frame["delta"] for frame in frames if frame["type"] == "chat.stream.reasoning")


def kinds_of(frames: list[Frame]) -> list[str]:
    """The frames' types, neighbours of one type as one."""
    kinds: list[str] = []
    for frame in frames:
        if not kinds or kinds[-1] != frame["type"]:
            kinds.append(frame["type"])
    return kinds
