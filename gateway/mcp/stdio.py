"""A server that speaks on its stdin and stdout: one JSON-RPC message a line.

The SDK's own transport holds a line of any length and logs each unreadable one with a traceback,
both at the server's will; this one has bounds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import anyio
import trio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage

from gateway.mcp.child import exit_of, open_child
from gateway.mcp.notices import Notices
from gateway.mcp.reading import Heard, heard
from gateway.mcp.settings import McpServer
from gateway.mcp.state import ServerLost

LONGEST_MESSAGE: Final = 16 * 1024 * 1024
"""Bytes of one message of a server."""
_PIECE: Final = 65_536


@asynccontextmanager
async def open_stdio(server: McpServer, notices: Notices) -> AsyncIterator[TransportStreams]:
    """Start the server and speak with it. Raises ServerLost when it cannot be started or ends."""
    async with open_child(server) as process:
        hear, read = anyio.create_memory_object_stream[Heard](0)
        write, say = anyio.create_memory_object_stream[SessionMessage](0)
        with hear, read, write, say:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_read, process, hear, notices)
                nursery.start_soon(_write, process, say)
                yield read, write
                nursery.cancel_scope.cancel()


async def _read(
    process: trio.Process, hear: MemoryObjectSendStream[Heard], notices: Notices
) -> None:
    assert process.stdout is not None
    framing = Framing()
    try:
        while piece := await process.stdout.receive_some(_PIECE):
            for line in framing.feed(bytes(piece)):
                if not await notices.take(line):
                    await hear.send(await heard(line))
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return  # the session has ended
    raise ServerLost(await exit_of(process))


async def _write(process: trio.Process, say: MemoryObjectReceiveStream[SessionMessage]) -> None:
    assert process.stdin is not None
    try:
        async for message in say:
            line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            await process.stdin.send_all(line.encode() + b"\n")
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        raise ServerLost(await exit_of(process)) from None


class Framing:
    """Puts lines together from pieces; holds one unfinished line, bounded."""

    def __init__(self, longest: int = LONGEST_MESSAGE) -> None:
        self._longest = longest
        self._rest = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that `piece` completes. Raises ServerLost."""
        begun = piece.rfind(b"\n") + 1
        whole = b""
        if begun:
            whole = bytes(self._rest + piece[:begun])
            self._rest.clear()
        self._rest += piece[begun:]
        if len(self._rest) > self._longest:
            raise ServerLost(f"sends a message of more than {self._longest} bytes")
        return whole.split(b"\n")[:-1]
