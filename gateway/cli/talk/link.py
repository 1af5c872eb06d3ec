"""The way to the gateway, made again whenever it is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal

import trio

from gateway.client import Client, ConnectError, ConnectionLost, Target, connect

FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 3.0
PATIENCE_SECONDS: Final = 60.0
"""How long a turn waits for a lost gateway to come back."""

LinkState = Literal["connected", "reconnecting"]


class Link:
    """One connection at a time; `run` makes it and makes it again."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._client: Client | None = None
        self._arrived = trio.Event()
        self._leaving = trio.Event()
        self._problem = "the gateway is gone"

    @property
    def state(self) -> LinkState:
        """Whether there is a connection now."""
        return "connected" if self._present() else "reconnecting"

    @property
    def default_model(self) -> str:
        """The model of a session that names none; empty until the gateway has said it."""
        hello = None if self._client is None else self._client.hello
        return "" if hello is None else hello.default_model

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connect until `leave`. Raises ConnectError when the first attempt fails."""
        pause = FIRST_PAUSE_SECONDS
        has_begun = False
        while not self._leaving.is_set():
            try:
                async with connect(self.target) as client:
                    self._client = client
                    self._arrived.set()
                    pause = FIRST_PAUSE_SECONDS
                    if not has_begun:
                        task_status.started()
                    has_begun = True
                    await self._stay(client)
            except ConnectError as error:
                if not has_begun:
                    raise
                self._problem = str(error)
            with trio.move_on_after(pause):
                await self._leaving.wait()
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _stay(self, client: Client) -> None:
        """Until the connection is lost, or it is time to leave it in good order."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_after, client.lost, nursery.cancel_scope)
            await self._leaving.wait()
            nursery.cancel_scope.cancel()
        self._arrived = trio.Event()

    def leave(self) -> None:
        """Close the connection, and make no other."""
        self._leaving.set()

    async def client(self) -> Client:
        """The connection; waits for it. Raises ConnectionLost when that takes too long."""
        with trio.move_on_after(PATIENCE_SECONDS):
            while True:
                await self._arrived.wait()
                if client := self._present():
                    return client
                await trio.lowlevel.checkpoint()  # it is lost, and `run` has yet to hear of it
        raise ConnectionLost(self._problem)

    def _present(self) -> Client | None:
        client = self._client
        return None if client is None or client.lost.is_set() else client


async def _cancel_after(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


@asynccontextmanager
async def open_link(target: Target) -> AsyncIterator[Link]:
    """A link for as long as the block lasts. Raises ConnectError."""
    link = Link(target)
    async with trio.open_nursery() as nursery:
        await nursery.start(link.run)
        yield link
        link.leave()
