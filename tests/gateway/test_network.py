"""Proxies and certificates as the environment has them, and calls that must not leave the machine.

Reports: urschrei/pyzotero 375 (a call to 127.0.0.1 went to the proxy), MoonshotAI/kimi-cli 404 (a
desktop's `socks://`), Aider-AI/aider 3710 (a certificate file that is missing).
"""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import httpx2
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from agentspace.loopback import is_loopback, stays_here
from gateway.anthropic.model import AnthropicModel
from gateway.config import ConfigError
from gateway.mcp.settings import McpServer
from gateway.mcp.state import McpTimes
from gateway.mcp.tools import McpTools
from gateway.network import check_network
from gateway.outbound import OutboundClient, is_direct
from gateway.simulator import Simulator, open_simulator
from protocol.errors import GatewayError
from tests.support import open_world, text_of

PROVIDER = "https://provider.example"
HERE = "http://127.0.0.1:3280"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
OPENSSL = shutil.which("openssl")
TLS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that says nothing of the network."""
    for name in (*VARIABLES, *(name.lower() for name in VARIABLES), *TLS):
        monkeypatch.delenv(name, raising=False)


class Proxy:
    """A proxy that notes what comes, and leads every SOCKS connection to one address."""

    def __init__(self, url: str, goal: tuple[str, int] | None) -> None:
        self.url = url
        self.heard: list[bytes] = []
        self._goal = goal

    async def serve(self, stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            first = bytes(await stream.receive_some())
            self.heard.append(first)
            if first[:1] != b"\x05" or self._goal is None:
                await stream.send_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
                return
            await stream.send_all(b"\x05\x00")  # RFC 1928: no authentication
            self.heard.append(bytes(await stream.receive_some()))
            await stream.send_all(b"\x05\x00\x00\x01" + bytes(6))
            async with await trio.open_tcp_stream(*self._goal) as goal, trio.open_nursery() as both:
                both.start_soon(self._pass, stream, goal)
                await self._pass(goal, stream)
                both.cancel_scope.cancel()

    async def _pass(self, source: trio.SocketStream, goal: trio.SocketStream) -> None:
        async for piece in source:
            await goal.send_all(piece)


@asynccontextmanager
async def open_proxy(scheme: str = "http", before: Simulator | None = None) -> AsyncIterator[Proxy]:
    """A proxy on a free port; with `before`, a SOCKS proxy that leads to the simulator."""
    port = None if before is None else httpx2.URL(before.url).port
    async with trio.open_nursery() as nursery:
        proxy = Proxy("", None if port is None else ("127.0.0.1", port))
        serve = partial(trio.serve_tcp, proxy.serve, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        proxy.url = f"{scheme}://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        yield proxy
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY", "http_proxy"])
async def test_no_call_to_this_machine_goes_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, name: str, host: str
) -> None:
    """The proxy hears nothing, least of all the key."""
    async with open_simulator() as simulator, open_proxy() as proxy:
        monkeypatch.setenv(name, proxy.url)
        model = model_at(simulator.url.replace("127.0.0.1", host))
        assert await model.list_models()
        await model.aclose()
        assert proxy.heard == []


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_a_turn_goes_through_a_socks_proxy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scheme: str
) -> None:
    """The proxy is asked for the provider's name, and the answer comes back through it."""
    async with open_simulator() as simulator, open_proxy(scheme, simulator) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        url = "http://provider.example"
        async with (
            open_world(tmp_path, anthropic_base_url=url) as world,
            world.talk() as talk,
        ):
            frames = await talk.turn("[[sim: count=3]]")
        assert text_of(frames)
        assert frames[-1]["type"] == "chat.stream.end"
        assert any(b"provider.example" in heard for heard in proxy.heard)


async def test_a_proxy_that_lets_nothing_through_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error speaks of the proxy, not of the provider."""
    async with open_proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        model = model_at(PROVIDER)
        with pytest.raises(GatewayError, match="HTTPS_PROXY"):
            await model.list_models()
        await model.aclose()
        assert proxy.heard[0].startswith(b"CONNECT provider.example:443 ")
        assert b"sk-test" not in proxy.heard[0]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_is_never_passed_by(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Where there may be one, its own stack is taken: but not to this machine."""
    assert is_direct(PROVIDER)
    monkeypatch.setenv(name, "")
    assert is_direct(PROVIDER)
    monkeypatch.setenv(name, "http://h:1")
    assert not is_direct(PROVIDER)
    assert is_direct(HERE)


def model_at(url: str) -> AnthropicModel:
    """The provider's adapter, with a key."""
    return AnthropicModel(lambda: "sk-test", base_url=url, connect_seconds=5.0, answer_seconds=5.0)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "value",
    [
        *("socks://h:1", "socks4://h:1", "ftp://h", "://", "http://", "http:///x", "http://h:x"),
        *("http://[::1", "http://h:0", "http://h:99999", "http://a b", "http://\x01", " http://h"),
        "socks4://user:sesame@h",
    ],
)
def test_a_bad_proxy_is_refused_by_name(name: str, value: str) -> None:
    """Its value, which may have a password in it, is not told."""
    with pytest.raises(ConfigError) as caught:
        check_network([PROVIDER], {name: value})
    assert str(caught.value).startswith(f"{name} is no proxy")
    assert "sesame" not in str(caught.value)
    check_network([HERE], {name: value})  # it is not needed there


@pytest.mark.parametrize(
    "value", ["", "h", "h:3128", "http://h:1", "HTTPS://u:p@h", "socks5://[::1]:1", "socks5h://h"]
)
def test_a_good_proxy_is_taken(value: str) -> None:
    """As curl takes it; an empty one is none."""
    check_network([PROVIDER], {"HTTPS_PROXY": value})


@given(st.sampled_from(["", "http://", "socks5://"]), st.text(max_size=20))
def test_what_is_let_through_makes_a_client(scheme: str, rest: str) -> None:
    """No value passes that the library would fail at later."""
    value = scheme + rest
    with suppress(ConfigError), pytest.MonkeyPatch.context() as patch, suppress(ValueError):
        patch.setenv("HTTPS_PROXY", value)  # which refuses what no environment can hold
        check_network([PROVIDER], {"HTTPS_PROXY": value})
        OutboundClient("http://a.example", timeout=httpx2.Timeout(1.0), headers={})


@pytest.mark.parametrize("kind", ["missing", "empty", "folder"])
def test_a_bad_certificate_file_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    """A provider that is called without TLS does not need it."""
    path = tmp_path / kind
    if kind == "empty":
        path.write_text("")
    if kind == "folder":
        path.mkdir()
    with pytest.raises(ConfigError, match="SSL_CERT_FILE names"):
        check_network([PROVIDER], {"SSL_CERT_FILE": str(path)})
    with pytest.raises(ConfigError, match="SSL_CERT_FILE"):
        check_network(["https://localhost"], {"SSL_CERT_FILE": str(path)})
    check_network([HERE], {"SSL_CERT_FILE": str(path)})


def test_a_folder_without_certificates_is_refused_by_name(tmp_path: Path) -> None:
    """OpenSSL would not complain, and then trust nobody."""
    for folder in (tmp_path / "missing", tmp_path):
        with pytest.raises(ConfigError, match=r"^SSL_CERT_DIR names "):
            check_network([PROVIDER], {"SSL_CERT_DIR": str(folder)})
    (tmp_path / "0a1b2c3d.0").write_text("")
    check_network([PROVIDER], {"SSL_CERT_DIR": f"/missing:{tmp_path}"})


def test_a_log_of_keys_that_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    """The library opens it as soon as it reads certificates that the environment names."""
    (tmp_path / "0a1b2c3d.0").write_text("")
    environ = {"SSL_CERT_DIR": str(tmp_path), "SSLKEYLOGFILE": str(tmp_path / "no" / "keys")}
    with pytest.raises(ConfigError, match=r"^SSLKEYLOGFILE names "):
        check_network([PROVIDER], environ)
    check_network([PROVIDER], environ | {"SSLKEYLOGFILE": str(tmp_path / "keys")})


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "127.1", "2130706433", "0x7f.1"),
        *("::1", "::ffff:127.0.0.1"),
    ],
)
def test_every_spelling_of_loopback_is_known(host: str) -> None:
    """The system reads numbers in more ways than one."""
    assert is_loopback(host)
    assert stays_here(host)


@pytest.mark.parametrize("host", ["localhost.", "a.localhost", "0.0.0.0", "::", "0"])
def test_a_call_to_every_address_stays_here(host: str) -> None:
    """To listen there is another matter: others reach it."""
    assert stays_here(host)
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "localhost.example", "127.0.0.1.example", "10.0.0.1", "8.8", "::2", "ü", "1 2"]
)
def test_other_hosts_are_elsewhere(host: str) -> None:
    """A name that only begins like one of ours is another's."""
    assert not stays_here(host)
    assert not is_loopback(host)


@pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificate")
async def test_a_certificate_that_is_not_trusted_is_said_to_be_that(tmp_path: Path) -> None:
    """It is not tried again: the next answer would be the same."""
    async with open_impostor(tmp_path) as url:
        model = model_at(url)
        with pytest.raises(GatewayError, match="SSL_CERT_FILE") as caught:
            await model.list_models()
        assert not caught.value.failure.retryable
        await model.aclose()


@pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificate")
async def test_an_mcp_server_that_is_not_trusted_is_said_to_be_that(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log line names the variable."""
    times = McpTimes(start=5.0, restart=60.0, check=60.0)
    async with open_impostor(tmp_path) as url, trio.open_nursery() as nursery:
        tools = McpTools([McpServer(name="impostor", url=f"{url}/mcp")], times)
        await nursery.start(tools.run)
        with trio.fail_after(10):
            while "SSL_CERT_FILE" not in caplog.text:  # noqa: ASYNC110 - reads a log
                await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
    assert "Traceback" not in caplog.text


@asynccontextmanager
async def open_impostor(folder: Path) -> AsyncIterator[str]:
    """A TLS server with a certificate that nobody has signed; its address."""
    made = [
        OPENSSL or "",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
    ]
    made += ["-days", "1", "-keyout", str(folder / "key"), "-out", str(folder / "certificate")]
    await trio.run_process(made, capture_stderr=True, stdout=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        with suppress(trio.BrokenResourceError, ssl.SSLError):
            await stream.do_handshake()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(
            partial(trio.serve_ssl_over_tcp, serve, 0, context, host="127.0.0.1")
        )
        yield f"https://127.0.0.1:{listeners[0].transport_listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


def test_one_module_makes_every_client() -> None:
    """Another one would forget what stays on this machine."""
    gateway = Path(__file__).parent.parent.parent / "gateway"
    makers = {
        path.name
        for path in gateway.rglob("*.py")
        if re.search(r"\bhttpx2\.(?:Async)?(?:Client|HTTPTransport)\b", path.read_text("utf-8"))
    }
    assert makers == {"outbound.py", "network.py"}
