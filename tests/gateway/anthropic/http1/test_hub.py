"""Many sockets, one wait."""

from __future__ import annotations

import select
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gateway.anthropic.http1 import hub as module
from gateway.anthropic.http1.hub import SocketHub


@pytest.fixture(params=["together", "alone"])
async def hub(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SocketHub]:
    """A hub, on a system with `epoll` and on one without."""
    if request.param == "alone":
        monkeypatch.delattr(select, "epoll", raising=False)
    hub = SocketHub()
    yield hub
    hub.close()


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection, that waits for nothing."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs
        trio.lowlevel.notify_closing(ours)


def reader(sock: socket.socket, heard: list[bytes]) -> Callable[[], bool]:
    """Reads until an `x` comes."""

    def read() -> bool:
        heard.append(sock.recv(100))
        return b"x" in heard[-1]

    return read


async def test_each_piece_is_read_as_it_comes(hub: SocketHub) -> None:
    """Until it is enough: what comes then is left."""
    heard: list[bytes] = []
    with pair() as (ours, theirs):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hub.watch, ours.fileno(), reader(ours, heard))
            for piece in (b"a", b"b", b"x"):
                await wait_all_tasks_blocked()
                theirs.send(piece)
        theirs.send(b"c")
        await wait_all_tasks_blocked()
        assert heard == [b"a", b"b", b"x"]
        theirs.send(b"x")
        await hub.watch(ours.fileno(), reader(ours, heard))
        assert heard[3:] == [b"cx"]


async def test_what_a_reader_raises_is_raised_where_it_is_waited_for(hub: SocketHub) -> None:
    """The others go on."""
    heard: list[bytes] = []

    def broken() -> bool:
        raise ZeroDivisionError

    with pair() as (ours, theirs), pair() as (others, far):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hub.watch, others.fileno(), reader(others, heard))
            theirs.send(b"a")
            with pytest.raises(ZeroDivisionError):
                await hub.watch(ours.fileno(), broken)
            far.send(b"x")
        assert heard == [b"x"]


async def test_a_cancelled_wait_reads_no_more(hub: SocketHub) -> None:
    """At once, and the socket can be watched again."""
    heard: list[bytes] = []
    with pair() as (ours, theirs):
        with trio.move_on_after(0):
            await hub.watch(ours.fileno(), reader(ours, heard))
        theirs.send(b"x")
        await wait_all_tasks_blocked()
        assert heard == []
        await hub.watch(ours.fileno(), reader(ours, heard))
        assert heard == [b"x"]


async def test_a_hub_that_was_closed_can_be_used_again(hub: SocketHub) -> None:
    """Its task ends, and begins anew."""
    heard: list[bytes] = []
    with pair() as (ours, theirs):
        for _ in range(2):
            theirs.send(b"x")
            await hub.watch(ours.fileno(), reader(ours, heard))
            hub.close()
            hub.close()
            await wait_all_tasks_blocked()
    assert heard == [b"x", b"x"]


async def test_a_reader_may_cancel_the_waits(hub: SocketHub) -> None:
    """That for its own socket, and another one's that has something to say as well."""
    heard: list[str] = []

    async def watch(sock: socket.socket, name: str) -> None:
        def read() -> bool:
            heard.append(name)
            nursery.cancel_scope.cancel()
            return True

        await hub.watch(sock.fileno(), read)

    with pair() as (ours, theirs), pair() as (others, far):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, ours, "ours")
            nursery.start_soon(watch, others, "others")
            await wait_all_tasks_blocked()
            theirs.send(b"a")
            far.send(b"b")
    assert heard


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="each task waits for its own socket")
async def test_many_that_take_long_leave_room_for_other_tasks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a while the hub has a rest, and then it goes on with the rest of them."""
    monkeypatch.setattr(module, "LONGEST_RUN", 0.0)
    hub, most = SocketHub(), 20
    order: list[str] = []

    async def watch(sock: socket.socket) -> None:
        def read() -> bool:
            order.append("read")
            return bool(sock.recv(1))

        await hub.watch(sock.fileno(), read)

    async def another() -> None:
        while order.count("read") < most:
            order.append("rest")
            await trio.lowlevel.checkpoint()

    pairs = [socket.socketpair() for _ in range(most)]
    async with trio.open_nursery() as nursery:
        for ours, theirs in pairs:
            ours.setblocking(False)
            theirs.send(b"x")
            nursery.start_soon(watch, ours)
        nursery.start_soon(another)
    hub.close()
    for ours, theirs in pairs:
        trio.lowlevel.notify_closing(ours)
        ours.close()
        theirs.close()
    assert ",".join(["read"] * 3) not in ",".join(order), "of two tasks either may come first"
