"""A client's stream: whole frames in the order in which they were written, whoever writes."""

from __future__ import annotations

import socket as stdlib_socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from gateway.client_stream import ClientStream

MESSAGE = b"<a message of the gateway's>"
PONG = b"<a pong>"


class Thrifty(ClientStream):
    """A stream whose kernel takes what a test allows it to; then it has to be waited for."""

    allowed = 0

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        now = min(self.allowed, len(data))
        self.allowed -= now
        return super()._send(data[:now]) if now else 0


@asynccontextmanager
async def opened(
    kind: type[ClientStream] = ClientStream, read: bytes = b""
) -> AsyncIterator[tuple[ClientStream, trio.SocketStream]]:
    """The gateway's end of a connection, and the client's; small buffers."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        raw = trio.socket.socket()
        raw.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_RCVBUF, 4_096)
        await raw.connect(listener.socket.getsockname())
        accepted = await listener.accept()
    accepted.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_SNDBUF, 4_096)
    stream = kind(accepted, read)
    try:
        async with trio.SocketStream(raw) as client:
            with trio.fail_after(20):  # noqa: ASYNC100 - for what a test does with it
                yield stream, client
    finally:
        stream.close()


async def heard(client: trio.SocketStream, size: int) -> bytes:
    """So many bytes, as the client gets them."""
    data = b""
    while len(data) < size:
        data += await client.receive_some(size - len(data))
    return data


async def fill(stream: ClientStream) -> bytes:
    """Write until the kernel takes no more; all that was written."""
    written = b""
    while not stream.is_behind:
        piece = b"%010d" % len(written) * 1_000
        stream.write(piece)
        written += piece
    return written


async def test_what_was_read_before_comes_first() -> None:
    """And then what comes from the client; nothing at its end."""
    async with opened(read=b"the head") as (stream, client):
        assert await stream.receive_some() == b"the head"
        await client.send_all(b"more")
        assert await stream.receive_some(2) == b"mo"
        assert await stream.receive_some() == b"re"
        await client.send_eof()
        assert await stream.receive_some() == b""


async def test_what_the_kernel_takes_leaves_without_a_wait() -> None:
    """No task is switched, and nothing is left to be flushed."""
    async with opened() as (stream, client):
        stream.write(MESSAGE)
        assert not stream.is_behind
        await stream.flush()
        await stream.wait_send_all_might_not_block()
        assert await heard(client, len(MESSAGE)) == MESSAGE


@pytest.mark.parametrize("cut", range(len(MESSAGE) + 1))
async def test_no_frame_begins_within_another_wherever_the_kernel_stops(cut: int) -> None:
    """A pong and a message are written while a message has left in part."""
    async with opened(Thrifty) as (stream, client):
        assert isinstance(stream, Thrifty)
        stream.allowed = cut
        stream.write(MESSAGE)
        assert stream.is_behind == (cut < len(MESSAGE))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, PONG)
            for _ in range(2):  # by then it has begun
                await trio.lowlevel.checkpoint()
            stream.write(MESSAGE)
            nursery.start_soon(stream.flush)
            all_of_it = MESSAGE + PONG + MESSAGE
            got = b""
            while len(got) < len(all_of_it):
                if len(got) >= cut:
                    stream.allowed += 1
                got += await client.receive_some(1)
        assert got == all_of_it
        assert not stream.is_behind


async def test_a_cancel_in_the_middle_of_a_frame_loses_nothing_of_it() -> None:
    """It leaves in its place, with whatever is written next."""
    async with opened() as (stream, client):
        written = await fill(stream)
        with trio.move_on_after(0.01) as patience:
            await stream.send_all(PONG)
        assert patience.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_all, MESSAGE)
            everything = written + PONG + MESSAGE
            assert await heard(client, len(everything)) == everything


async def test_who_waits_hears_that_it_was_closed() -> None:
    """Also twice."""
    async with opened() as (stream, _client):
        await fill(stream)
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await stream.flush()

            async def read() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await stream.receive_some()

            nursery.start_soon(wait)
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            await stream.aclose()
            await stream.aclose()


async def test_nobody_waits_for_what_was_closed() -> None:
    """Neither to read nor for what has not left."""
    async with opened() as (stream, _client):
        await fill(stream)
        stream.close()
        for wait in (stream.flush, stream.receive_some):
            with pytest.raises(trio.ClosedResourceError):
                await wait()


async def test_nothing_is_written_to_what_was_closed() -> None:
    """Its number may be another connection's by now."""
    async with opened() as (stream, _client):
        stream.close()
        with pytest.raises(trio.ClosedResourceError):
            stream.write(MESSAGE)


async def test_a_lost_connection_is_told_to_readers_and_writers() -> None:
    """As trio tells it."""
    async with opened() as (stream, client):
        linger = struct.pack("ii", 1, 0)  # its close resets the connection
        client.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, linger)
        await client.aclose()
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            stream.write(MESSAGE)
