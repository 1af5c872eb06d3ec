"""Requests over real sockets, and what becomes of their connections."""

from __future__ import annotations

import ssl
from collections import deque

import httpx2
import pytest
import trio
import trustme

from gateway.anthropic.http1 import idle, transport
from gateway.anthropic.http1.connection import ProviderConnection
from gateway.anthropic.http1.transport import DirectTransport
from tests.gateway.anthropic.http1.support import (
    OK,
    answer_of,
    head_of,
    open_server,
    open_transport,
    read,
    request_of,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Server:
    """Answers every request with the next of its answers; counts connections and requests."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = deque(answers)
        self.connections = 0
        self.requests: list[bytes] = []

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Answer until there is nothing to say: `None` hangs up instead of an answer."""
        self.connections += 1
        while request := await request_of(stream):
            self.requests.append(request)
            answer = self.answers.popleft() if self.answers else OK
            if answer is None:
                return
            await stream.send_all(answer)


async def test_a_request_goes_up_and_its_answer_comes_down() -> None:
    """Head and body, both ways."""
    server = Server(OK.replace(b"\r\n\r\n", b"\r\nRequest-Id: req_1\r\n\r\n"))
    async with open_transport(server.serve) as direct:
        response = await answer_of(direct, b'{"a":1}')
    assert (response.status_code, response.content) == (200, b"hello")
    assert response.headers["request-id"] == "req_1"
    assert server.requests[0].endswith(b"Content-Length: 7\r\n\r\n" + b'{"a":1}')


async def test_the_next_request_takes_the_same_connection() -> None:
    """One after another; two at once take two."""
    server = Server()
    async with open_transport(server.serve) as direct:
        for _ in range(3):
            await answer_of(direct)
        assert (server.connections, len(direct.idle)) == (1, 1)
        first, second = [await direct.send(head_of(), b"") for _ in range(2)]
        assert (await read(first), await read(second)) == (b"hello", b"hello")
        assert (server.connections, len(direct.idle)) == (2, 2)


async def test_it_is_told_when_a_request_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it has left; where that may take a while, before it as well."""
    happened: list[str] = []
    send = ProviderConnection.send

    async def noted(connection: ProviderConnection, data: bytes) -> None:
        happened.append("sent")
        await send(connection, data)

    monkeypatch.setattr(ProviderConnection, "send", noted)
    server = Server()
    async with open_transport(server.serve) as direct:
        for body, order in (
            (b"over a new connection", ["told", "sent", "told"]),
            (b"over the same one", ["sent", "told"]),
            (b"a large one" * 10_000, ["told", "sent", "sent", "told"]),
        ):
            await read(await direct.send(head_of(), body, lambda: happened.append("told")))
            assert happened == order
            happened.clear()


@pytest.mark.parametrize("answer", [OK + b"surplus", OK.replace(b"OK", b"OK\r\nConnection: close")])
async def test_a_connection_that_is_not_clean_is_not_used_again(answer: bytes) -> None:
    """Something follows the answer, or the provider says so."""
    server = Server(answer)
    async with open_transport(server.serve) as direct:
        for _ in range(2):
            assert (await answer_of(direct)).content == b"hello"
        assert server.connections == 2


async def test_an_answer_that_is_left_ends_its_connection() -> None:
    """The provider sees it at once, and stops."""
    ended = trio.Event()

    async def serve(stream: trio.abc.Stream) -> None:
        await request_of(stream)
        await stream.send_all(CHUNKED + b"5\r\nhello\r\n")
        assert await stream.receive_some(1) == b""
        ended.set()

    async with open_transport(serve) as direct:
        body = await direct.send(head_of(), b"")
        body.close()
        body.close()
        with trio.fail_after(1.0):
            await ended.wait()
        assert len(direct.idle) == 0


# --- connections that have gone ----------------------------------------------------------------


async def test_a_kept_connection_that_the_provider_has_closed_is_not_taken() -> None:
    """It is seen before anything is sent on it."""
    closed = trio.Event()
    seen = 0

    async def serve(stream: trio.abc.Stream) -> None:
        nonlocal seen
        await request_of(stream)
        seen += 1
        await stream.send_all(OK)
        await stream.aclose()
        closed.set()

    async with open_transport(serve) as direct:
        await answer_of(direct)
        await closed.wait()
        assert (await answer_of(direct)).content == b"hello"
    assert seen == 2


async def test_a_connection_that_ends_as_it_is_taken_is_replaced_once() -> None:
    """Nothing has come on it yet; a fresh one is not replaced."""
    server = Server(OK, None, OK, None, None)
    async with open_transport(server.serve) as direct:
        await answer_of(direct)
        assert (await answer_of(direct)).content == b"hello"
        assert (server.connections, len(server.requests)) == (2, 3)
        with pytest.raises(httpx2.RemoteProtocolError):
            await answer_of(direct)
        assert (server.connections, len(server.requests)) == (3, 5)


async def test_a_request_of_which_something_came_is_not_sent_again() -> None:
    """The provider has begun to answer, and it costs something."""
    requests = 0

    async def serve(stream: trio.abc.Stream) -> None:
        nonlocal requests
        for answer in (OK, b"HTTP/1.1 200 OK\r\n"):
            await request_of(stream)
            requests += 1
            await stream.send_all(answer)

    async with open_transport(serve) as direct:
        await answer_of(direct)
        with pytest.raises(httpx2.RemoteProtocolError):
            await answer_of(direct)
    assert requests == 2


async def test_a_connection_that_ends_late_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider may have worked on the request since."""
    monkeypatch.setattr(transport, "STALE_SECONDS", 0.0)
    server = Server(OK, None)
    async with open_transport(server.serve) as direct:
        await answer_of(direct)
        with pytest.raises(httpx2.RemoteProtocolError):
            await answer_of(direct)
    assert len(server.requests) == 2


async def test_an_idle_connection_grows_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next request takes a fresh one."""
    server = Server()
    async with open_transport(server.serve) as direct:
        await answer_of(direct)
        monkeypatch.setattr(idle, "IDLE_SECONDS", -1.0)
        await answer_of(direct)
    assert server.connections == 2


async def test_there_are_only_so_many_idle_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest one goes."""
    monkeypatch.setattr(idle, "MOST_IDLE", 2)
    server = Server()
    async with open_transport(server.serve) as direct:
        for body in [await direct.send(head_of(), b"") for _ in range(3)]:
            await read(body)
        assert (server.connections, len(direct.idle)) == (3, 2)


# --- what goes wrong ---------------------------------------------------------------------------


async def test_nobody_listens() -> None:
    """A fault of the connection, and no other."""
    direct = DirectTransport("http://127.0.0.1:1", trust=None, connect_seconds=5.0)
    with pytest.raises(httpx2.ConnectError):
        await answer_of(direct)


@pytest.mark.parametrize("after", [b"", CHUNKED, CHUNKED + b"5\r\nhello\r\n"])
async def test_a_reset_is_a_read_that_fails(after: bytes) -> None:
    """Before the head, and in the body."""

    async def serve(stream: trio.abc.Stream) -> None:
        await request_of(stream)
        await stream.send_all(after)
        assert isinstance(stream, trio.SocketStream)
        await trio.testing.wait_all_tasks_blocked(0.02)
        stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    async with open_transport(serve) as direct:
        with pytest.raises(httpx2.ReadError):
            await answer_of(direct)


async def test_a_provider_that_answers_before_it_has_read_is_heard() -> None:
    """It refuses what is too large for it, and hangs up."""

    async def serve(stream: trio.abc.Stream) -> None:
        await stream.receive_some(1_000)
        await stream.send_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        while await stream.receive_some(65_536):
            pass

    async with open_transport(serve) as direct:
        assert (await answer_of(direct, b"x" * 1_000_000)).status_code == 413


async def test_a_large_body_goes_up_whole() -> None:
    """However little of it the provider takes at once."""
    server = Server()
    body = bytes(range(256)) * 20_000
    async with open_transport(server.serve) as direct:
        assert (await answer_of(direct, body)).status_code == 200
    assert server.requests[0].endswith(b"\r\n\r\n" + body)


# --- TLS ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Whoever signs the server's certificate."""
    return trustme.CA()


def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """A server's side."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def trust_in(authority: trustme.CA) -> ssl.SSLContext:
    """A client's side."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_over_tls_all_is_the_same(authority: trustme.CA, version: ssl.TLSVersion) -> None:
    """More than one read holds, and more than one record; then on the same connection again."""
    body = bytes(range(256)) * 4_000
    server = Server(CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    tls, trust = server_tls(authority), trust_in(authority)
    tls.maximum_version = version
    async with open_transport(server.serve, tls=tls, trust=trust) as direct:
        assert (await answer_of(direct, body)).content == body
        assert (await answer_of(direct)).content == b"hello"
    assert server.connections == 1
    assert server.requests[0].endswith(body)


async def test_over_tls_an_answer_that_is_left_is_ended_in_order(authority: trustme.CA) -> None:
    """The provider is told that nothing was cut off by somebody else."""
    ended = trio.Event()

    async def serve(stream: trio.abc.Stream) -> None:
        await request_of(stream)
        await stream.send_all(CHUNKED + b"5\r\nhello\r\n")
        assert await stream.receive_some(1) == b""
        ended.set()

    tls, trust = server_tls(authority), trust_in(authority)
    async with open_transport(serve, tls=tls, trust=trust) as direct:
        body = await direct.send(head_of(), b"")
        assert await anext(body) == b"hello"
        await body.aclose()
        with trio.fail_after(1.0):
            await ended.wait()


async def test_a_certificate_that_is_not_trusted_ends_the_connection(
    authority: trustme.CA,
) -> None:
    """The cause says so."""
    trust = trust_in(trustme.CA())
    async with open_transport(Server().serve, tls=server_tls(authority), trust=trust) as direct:
        with pytest.raises(httpx2.ConnectError) as caught:
            await answer_of(direct)
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


async def test_a_handshake_that_does_not_end_is_given_up(authority: trustme.CA) -> None:
    """A server that speaks no TLS may wait for ever."""

    async def serve(stream: trio.abc.Stream) -> None:
        while await stream.receive_some(1_000):
            pass

    async with open_server(serve) as url:
        direct = DirectTransport(url, trust=trust_in(authority), connect_seconds=0.1)
        with pytest.raises(httpx2.ConnectTimeout):
            await answer_of(direct)


async def test_answers_at_once_are_not_mixed() -> None:
    """All connections read into one buffer."""

    async def serve(stream: trio.abc.Stream) -> None:
        word = (await request_of(stream)).rpartition(b"\r\n")[2]
        await stream.send_all(CHUNKED)
        for _ in range(50):
            await stream.send_all(b"%x\r\n%b\r\n" % (len(word), word))
            await trio.lowlevel.checkpoint()
        await stream.send_all(b"0\r\n\r\n")

    async def ask(word: bytes) -> None:
        assert (await answer_of(direct, word)).content == word * 50

    async with open_transport(serve) as direct, trio.open_nursery() as nursery:
        for word in (b"one", b"three", b"seventeen"):
            nursery.start_soon(ask, word)
