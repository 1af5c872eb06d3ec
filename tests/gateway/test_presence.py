"""A running gateway is found by its data folder, and only as long as it runs."""

from __future__ import annotations

import json
import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentspace.client.address import is_same_gateway
from agentspace.running import NOTE, find_gateway
from gateway.presence import Presence
from tests.shell import SECONDS, call, run, serving

URL = "ws://127.0.0.1:3271/gateway"


@contextmanager
def listener() -> Iterator[tuple[str, list[bytes]]]:
    """Somebody else's server: its address as a gateway's, and what it hears first."""
    heard: list[bytes] = []

    def hear(server: socket.socket) -> None:
        try:
            peer, _ = server.accept()
        except OSError:
            return
        with peer:
            heard.append(peer.recv(65_536))
            peer.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(SECONDS)
        thread = threading.Thread(target=hear, args=(server,))
        thread.start()
        yield f"ws://127.0.0.1:{server.getsockname()[1]}/gateway", heard
        server.shutdown(socket.SHUT_RDWR)  # nobody has come: it need not wait any longer
        thread.join()


def test_the_note_is_there_as_long_as_the_block_lasts(tmp_path: Path) -> None:
    """It says what the ready line says, and its owner alone may read it."""
    with Presence(tmp_path) as presence:
        assert find_gateway(tmp_path) is None
        shown = presence.show(URL)
        assert shown.url == URL
        assert find_gateway(tmp_path) == shown
        assert (tmp_path / NOTE).stat().st_mode & 0o777 == 0o600
    assert find_gateway(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_note_that_nobody_holds_does_not_count(tmp_path: Path) -> None:
    """Its gateway was killed: whoever has the port now is somebody else."""
    script = (
        "import os, sys, pathlib; from gateway.presence import Presence\n"
        f"presence = Presence(pathlib.Path(sys.argv[1])); presence.show({URL!r}); os._exit(9)"
    )
    code = subprocess.run([sys.executable, "-c", script, tmp_path], check=False).returncode
    assert code == 9
    assert json.loads((tmp_path / NOTE).read_bytes())["url"] == URL
    assert find_gateway(tmp_path) is None


def test_the_next_gateway_takes_the_note_over(tmp_path: Path) -> None:
    """What the first one removes at its end is its own alone."""
    with Presence(tmp_path) as second:
        with Presence(tmp_path) as first:
            first.show(URL)
            shown = second.show(URL.replace("3271", "3272"))
        assert find_gateway(tmp_path) == shown


@pytest.mark.parametrize("note", [b"", b"{", b'{"type":"gateway.ready"}', b"\xff", b"[1]"])
def test_a_note_that_says_nothing_is_none(tmp_path: Path, note: bytes) -> None:
    """Be it cut off, or written by another hand."""
    with Presence(tmp_path) as presence:
        presence.show(URL)
        (tmp_path / NOTE).write_bytes(note)
        assert find_gateway(tmp_path) is None


def test_a_note_that_cannot_be_written_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The gateway serves all the same."""
    with Presence(tmp_path / "missing") as presence, caplog.at_level(logging.WARNING):
        assert presence.show(URL).url == URL
    assert "commands need --url" in caplog.text


@pytest.mark.parametrize(
    ("url", "is_same"),
    [
        (URL, True),
        ("ws://localhost:3271/gateway", True),
        ("ws://[::1]:3271/gateway", True),
        ("ws://127.0.0.1:3272/gateway", False),
        ("ws://127.0.0.1/gateway", False),
        ("ws://gateway.example:3271/gateway", False),
        ("ws://127.0.0.1.example:3271/gateway", False),
        ("ws://127.0.0.1:3271@evil.example:3271/gateway", False),
        ("ws://127.0.0.1:99999/gateway", False),
        ("", False),
    ],
)
def test_only_the_same_port_of_this_machine_is_the_same_gateway(url: str, is_same: bool) -> None:
    """To that one goes the token of the data folder."""
    assert is_same_gateway(url, URL) is is_same


def test_commands_find_the_gateway_on_whatever_port(tmp_path: Path) -> None:
    """From the data folder alone, with the token that is kept there."""
    with serving(tmp_path) as gateway:
        for arguments in (["status"], ["sessions", "--json"], ["usage"], ["sessions", "list"]):
            done = call(tmp_path, *arguments)
            assert (done.returncode, done.stderr) == (0, "")
        assert run(tmp_path, "status").returncode == 0
        named = call(tmp_path, "status", "--url", gateway.url.replace("127.0.0.1", "localhost"))
        assert named.returncode == 0
        elsewhere = call(
            tmp_path, "status", "--data-dir", str(tmp_path / "data"), AGENTSPACE_DATA_DIR=""
        )
        assert elsewhere.returncode == 0
        assert gateway.stop() == 0
    assert not (tmp_path / "data" / NOTE).exists()


def test_a_gateway_that_listens_everywhere_is_found(tmp_path: Path) -> None:
    """By the address of this machine."""
    with serving(tmp_path, "--host", "0.0.0.0"):
        assert call(tmp_path, "status").returncode == 0


def test_after_a_crash_nobody_is_asked_in_its_place(tmp_path: Path) -> None:
    """The note is still there, and its port and the one of the settings have other owners."""
    with serving(tmp_path) as gateway:
        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait(SECONDS)
    note = tmp_path / "data" / NOTE
    with listener() as (url, heard):
        ready = json.loads(note.read_bytes())
        note.write_text(json.dumps({**ready, "url": url}))
        port = url.split(":")[2].split("/")[0]
        done = call(tmp_path, "status", AGENTSPACE_PORT=port)
    assert done.returncode == 1
    assert f"no gateway runs from {tmp_path / 'data'}" in done.stderr
    assert heard == []


def test_another_host_gets_only_a_token_that_was_named(tmp_path: Path) -> None:
    """The one of the data folder stays here, and so does the one of config.toml."""
    (tmp_path / "config").mkdir()
    config = tmp_path / "config" / "config.toml"
    with serving(tmp_path):
        for text in ("", 'token = "the-token-of-the-file"\n'):
            config.write_text(text)
            with listener() as (url, heard):
                done = call(tmp_path, "status", "--url", url)
            assert done.returncode == 1
            assert b"Authorization" not in heard[0]
        named: list[tuple[list[str], dict[str, str]]] = [
            (["--token", "a-token-that-was-named"], {}),
            ([], {"AGENTSPACE_TOKEN": "a-token-that-was-named"}),
        ]
        for arguments, variables in named:
            with listener() as (url, heard):
                call(tmp_path, "status", "--url", url, *arguments, **variables)
            assert b"Authorization: Bearer a-token-that-was-named\r\n" in heard[0]


def test_without_a_gateway_the_line_says_how_to_start_one(tmp_path: Path) -> None:
    """Also when the settings name no port to try."""
    done = call(tmp_path, "status", AGENTSPACE_PORT="0")
    assert done.returncode == 1
    assert "agentspace serve" in done.stderr
    assert str(tmp_path / "data") in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [["status"], ["load", "--yes", "--duration", "1"]])
def test_a_token_that_leaves_this_machine_unencrypted_is_told_of(
    tmp_path: Path, command: list[str]
) -> None:
    """By every command that takes an address; this one has no such port."""
    url = "ws://gateway.example:99999/gateway"
    done = call(tmp_path, *command, "--url", url, "--token", "a-token-that-was-named")
    assert done.returncode != 0
    assert f"the token goes to {url} unencrypted" in done.stderr.splitlines()[0]
    assert "a-token-that-was-named" not in done.stderr
