"""The server against clients that break the rules; and its limits."""

from __future__ import annotations

import gc
import logging
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trio
import trio.testing
from websockets.exceptions import InvalidStatus
from websockets.trio.client import connect

from gateway import footprint
from gateway.head import LONGEST_HEAD
from gateway.prices import GenaiPrices
from tests.support import TOKEN, Frame, World, client_frame, open_world, status_when

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"


async def tcp(world: World) -> trio.SocketStream:
    """A bare connection to the gateway."""
    return await trio.open_tcp_stream("127.0.0.1", urlsplit(world.url).port or 0)


async def answer(world: World, handshake: bytes, frames: bytes = b"") -> bytes:
    """All that the gateway says until it closes; the frames follow its first word."""
    async with await tcp(world) as stream:
        await stream.send_all(handshake)
        said = b""
        if frames:
            said += await stream.receive_some()
            await stream.send_all(frames)
        with trio.fail_after(5):
            try:
                async for more in stream:
                    said += more
            except trio.BrokenResourceError:
                pass
        return said


def upgrade(extra: str = "", *, host: str = "localhost", token: str = TOKEN) -> bytes:
    """A handshake."""
    text = (
        f"GET /gateway HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Authorization: Bearer {token}\r\n{extra}\r\n"
    )
    return text.encode("latin-1")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /gateway HTTP/1.1\r\n" + b"x" * 20_000, b"400"),
        (upgrade(KEY, token="wrong"), b"401"),
        (upgrade(KEY, host="evil.example"), b"403"),
        (upgrade(KEY + "Origin: https://evil.example\r\n"), b"403"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
        (b"GET /gateway HTTP/1.1\r\nHost: localhost\r\n\r\n", b"426"),
        (upgrade(), b"400"),
        (upgrade(KEY + "Sec-WebSocket-Protocol: \xff\r\n"), b"400"),
        (upgrade(KEY + "Sec-WebSocket-Extensions: \xff\r\n"), b"400"),
    ],
)
async def test_a_bad_handshake_is_answered_and_ends_itself_alone(
    tmp_path: Path, data: bytes, status: bytes
) -> None:
    """The status says why, and the gateway serves the next client."""
    async with open_world(tmp_path) as world:
        assert (await answer(world, data)).startswith(b"HTTP/1.1 " + status)
        async with world.talk() as talk:
            assert (await talk.ask("ping"))["type"] == "pong"


@pytest.mark.parametrize("cut", [1, 5_000, 100_000])
@pytest.mark.parametrize(("more", "status"), [(0, b"101"), (1, b"400")])
async def test_one_byte_more_than_a_head_may_have_is_refused_however_it_comes(
    tmp_path: Path, cut: int, more: int, status: bytes
) -> None:
    """Byte by byte or at once; the answer arrives, though bytes of the request are left unread."""
    fill = LONGEST_HEAD - len(upgrade(KEY + "Cookie: \r\n")) + more
    data = upgrade(KEY + f"Cookie: {'c' * fill}\r\n") + b"more" * 10 * more
    async with open_world(tmp_path) as world, await tcp(world) as stream:
        with trio.fail_after(20):
            for start in range(0, len(data), cut):
                await stream.send_all(data[start : start + cut])
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 " + status)


async def test_a_name_that_is_not_ascii_in_a_proxy_s_header_lets_the_client_in(
    tmp_path: Path,
) -> None:
    """As a single sign-on in front of the gateway adds it."""
    async with open_world(tmp_path) as world:
        names = "X-authentik-name: C\xe9line\r\nCookie: theme=\xff\r\n"
        said = await answer(world, upgrade(KEY + names), b"\x88\x80\0\0\0\0")
        assert said.startswith(b"HTTP/1.1 101")


async def test_each_refusal_is_logged_once_with_its_reason_and_then_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the reason; and no token is in the log, were it almost right."""
    caplog.set_level(logging.INFO)
    wrong = TOKEN + "x"
    async with open_world(tmp_path) as world:
        for _ in range(3):
            for data in (
                upgrade(KEY, token=wrong),
                upgrade(KEY, host="evil.example"),
                upgrade(),
                b"nonsense\r\n\r\n",
                b"GET /gateway HTTP/1.1\r\n" + b"x" * 20_000,
                b"",
            ):
                await answer(world, data) if data else await (await tcp(world)).aclose()
    told = [one.getMessage() for one in caplog.records if one.name == "gateway.door"]
    first = [line for line in told if line.startswith("a request of 127.0.0.1 was refused: 4")]
    sums = [line for line in told if line.startswith("… and 2 more")]
    assert (len(first), len(sums), len(told)) == (5, 5, 10)
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    "frames",
    [
        b"\xff" * 100,
        b"\x88\x80\0\0\0\0\x89\x80\0\0\0\0",
        b"\x89\xfe\x01\x00",
        b"\x81\x85\0\0\0\0\xff\xff\xff\xff\xff",
        b"\x83\x80\0\0\0\0",
        b"\x01\x80\0\0\0\0" * 50 + b"\x88\x80\0\0\0\0",
        b"\x81\x05hello",
    ],
)
async def test_broken_frames_end_their_connection_alone(tmp_path: Path, frames: bytes) -> None:
    """Whatever comes after a good handshake, the gateway serves the next client."""
    async with open_world(tmp_path) as world, world.talk() as bystander:
        said = await answer(world, upgrade(KEY), frames + b"\x88\x80\0\0\0\0")
        assert said.startswith(b"HTTP/1.1 101")
        assert (await bystander.ask("ping"))["type"] == "pong"
        assert (await bystander.ask("gateway.status"))["connections"] == 1


GOODBYE = client_frame(0x88, b"\x03\xe8")
"""A close frame with the code 1000."""


async def test_a_ping_between_the_pieces_of_a_message_is_answered_at_once(tmp_path: Path) -> None:
    """And the message is whole, though a character is cut in two."""
    data = '{"type":"ping","id":"a","more":"é"}'.encode()
    cut = data.index("é".encode()) + 1
    frames = (
        client_frame(0x01, data[:cut]) + client_frame(0x89, b"now") + client_frame(0x80, data[cut:])
    )
    async with open_world(tmp_path) as world, await tcp(world) as stream:
        await stream.send_all(upgrade(KEY))
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 101")
        await stream.send_all(frames)
        reply = b'{"type":"pong","requestId":"a"}'
        wanted = b"\x8a\x03now" + bytes((0x81, len(reply))) + reply
        said = b""
        with trio.fail_after(5):
            while len(said) < len(wanted):
                said += await stream.receive_some()
        assert said == wanted


async def test_a_message_right_behind_the_handshake_is_heard(tmp_path: Path) -> None:
    """It came with the same read."""
    message = client_frame(0x81, b'{"type":"ping","id":"a"}')
    async with open_world(tmp_path) as world, await tcp(world) as stream:
        await stream.send_all(upgrade(KEY) + message)
        said = b""
        with trio.fail_after(5):
            while b'{"type":"pong","requestId":"a"}' not in said:
                said += await stream.receive_some()


async def test_a_message_that_is_too_large_in_pieces_closes_with_1009(tmp_path: Path) -> None:
    """As soon as its pieces are too much together."""
    async with open_world(tmp_path, max_message_bytes=300) as world:
        frames = client_frame(0x01, b"x" * 120) + client_frame(0x00, b"x" * 120) * 2
        said = await answer(world, upgrade(KEY), frames + GOODBYE)
    assert b"\x03\xf1message too large" in said


async def test_a_client_that_says_nothing_is_let_go(tmp_path: Path) -> None:
    """The handshake has a deadline."""
    async with open_world(tmp_path, handshake_seconds=0.2) as world:
        assert await answer(world, b"GET /gateway") == b""


async def test_too_large_a_message_closes_with_1009(tmp_path: Path) -> None:
    """Bytes count, not characters."""
    async with open_world(tmp_path, max_message_bytes=2_000) as world:
        async with world.talk() as talk:
            await talk.say("ping", filler="x" * 3_000)
            assert await talk.close_code() == 1009
        async with world.talk() as talk:
            await talk.socket.send('{"type":"ping","id":"a","filler":"' + "世" * 900 + '"}')
            assert await talk.close_code() == 1009


async def test_when_nearly_all_have_gone_their_memory_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The footprint is told of each client that comes, and of each that goes."""
    collections: list[int] = []
    monkeypatch.setattr(footprint, "MANY", 3)
    monkeypatch.setattr(footprint, "PART", 3)
    monkeypatch.setattr(gc, "collect", lambda: collections.append(1))
    async with open_world(tmp_path) as world, world.talk() as talk:
        async with world.talk():
            async with world.talk():
                pass
            await status_when(talk, lambda now: bool(now["connections"] == 2))
            assert collections == []
        await status_when(talk, lambda now: bool(now["connections"] == 1))
        assert collections == [1]


async def test_one_client_more_than_allowed_gets_503(tmp_path: Path) -> None:
    """When another leaves, there is room again."""
    async with open_world(tmp_path, max_connections=1) as world:
        async with world.talk():
            with pytest.raises(InvalidStatus) as caught:
                async with world.talk():
                    pass
            assert caught.value.response.status_code == 503
        with trio.fail_after(5):
            while True:
                try:
                    async with world.talk() as talk:
                        assert (await talk.ask("ping"))["type"] == "pong"
                        break
                except InvalidStatus:
                    await trio.sleep(0.01)


async def test_a_page_of_an_allowed_origin_connects_with_its_token(tmp_path: Path) -> None:
    """A browser's way in; the token is not echoed."""
    async with (
        open_world(tmp_path, allowed_origins=("https://app.example",)) as world,
        connect(
            world.url,
            origin="https://app.example",  # type: ignore[arg-type]
            subprotocols=["agentspace.v1.json", f"agentspace.token.{TOKEN}"],  # type: ignore[list-item]
        ) as socket,
    ):
        assert socket.subprotocol == "agentspace.v1.json"


async def test_a_draining_gateway_says_so_and_closes_with_1001(tmp_path: Path) -> None:
    """An idle client is told and let go; a streaming one gets its end first."""
    async with open_world(tmp_path) as world, world.talk() as idle, world.talk() as busy:
        request_id = await busy.say("chat.send", content="[[sim: count=20 rate=50]]")
        while (await busy.hear())["type"] != "chat.stream.delta":
            pass
        world.gateway.stop()
        draining = await idle.expect("gateway.draining")
        assert draining["deadlineMs"] == 2_000
        assert await idle.close_code() == 1001
        seen: list[Frame] = []
        while not seen or seen[-1]["type"] != "chat.stream.end":
            seen.append(await busy.hear())
        assert seen[-1]["requestId"] == request_id
        assert "gateway.draining" in {frame["type"] for frame in seen}
        assert await busy.close_code() == 1001


async def test_while_it_drains_a_newcomer_gets_503(tmp_path: Path) -> None:
    """It listens until the last client has gone, and says why nobody gets in."""
    async with open_world(tmp_path) as world, world.talk() as busy:
        await busy.say("chat.send", content="[[sim: count=30 rate=50]]")
        while (await busy.hear())["type"] != "chat.stream.delta":
            pass
        world.gateway.stop()
        while (await busy.hear())["type"] != "gateway.draining":
            pass
        with pytest.raises(InvalidStatus) as caught:
            async with world.talk():
                pass
        assert caught.value.response.status_code == 503
        assert await busy.close_code() == 1001


@pytest.fixture
def prices_are_there(monkeypatch: pytest.MonkeyPatch) -> trio.Event:
    """Until it is set the prices are being loaded, which takes part of a second in a new process;
    a new connection waits for them."""
    are_there = trio.Event()

    async def ready(_: GenaiPrices) -> None:
        await are_there.wait()

    monkeypatch.setattr(GenaiPrices, "ready", ready)
    return are_there


async def test_a_client_that_came_before_the_drain_is_told_of_it_once_the_prices_are_there(
    tmp_path: Path, prices_are_there: trio.Event
) -> None:
    """It has shaken hands: the gateway does not end without it."""
    async with open_world(tmp_path) as world, world.talk(subprotocol=None) as talk:
        world.gateway.stop()
        await trio.testing.wait_all_tasks_blocked(0.01)
        prices_are_there.set()
        await talk.expect("gateway.draining")
        assert await talk.close_code() == 1001


async def test_a_client_that_waits_for_the_prices_until_the_deadline_is_sent_away(
    tmp_path: Path, prices_are_there: trio.Event
) -> None:
    """The drain takes no longer for it."""
    async with (
        open_world(tmp_path, drain_seconds=0.1) as world,
        world.talk(subprotocol=None) as talk,
    ):
        world.gateway.stop()
        assert await talk.close_code() == 1001


async def test_a_client_that_never_leaves_is_sent_away_at_the_deadline(tmp_path: Path) -> None:
    """Its turn is settled as cancelled, it hears so, and the gateway is gone in time."""
    async with open_world(tmp_path, drain_seconds=0.3) as world, world.talk() as talk:
        request_id = await talk.say("chat.send", content="[[sim: count=100000 rate=50]]")
        while (await talk.hear())["type"] != "chat.stream.delta":
            pass
        world.gateway.stop()
        heard: list[Frame] = []
        while not heard or heard[-1]["type"] != "chat.stream.end":
            heard.append(await talk.hear())
        assert (heard[-1]["requestId"], heard[-1]["stopReason"]) == (request_id, "cancelled")
        assert await talk.close_code() == 1001


async def test_a_provider_that_is_silent_on_its_models_stops_no_turn(tmp_path: Path) -> None:
    """The table by version stands in after a while, and the drain does not wait for it."""
    (silent,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{silent.socket.getsockname()[1]}"
    waits: dict[str, Any] = {"ask_seconds": 0.6, "first_content_seconds": 0.2}
    async with (
        silent,
        open_world(tmp_path, key="sk-test", anthropic_base_url=url, **waits) as world,
        world.talk() as talk,
    ):
        frames = await talk.turn("Hi")
        kinds = [frame["type"] for frame in frames]
        assert kinds[-4:] == ["chat.stream.start", *["chat.stream.notice"] * 2, "error"]
        assert frames[-1]["code"] == "LLM_TIMEOUT"
        assert "usage" not in frames[-1]
