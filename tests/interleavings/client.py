"""A client of the gateway that holds every frame against what it has said."""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal
from urllib.parse import urlsplit

import trio
from websockets.exceptions import ConnectionClosed

from tests.interleavings.model import Question, Stream
from tests.support import Frame, Talk, World

TINY = 4_096
"""Bytes of a socket's receive buffer, so that it is soon full."""

Leave = Literal["politely", "silently", "with a reset"]


class Client:
    """One connection; `report` is told of what must not be, `news` is called at each frame.

    What it says and hears is written into `journal`: where things race, a failure may not come
    again when it is looked for.
    """

    def __init__(
        self,
        number: int,
        report: Callable[[str], None],
        news: Callable[[], None],
        journal: deque[str],
        *,
        subprotocol: str | None,
    ) -> None:
        self.name = f"client {number}"
        self.reads = trio.Event()
        self.reads.set()
        self.is_gone = False
        self.streams: list[Stream] = []
        self.used_ids: set[str] = set()
        self.questions: dict[str, str] = {}
        """What was asked, by id, that needs no stream."""
        self.answers: dict[str, Frame] = {}
        self.cancels: dict[str, bool] = {}
        """The cancels that were said, and whether each must find its turn."""
        self._subprotocol = subprotocol
        self._report = report
        self._news = news
        self._journal = journal
        self._over = trio.Event()
        self._talk: Talk | None = None

    async def live(
        self, world: World, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Connect and listen until it leaves."""
        stream = await _connect(world.url)
        async with world.talk(
            self._subprotocol, stream=stream, max_queue=1, compression=None, ping_interval=None
        ) as self._talk:
            task_status.started()
            await self._listen()
            await self._over.wait()

    async def _listen(self) -> None:
        assert self._talk is not None
        try:
            while True:
                await self.reads.wait()
                frame = self._talk.understand(await self._talk.socket.recv())
                self._journal.append(f"{self.name} hears {frame!s:.300}")
                self._take(frame)
                self._news()
        except ConnectionClosed as closed:
            if not self.is_gone:
                self._report(f"{self.name} was sent away: {closed}")
        except Exception as error:  # noqa: BLE001 - it is raised where the machine looks
            self._report(f"{self.name}: {type(error).__name__}: {error}")
        self._news()

    def _take(self, frame: Frame) -> None:
        request_id = frame.get("requestId")
        assert isinstance(request_id, str), f"it answers nothing: {frame}"
        if request_id in self.cancels:
            assert frame["type"] == "error", frame
            assert frame["code"] == "REQUEST_NOT_FOUND", frame
            assert not self.cancels.pop(request_id), "a turn that runs could not be cancelled"
        elif request_id in self.questions:
            assert request_id not in self.answers, f"answered twice: {frame}"
            self.answers[request_id] = frame
        else:
            self._follow(request_id, frame)

    def _follow(self, request_id: str, frame: Frame) -> None:
        mine = [stream for stream in self.streams if stream.request_id == request_id]
        waiting = [stream for stream in mine if not stream.is_over]
        assert waiting, f"after the end, or never asked for: {frame}"
        waiting[0].hear(frame)

    # --- saying --------------------------------------------------------------------------------

    async def say(self, kind: str, **fields: Any) -> None:
        """Send a message."""
        assert self._talk is not None
        self._journal.append(f"{self.name} says {kind} {fields}")
        await self._talk.say(kind, **fields)

    async def ask(self, kind: str, **fields: Any) -> str:
        """Ask what needs no stream; the answer's place in `answers`."""
        request_id = f"q{len(self.questions)}"
        self.questions[request_id] = kind
        await self.say(kind, id=request_id, **fields)
        return request_id

    async def send(self, question: Question) -> Stream:
        """Say `question`, maybe not for the first time."""
        stream = Stream(question, question.request_id)
        stream.behind = self.in_flight
        stream.may_be_ignored = any(s.request_id == stream.request_id for s in stream.behind)
        question.first_said = question.first_said or stream.said
        question.last_said = stream.said
        self.streams.append(stream)
        self.used_ids.add(question.request_id)
        await self.say("chat.send", **question.fields)
        return stream

    async def resume(self, question: Question, earlier: Stream | None) -> Stream:
        """Take up a turn behind what `earlier` has heard, or from its beginning."""
        stream = Stream(question, f"s{len(self.streams)}", earlier)
        stream.resumes = True
        stream.behind = self.in_flight
        self.streams.append(stream)
        after = {} if earlier is None else {"after": earlier.seq}
        await self.say("chat.resume", id=stream.request_id, turnId=question.turn_id, **after)
        return stream

    async def cancel(self, *, must: bool, **target: str) -> None:
        """Cancel by `requestId` or `turnId`."""
        cancel_id = f"c{len(self.used_ids)}"
        self.used_ids.add(cancel_id)
        self.cancels[cancel_id] = must
        await self.say("chat.cancel", id=cancel_id, **target)

    @property
    def in_flight(self) -> list[Stream]:
        """The streams whose end it has not heard."""
        return [stream for stream in self.streams if not stream.is_over]

    @property
    def pending(self) -> set[str]:
        """What it has asked, but for streams, and not heard the answer of."""
        return self.questions.keys() - self.answers.keys()

    def stream_of(self, question: Question) -> Stream | None:
        """Its latest stream of this question."""
        mine = [stream for stream in self.streams if stream.question is question]
        return mine[-1] if mine else None

    # --- reading and leaving -------------------------------------------------------------------

    def pause(self) -> None:
        """Read nothing more; the buffers fill up."""
        if self.reads.is_set():
            self.reads = trio.Event()

    def read_on(self) -> None:
        """Read again."""
        self.reads.set()

    async def leave(self, how: Leave) -> None:
        """Hang up. What it watched is on its own then."""
        self._journal.append(f"{self.name} leaves {how}")
        self.is_gone = True
        for stream in self.in_flight:
            stream.is_lost = True
            stream.question.abandon(stream)
        assert self._talk is not None
        socket_stream = self._talk.socket.stream
        if how == "politely":
            self.read_on()
            with suppress(ConnectionClosed):
                await self._talk.socket.aclose()
        else:
            assert isinstance(socket_stream, trio.SocketStream)
            if how == "with a reset":
                at_once = struct.pack("ii", 1, 0)
                socket_stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            await trio.aclose_forcefully(socket_stream)
            self.read_on()
        self._over.set()


async def _connect(url: str) -> trio.SocketStream:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    connection = trio.socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TINY)
    await connection.connect((parts.hostname, parts.port))
    return trio.SocketStream(connection)
