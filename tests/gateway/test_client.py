"""The client that our own commands use, against a real gateway."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest
import trio

from gateway.client import Client, ConnectError, ConnectionLost, Target, connect, new_id
from protocol.client import ChatSend, ContextInspect, GatewayStatus, Ping, SessionCreate
from protocol.errors import GatewayError
from protocol.server import (
    ChatStreamDelta,
    ChatStreamEnd,
    ChatStreamStart,
    GatewayStatusReport,
    Pong,
    SessionCreated,
)
from tests.support import TOKEN, World, open_world


def target_of(world: World) -> Target:
    return Target(world.url, TOKEN)


async def text_of(client: Client, content: str) -> str:
    """The answer to `content`."""
    text = ""
    async with aclosing(client.stream(ChatSend(id=new_id(), content=content))) as messages:
        async for message in messages:
            if isinstance(message, ChatStreamDelta):
                text += message.delta
    return text


async def test_a_question_gets_its_own_answer_among_many(tmp_path: Path) -> None:
    """Questions asked side by side each get the answer that is theirs."""
    async with open_world(tmp_path) as world, connect(target_of(world)) as client:
        kinds: dict[str, type] = {}

        async def ask(name: str, question: Ping | GatewayStatus | SessionCreate) -> None:
            kinds[name] = type(await client.ask(question))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "ping", Ping(id=new_id()))
            nursery.start_soon(ask, "status", GatewayStatus(id=new_id()))
            nursery.start_soon(ask, "create", SessionCreate(id=new_id()))
    assert kinds == {"ping": Pong, "status": GatewayStatusReport, "create": SessionCreated}


async def test_a_stream_ends_with_its_terminal_frame(tmp_path: Path) -> None:
    """A stream gives the session, the start, the deltas and the end, and then stops."""
    async with open_world(tmp_path) as world, connect(target_of(world)) as client:
        send = ChatSend(id=new_id(), content="hello")
        async with aclosing(client.stream(send)) as messages:
            heard = [message async for message in messages]
    assert [type(message) for message in heard[:2]] == [SessionCreated, ChatStreamStart]
    assert isinstance(heard[-1], ChatStreamEnd)
    assert any(isinstance(message, ChatStreamDelta) for message in heard)


async def test_a_reader_that_leaves_a_stream_breaks_nothing(tmp_path: Path) -> None:
    """Whoever is cancelled in the middle of a stream leaves the connection whole."""
    async with (
        open_world(tmp_path, drain_seconds=0.1) as world,
        connect(target_of(world)) as client,
    ):
        with trio.move_on_after(0.05):
            await text_of(client, "go on [[sim: count=500 rate=200]]")
        assert isinstance(await client.ask(Ping(id=new_id())), Pong)


async def test_a_refusal_is_raised(tmp_path: Path) -> None:
    """An error that answers a question is a GatewayError with its code."""
    async with open_world(tmp_path) as world, connect(target_of(world)) as client:
        with pytest.raises(GatewayError) as refused:
            await client.ask(ContextInspect(id=new_id(), session_id="none"))
    assert refused.value.failure.code == "SESSION_NOT_FOUND"


async def test_whoever_asks_hears_that_the_connection_is_lost(tmp_path: Path) -> None:
    """When the gateway has gone, the client knows why, and a question raises ConnectionLost."""
    async with open_world(tmp_path) as world, connect(target_of(world)) as client:
        world.gateway.stop()
        with trio.fail_after(5):
            await client.lost.wait()
        assert client.draining
        with pytest.raises(ConnectionLost):
            await client.ask(Ping(id=new_id()))
        with pytest.raises(ConnectionLost):
            await text_of(client, "hello")


async def test_a_wrong_token_is_said_in_one_line(tmp_path: Path) -> None:
    """A refused token is a ConnectError that names what to set."""
    async with open_world(tmp_path) as world:
        with pytest.raises(ConnectError, match="AGENTSPACE_TOKEN"):
            async with connect(Target(world.url, "x" * 20)):
                pass


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ws://127.0.0.1:99999/gateway", "nonsense"])
async def test_what_is_no_address_is_refused(url: str) -> None:
    """An address that cannot be one is a ConnectError, too."""
    with pytest.raises(ConnectError, match=r"no address|no gateway answers"):
        async with connect(Target(url, None)):
            pass


async def test_nobody_there_says_what_to_type() -> None:
    """Without a gateway the error names the commands that start one."""
    with pytest.raises(ConnectError, match="agentspace serve"):
        async with connect(Target("ws://127.0.0.1:9/gateway", None)):
            pass


async def test_an_error_of_the_block_leaves_as_it_is(tmp_path: Path) -> None:
    """The connection's nursery puts no group around what its block raises."""
    async with open_world(tmp_path) as world:
        with pytest.raises(LookupError):
            async with connect(target_of(world)):
                raise LookupError


def test_a_target_does_not_show_its_token() -> None:
    """A token is in no repr."""
    assert "secret" not in repr(Target("ws://x/gateway", "secret"))
