"""What a service manager is told: real datagrams, from a gateway in a process of its own."""

from __future__ import annotations

import logging
import signal
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.systemd import tell_manager
from tests.test_process import SECONDS, serving


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """The value of $NOTIFY_SOCKET, and the socket that it names."""
    name = str(tmp_path / "notify")
    is_abstract = request.param == "abstract"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.settimeout(SECONDS)
        listening.bind(f"\0{name}" if is_abstract else name)
        yield f"@{name}" if is_abstract else name, listening


def heard(listening: socket.socket) -> list[str]:
    """The lines of the next datagram."""
    return listening.recv(4_096).decode().split("\n")


def test_a_manager_hears_of_the_start_and_of_the_stop(
    manager: tuple[str, socket.socket], tmp_path: Path
) -> None:
    """READY when clients can connect, STOPPING when the drain begins, nothing else."""
    name, listening = manager
    with serving(tmp_path, NOTIFY_SOCKET=name) as (child, ready):
        assert heard(listening) == ["READY=1", f"STATUS=Serving at {ready['url']}"]
        health = f"http://{urlsplit(str(ready['url'])).netloc}/healthz"
        with urllib.request.urlopen(health, timeout=SECONDS) as answer:
            assert answer.status == 200
        child.send_signal(signal.SIGTERM)
        assert heard(listening) == ["STOPPING=1", "STATUS=Draining."]
        assert child.wait(SECONDS) == 0
    listening.setblocking(False)
    with pytest.raises(BlockingIOError):
        listening.recv(4_096)


def test_the_end_of_stdin_is_a_stop_too(manager: tuple[str, socket.socket], tmp_path: Path) -> None:
    """Whatever makes it drain, the manager hears of it."""
    name, listening = manager
    with serving(tmp_path, "--stop-on-stdin-eof", NOTIFY_SOCKET=name) as (child, _):
        heard(listening)
        assert child.stdin is not None
        child.stdin.close()
        assert heard(listening)[0] == "STOPPING=1"
        assert child.wait(SECONDS) == 0


@pytest.mark.parametrize("name", ["", "3", "vsock:2:1234"])
def test_where_no_manager_listens_nothing_is_said(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No variable, or one of another system."""
    tell_manager("READY=1", environ={"NOTIFY_SOCKET": name} if name else {})
    assert caplog.messages == []


@pytest.mark.parametrize("name", ["/there/is/none", "@there-is-none", "/" + "x" * 200, "/nul\0"])
def test_a_manager_that_cannot_be_told_is_one_warning(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The gateway serves all the same."""
    with caplog.at_level(logging.WARNING):
        tell_manager("READY=1", "STATUS=Up", environ={"NOTIFY_SOCKET": name})
    (line,) = caplog.messages
    assert line.startswith("the service manager cannot be told READY=1 STATUS=Up: ")


def test_a_manager_that_does_not_read_holds_nobody_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where its queue is full, the datagram is given up after a moment."""
    name = str(tmp_path / "notify")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind(name)
        fill(name)
        with caplog.at_level(logging.WARNING):
            tell_manager("READY=1", environ={"NOTIFY_SOCKET": name})
    assert caplog.messages == ["the service manager cannot be told READY=1: timed out"]


def fill(name: str) -> None:
    """Send datagrams until not even a first one finds room: a sender, too, has a limit."""
    while sent(name):
        pass


def sent(name: str) -> int:
    """How many datagrams one socket can send."""
    count = 0
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sending:
        sending.setblocking(False)
        with suppress(BlockingIOError):
            while sending.sendto(b"READY=1", name):
                count += 1
    return count
