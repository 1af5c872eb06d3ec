"""What a client makes of gateways that are not there, not gateways, or strange; and its rules."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
import trustme
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

import agentspace.client
from agentspace.client import (
    Client,
    ConnectError,
    ConnectionLost,
    GatewayError,
    NoAnswer,
    UnknownMessage,
    new_id,
)
from agentspace.client import connection as connection_module
from agentspace.client import turn as turn_module
from agentspace.client.backoff import LONGEST_SECONDS, Backoff, is_final
from agentspace.client.connection import understood
from agentspace.client.inbox import MOST_BYTES, Inbox
from agentspace.client.local import Target, find_target
from agentspace.client.progress import Progress
from agentspace.messages import (
    ChatResume,
    ChatSend,
    ChatStreamDelta,
    ChatStreamStart,
    Ping,
    Pong,
    SessionDelete,
    ToolApprovalRequest,
)
from gateway.presence import Presence
from tests.agentspace.backstage import either, run, world_in_a_thread

HELLO = {
    "type": "gateway.hello",
    "protocol": 1,
    "version": "9",
    "connectionId": "c",
    "defaultModel": "m",
    "limits": {"maxMessageBytes": 1_000, "maxSessions": 1, "maxPendingRequests": 1},
    "features": [],
}


@contextmanager
def stub(handle: Callable[[ServerConnection], None], **options: object) -> Iterator[str]:
    """A server that says hello and then does as it likes; its URL."""

    def greet(connection: ServerConnection) -> None:
        connection.send(json.dumps(HELLO))
        handle(connection)

    subprotocols = [Subprotocol("agentspace.v1.json")]
    with serve(greet, "127.0.0.1", 0, subprotocols=subprotocols, **options) as server:  # type: ignore[arg-type] # options of a test
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/gateway"
        server.shutdown()
        thread.join()


async def problem_of(url: str, **options: object) -> ConnectError:
    """Why there is no connection."""
    with pytest.raises(ConnectError) as refused:
        async with agentspace.client.connect(url, "x" * 20, **options):  # type: ignore[arg-type] # options of a test
            pytest.fail("it connected")
    assert "\n" not in str(refused.value)
    assert "xxxx" not in str(refused.value)
    return refused.value


@either
def test_each_reason_for_no_connection_has_its_word(backend: str, tmp_path: Path) -> None:
    """A bad address, an unknown host, nobody there, a wrong token, a stranger."""

    async def scenario() -> None:
        with (
            world_in_a_thread(tmp_path) as world,
            socket.create_server(("127.0.0.1", 0)) as bound,
        ):
            with bound:
                port = bound.getsockname()[1]
            found = {
                url: (await problem_of(url)).problem
                for url in (
                    "http://127.0.0.1:1",
                    "ws://127.0.0.1:99999/gateway",
                    "ws://user:password@127.0.0.1/gateway",
                    "wss://no-such-host.invalid/gateway",
                    f"ws://127.0.0.1:{port}/gateway",
                    world.url,
                    world.url.replace("gateway", "elsewhere"),
                    world.url.replace("ws:", "wss:"),
                    world.simulator.url.replace("http:", "ws:"),
                )
            }
        assert list(found.values()) == [
            *("address", "address", "address", "dns", "refused"),
            *("token", "rejected", "tls", "rejected"),
        ]

    run(backend, scenario)


@either
def test_a_gateway_that_never_answers_is_given_up(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the connection and is silent."""
    monkeypatch.setattr(connection_module, "CONNECT_SECONDS", 0.2)

    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            error = await problem_of(f"ws://127.0.0.1:{mute.getsockname()[1]}/gateway")
        assert error.problem == "timeout"
        assert error.passes

    run(backend, scenario)


@either
def test_tls_is_checked_and_works(backend: str) -> None:
    """A certificate that is not trusted is told; one that is trusted carries the conversation."""
    authority = trustme.CA()
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(theirs)
    ours = ssl.create_default_context()
    authority.configure_trust(ours)

    async def scenario() -> None:
        with stub(answer_pings, ssl=theirs) as plain:
            url = plain.replace("ws:", "wss:")
            assert (await problem_of(url)).problem == "tls"
            async with agentspace.client.connect(url, ssl_context=ours) as client:
                await ping(client)

    run(backend, scenario)


def answer_pings(connection: ServerConnection) -> None:
    for frame in connection:
        request = json.loads(frame)
        connection.send(json.dumps({"type": "pong", "requestId": request["id"]}))


async def ping(client: Client) -> None:
    assert isinstance(await client.ask(Ping(id=new_id())), Pong)


@either
@pytest.mark.parametrize("code", [1002, 1003, 1007, 1008, 1010])
def test_a_close_that_means_not_again_is_believed(backend: str, code: int) -> None:
    """One connection, and the reason for whoever asks then."""
    connections = []

    def close(connection: ServerConnection) -> None:
        connections.append(connection)
        connection.recv()
        connection.close(code, "go away")

    async def scenario() -> None:
        with stub(close) as url:
            async with agentspace.client.connect(url) as client:
                for _ in range(2):
                    with pytest.raises(ConnectionLost, match="go away") as lost:
                        await client.ask(Ping(id=new_id()))
                    assert lost.value.code == code
                assert client.state == "closed"
        assert len(connections) == 1

    run(backend, scenario)


@either
def test_a_message_that_the_gateway_finds_too_large_is_not_sent_again(backend: str) -> None:
    """The turn ends; the client goes on."""
    connections = []

    def close_once(connection: ServerConnection) -> None:
        connections.append(connection)
        if len(connections) == 1:
            connection.recv()
            connection.close(1009, "too large")
        answer_pings(connection)

    async def scenario() -> None:
        with stub(close_once) as url:
            async with agentspace.client.connect(url) as client:
                with pytest.raises(ConnectionLost, match="too large"):
                    await answer_to(client, ChatSend(id=new_id(), content="a", session_id="s"))
                await ping(client)

    run(backend, scenario)


@either
def test_a_connection_that_comes_back_answers_the_question(backend: str) -> None:
    """A question is asked again, but a deletion is not: what had become of it is not known."""
    connections = []

    def break_first(connection: ServerConnection) -> None:
        connections.append(connection)
        if len(connections) % 2:
            connection.recv()
            connection.close(1011, "oh")
        answer_pings(connection)

    async def scenario() -> None:
        with stub(break_first) as url:
            async with agentspace.client.connect(url) as client:
                await ping(client)
            async with agentspace.client.connect(url) as client:
                with pytest.raises(ConnectionLost):
                    await client.ask(SessionDelete(id=new_id(), session_id="s"))

    run(backend, scenario)


def hang_up(connection: ServerConnection) -> None:
    connection.recv()


async def answer_to(client: Client, question: ChatSend) -> str:
    async with client.send(question) as turn:
        await turn.finish()
    return turn.text


@either
def test_a_gateway_that_stays_away_is_given_up(backend: str) -> None:
    """Also when it comes back again and again and never says anything of the turn."""

    async def scenario() -> None:
        with stub(hang_up) as url:
            async with agentspace.client.connect(url, reconnect_seconds=0.3) as client:
                with pytest.raises(ConnectionLost):
                    await answer_to(client, ChatSend(id=new_id(), content="a", session_id="s"))

    run(backend, scenario)


@either
def test_silence_is_noticed(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that vanished without a word: no answer to a ping is the end of the connection."""
    monkeypatch.setattr(connection_module, "KEEPALIVE_SECONDS", 0.1)
    silent = threading.Event()

    async def scenario() -> None:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            port = listener.extra(anyio.abc.SocketAttribute.local_port)

            async def vanish(near: anyio.abc.ByteStream) -> None:
                with stub(answer_pings) as url:
                    far_port = int(url.split(":")[2].split("/")[0])
                    async with near, await anyio.connect_tcp("127.0.0.1", far_port) as far:
                        await far.send(await near.receive())
                        while b"hello" not in (data := await far.receive()):
                            await near.send(data)
                        await near.send(data)
                        silent.set()
                        await anyio.sleep_forever()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, vanish)
                url = f"ws://127.0.0.1:{port}/gateway"
                async with agentspace.client.connect(url, reconnect_seconds=0.0) as client:
                    with pytest.raises(ConnectionLost, match="does not answer"):
                        await client.ask(SessionDelete(id=new_id(), session_id="s"))
                tasks.cancel_scope.cancel()
        assert silent.is_set()

    run(backend, scenario)


def listen(connection: ServerConnection) -> None:
    for _ in connection:
        pass


@either
def test_an_answer_that_does_not_come_is_told(backend: str) -> None:
    """The gateway is there, and silent about this question."""

    async def scenario() -> None:
        with stub(listen) as url:
            async with agentspace.client.connect(url, answer_seconds=0.1) as client:
                with pytest.raises(NoAnswer):
                    await client.ask(Ping(id=new_id()))

    run(backend, scenario)


def answer_turns(connection: ServerConnection, *events: dict[str, object]) -> None:
    """Start the turn that is asked for, and say these events of it."""
    request_id = json.loads(connection.recv())["id"]
    start = {"type": "chat.stream.start", "sessionId": "s", "model": "m", "turnId": "t", "seq": 0}
    for event in (start, *events):
        connection.send(json.dumps({**event, "requestId": request_id}))


@either
def test_a_gateway_that_drains_is_left_for_its_successor(backend: str) -> None:
    """Neither a question nor a turn is refused for that: both wait for the next process."""
    connections = []

    def drain_first(connection: ServerConnection) -> None:
        connections.append(connection)
        if len(connections) % 2:
            request = json.loads(connection.recv())
            refusal = {"code": "DRAINING", "message": "It stops.", "retryable": True}
            connection.send(json.dumps({"type": "error", "requestId": request["id"], **refusal}))
            listen(connection)
        elif len(connections) == 2:
            connection.send(json.dumps({"type": "gateway.draining", "deadlineMs": 1}))
            answer_pings(connection)
        else:
            answer_turns(connection, {"type": "chat.stream.delta", "delta": "a", "seq": 1})
            listen(connection)

    async def scenario() -> None:
        with stub(drain_first) as url:
            async with agentspace.client.connect(url) as client:
                await ping(client)
            async with (
                agentspace.client.connect(url) as client,
                client.send("hello", session_id="s", on_leave="detach") as turn,
            ):
                while not turn.text:
                    await anext(turn)

    run(backend, scenario)


@either
def test_a_person_s_word_on_a_tool_reaches_the_gateway(backend: str) -> None:
    """Yes for the session, and no."""
    heard: list[dict[str, object]] = []

    def ask_twice(connection: ServerConnection) -> None:
        asked = {"type": "tool.approval.request", "toolName": "t", "args": {}}
        answer_turns(
            connection,
            {**asked, "toolCallId": "1", "seq": 1},
            {**asked, "toolCallId": "2", "seq": 2},
        )
        heard.extend(json.loads(connection.recv()) for _ in range(2))
        listen(connection)

    async def scenario() -> None:
        with stub(ask_twice) as url:
            async with (
                agentspace.client.connect(url) as client,
                client.send("hello", session_id="s", on_leave="detach") as turn,
            ):
                await anext(turn)
                first, second = await anext(turn), await anext(turn)
                assert isinstance(first, ToolApprovalRequest)
                assert isinstance(second, ToolApprovalRequest)
                await turn.approve(first, for_session=True)
                await turn.deny(second)
                while len(heard) < 2:  # noqa: ASYNC110 - a thread's list
                    await anyio.sleep(0.01)
        assert [(said["toolCallId"], said["approved"]) for said in heard] == [
            ("1", True),
            ("2", False),
        ]
        assert heard[0]["sessionApprove"] is True

    run(backend, scenario)


@either
def test_a_turn_that_does_not_end_holds_nobody_up(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was to be cancelled; the gateway says nothing, and the connection is given up."""
    monkeypatch.setattr(turn_module, "LEAVE_SECONDS", 0.1)
    connections = []

    def never_end(connection: ServerConnection) -> None:
        connections.append(connection)
        if len(connections) == 1:
            answer_turns(connection)
            listen(connection)
        answer_pings(connection)

    async def scenario() -> None:
        with stub(never_end) as url:
            async with agentspace.client.connect(url) as client:
                async with client.send("hello", session_id="s") as turn:
                    await anext(turn)
                assert [event async for event in turn] == []
                with pytest.raises(ConnectionLost):
                    await turn.finish()
                await ping(client)

    run(backend, scenario)


@either
def test_a_websocket_that_is_no_gateway_is_a_stranger(backend: str) -> None:
    """It speaks another subprotocol, or says something else than hello."""

    def greet(connection: ServerConnection) -> None:
        connection.send('{"type": "pong", "requestId": "1"}')

    async def scenario() -> None:
        for subprotocols in (None, [Subprotocol("agentspace.v1.json")]):
            with serve(greet, "127.0.0.1", 0, subprotocols=subprotocols) as server:
                thread = threading.Thread(target=server.serve_forever)
                thread.start()
                port = server.socket.getsockname()[1]
                assert (await problem_of(f"ws://127.0.0.1:{port}/")).problem == "stranger"
                server.shutdown()
                thread.join()

    run(backend, scenario)


def say_something_new(connection: ServerConnection) -> None:
    request_id = json.loads(connection.recv())["id"]
    start = {"sessionId": "s", "model": "m", "turnId": "t", "seq": 0}
    for message in (
        {"type": "chat.stream.start", **start},
        {"type": "chat.stream.hum", "tune": 1, "seq": 1},
        {"type": "chat.stream.delta", "delta": "a", "contentType": "verse", "seq": 2, "more": 1},
        {"type": "error", "code": "BRAND_NEW", "message": "Well.", "retryable": False, "seq": 3},
    ):
        connection.send(json.dumps({**message, "requestId": request_id}))
    connection.send("no JSON")
    connection.send('{"type": "of.nobody"}')
    listen(connection)


@either
def test_a_newer_gateway_is_understood_as_far_as_it_can_be(backend: str) -> None:
    """Messages of an unknown type are handed out; values and fields that are new do no harm."""

    async def scenario() -> None:
        with stub(say_something_new) as url:
            async with (
                agentspace.client.connect(url) as client,
                client.send("hello", session_id="s") as turn,
            ):
                events = [await anext(turn), await anext(turn), await anext(turn)]
                with pytest.raises(GatewayError, match="BRAND_NEW"):
                    await anext(turn)
        assert isinstance(events[1], UnknownMessage)
        assert (events[1].kind, events[1].fields["tune"]) == ("chat.stream.hum", 1)
        assert isinstance(events[2], ChatStreamDelta)

    run(backend, scenario)


OWN = "ws://127.0.0.1:4000/gateway"


@pytest.mark.parametrize(
    ("url", "kept", "named"),
    [
        (None, "kept", "named"),
        (OWN, "kept", "named"),
        ("ws://localhost:4000/gateway", "kept", "named"),
        ("ws://[::1]:4000/gateway", "kept", "named"),
        ("ws://127.0.0.1:5000/gateway", None, "named"),
        ("wss://gateway.example:4000/gateway", None, "named"),
        ("ws://localhost.example:4000/gateway", None, "named"),
        ("ws://127.0.0.1.example:4000/gateway", None, "named"),
        ("nonsense", None, "named"),
        ("ws://[x", None, "named"),
    ],
)
def test_a_token_goes_to_the_gateway_that_it_is_for(
    url: str | None,
    kept: str | None,
    named: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The folder's to the gateway that runs from it; the environment's to an address given, too."""
    monkeypatch.delenv("AGENTSPACE_TOKEN", raising=False)
    (tmp_path / "token").write_text("kept\n")
    with Presence(tmp_path) as presence:
        presence.show(OWN)
        assert find_target(url, None, tmp_path) == Target(url or OWN, kept)
        assert find_target(url, "given", tmp_path).token == "given"
        monkeypatch.setenv("AGENTSPACE_TOKEN", "named")
        assert find_target(url, None, tmp_path).token == named


def test_a_named_folder_without_a_gateway_is_no_other_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the port now gets neither its token nor its questions."""
    monkeypatch.delenv("AGENTSPACE_TOKEN", raising=False)
    (tmp_path / "token").write_text("kept\n")
    with pytest.raises(ConnectError, match="no gateway runs from") as failed:
        find_target(None, None, tmp_path)
    assert failed.value.passes, "it may be about to start"
    monkeypatch.setenv("AGENTSPACE_DATA_DIR", str(tmp_path))
    with pytest.raises(ConnectError, match="no gateway runs from"):
        find_target(None, None, None)


def test_without_a_name_the_usual_address_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a token: whoever has the port now is not the gateway that the token is for."""
    monkeypatch.delenv("AGENTSPACE_TOKEN", raising=False)
    monkeypatch.delenv("AGENTSPACE_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (tmp_path / "agentspace").mkdir()
    (tmp_path / "agentspace" / "token").write_text("kept\n")
    assert find_target(None, None, None) == Target("ws://127.0.0.1:3271/gateway", None)


def test_an_address_is_shown_without_secrets() -> None:
    """Neither the token nor what an address should not have had in it."""
    assert "secret" not in repr(Target("ws://user:secret@host/x?token=secret", "secret"))


def test_pauses_grow_and_begin_anew_after_a_connection_that_lasted() -> None:
    """Doubled up to the longest; a connection that broke at once changes nothing."""
    backoff = Backoff(lambda _, most: most)
    pauses = []
    for _ in range(7):
        backoff.lasted(0.1)
        pauses.append(backoff.pause())
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, LONGEST_SECONDS, LONGEST_SECONDS]
    backoff.lasted(60)
    assert backoff.pause() == 0.2


def test_a_policy_is_final_only_when_it_shows_at_once() -> None:
    """After a while the same code means that this client had paused."""
    assert is_final(1008, 0.1)
    assert not is_final(1008, 60)
    assert not is_final(1001, 0)
    assert not is_final(None, 0)


def test_a_question_is_asked_again_until_its_turn_is_known() -> None:
    """Then the rest is asked for; what comes twice is no news."""
    question = ChatSend(id="q", content="hello", session_id="s")
    progress = Progress(question)
    assert progress.request() is progress.request() is question
    assert progress.cancellation().request_id == "q"
    start = ChatStreamStart(request_id="q", session_id="s", model="m", turn_id="t", seq=0)
    assert progress.is_about(start)
    assert progress.is_news(start)
    assert not progress.is_news(start)
    assert progress.is_news(ChatStreamDelta(request_id="q", delta="a", seq=7))
    resume = progress.request()
    assert isinstance(resume, ChatResume)
    assert (resume.turn_id, resume.after) == ("t", 7)
    assert not progress.is_about(start)
    assert progress.cancellation().turn_id == "t"


@either
def test_what_nobody_reads_is_bounded(backend: str) -> None:
    """A full inbox waits for its reader, and for nobody once the reader has left."""

    async def scenario() -> None:
        inbox = Inbox()
        inbox.put(Pong(request_id="1"), MOST_BYTES + 1)
        with anyio.move_on_after(0.05) as scope:
            await inbox.room()
        assert scope.cancelled_caught
        assert isinstance(await inbox.get(), Pong)
        await inbox.room()
        inbox.put(Pong(request_id="2"), MOST_BYTES + 1)
        inbox.leave()
        await inbox.room()

    run(backend, scenario)


def test_frames_that_are_none_are_left_out() -> None:
    """Whatever they are made of."""
    for frame in (b"", b"[" * 100_000, b"\xff", b'{"type":"pong","requestId":"\xff"}', b"1"):
        assert understood(frame) is None
