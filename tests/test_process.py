"""The gateway as a process: its one line, its signals, its exit codes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.shell import call

SECONDS = 30


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a gateway that knows nothing of this machine's user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AGENTSPACE")}
    return {
        **kept,
        "AGENTSPACE_DATA_DIR": str(folder / "data"),
        "AGENTSPACE_CONFIG_DIR": str(folder / "config"),
        "AGENTSPACE_PORT": "0",
        "ANTHROPIC_API_KEY": "sk-test",
        **settings,
    }


def command(*arguments: str) -> list[str]:
    """`agentspace …`."""
    return [sys.executable, "-c", "from gateway.cli import main; main()", *arguments]


@contextmanager
def serving(
    folder: Path, *arguments: str, **settings: str
) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    """A gateway that runs, and its ready line."""
    with subprocess.Popen(
        command("serve", *arguments),
        env=environment(folder, **settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        try:
            yield child, json.loads(child.stdout.readline())
        finally:
            child.kill()


def refused(folder: Path, *arguments: str, **settings: str) -> tuple[int, str]:
    """The exit code and stderr of a gateway that does not start."""
    done = subprocess.run(
        command("serve", *arguments),
        env=environment(folder, **settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_exits_with_0(tmp_path: Path, number: signal.Signals) -> None:
    """One line on stdout, nothing more, and a clean end."""
    with serving(tmp_path) as (child, ready):
        assert ready["type"] == "gateway.ready"
        assert ready["pid"] == child.pid
        assert ready["protocol"] == 1
        assert str(ready["url"]).startswith("ws://127.0.0.1:")
        child.send_signal(number)
        rest, errors = child.communicate(timeout=SECONDS)
        assert child.returncode == 0
        assert rest == ""
        assert "Traceback" not in errors


def test_the_end_of_stdin_drains_when_asked_for(tmp_path: Path) -> None:
    """The parent is gone: so is the gateway."""
    with serving(tmp_path, "--stop-on-stdin-eof") as (child, _):
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(SECONDS) == 0


def test_the_first_start_makes_a_token_for_its_owner_alone(tmp_path: Path) -> None:
    """It is kept, and the second start uses the same."""
    token = tmp_path / "data" / "token"
    with serving(tmp_path) as (child, _):
        made = token.read_text()
        child.terminate()
        child.wait(SECONDS)
    with serving(tmp_path):
        assert token.read_text() == made
    assert len(made) > 32
    assert token.stat().st_mode & 0o777 == 0o600


def test_a_busy_port_is_one_line_and_exit_2(tmp_path: Path) -> None:
    """It says which port, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, line = refused(tmp_path, "--port", port)
    assert code == 2
    assert port in line
    assert "--port" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AGENTSPACE_PORT", "http"),
        ("AGENTSPACE_PORT", "70000"),
        ("AGENTSPACE_LOG_LEVEL", "loud"),
        ("AGENTSPACE_DRAIN_SECONDS", "-1"),
        ("AGENTSPACE_HOST", "192.0.2.1"),
    ],
)
def test_a_bad_setting_is_one_line_and_exit_2(tmp_path: Path, name: str, value: str) -> None:
    """It names the setting; an address that is not ours cannot be listened on."""
    code, line = refused(tmp_path, **{name: value})
    assert code == 2
    assert name in line or value in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "socks4://user:sesame@127.0.0.1:9"),
        ("all_proxy", "http://[::1"),
        ("SSL_CERT_FILE", "/there/is/none.pem"),
        ("SSL_CERT_DIR", "/there/is/none"),
        ("SSLKEYLOGFILE", "/there/is/none.log"),
    ],
)
def test_a_bad_word_on_the_network_is_one_line_and_exit_2(
    tmp_path: Path, name: str, value: str
) -> None:
    """It names the variable, for a start and for `keys test`; a password in it stays secret."""
    (tmp_path / "0a1b2c3d.0").touch()
    network = {"SSL_CERT_FILE": "", "SSL_CERT_DIR": str(tmp_path), name: value}
    started = subprocess.run(
        command("serve"),
        env=environment(tmp_path, **network),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    for done in (started, call(tmp_path, "keys", "test", ANTHROPIC_API_KEY="sk-test", **network)):
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"agentspace: {name} ")
        assert done.stderr.count("\n") == 1
        assert "sesame" not in done.stderr


def test_no_token_off_loopback_is_refused(tmp_path: Path) -> None:
    """`--auth none` is for loopback alone."""
    code, line = refused(tmp_path, "--auth", "none", "--host", "0.0.0.0")
    assert code == 2
    assert "auth" in line
    assert "127.0.0.1" in line


def test_a_folder_that_cannot_be_made_is_one_line_and_exit_2(tmp_path: Path) -> None:
    """A file is in its place."""
    (tmp_path / "file").write_text("")
    code, line = refused(tmp_path, AGENTSPACE_DATA_DIR=str(tmp_path / "file" / "data"))
    assert code == 2
    assert "data folder" in line
    assert "\n" not in line


def test_a_database_that_is_none_is_one_line_and_exit_3(tmp_path: Path) -> None:
    """The file stays as it is."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ledger.db").write_text("garbage" * 1_000)
    code, errors = refused(tmp_path)
    assert code == 3
    assert "cannot be used" in errors.splitlines()[-1]
    assert (tmp_path / "data" / "ledger.db").read_text() == "garbage" * 1_000


def test_a_second_gateway_on_the_same_folder_exits_with_3(tmp_path: Path) -> None:
    """Two would settle each other's turns."""
    with serving(tmp_path):
        code, line = refused(tmp_path)
    assert code == 3
    assert "in use" in line


def test_a_full_pipe_that_nobody_reads_stalls_nothing(tmp_path: Path) -> None:
    """With stderr full it still serves, and it still drains and exits when its parent is gone."""
    with serving(tmp_path, "--stop-on-stdin-eof") as (child, ready):
        port = urlsplit(str(ready["url"])).port or 0
        for _ in range(1_000):  # each is a line of the log, together more than a pipe holds
            with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert client.recv(12) == b"HTTP/1.1 404"
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(SECONDS) == 0
