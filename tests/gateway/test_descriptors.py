"""Connections and the file descriptors that they take."""

from __future__ import annotations

import json
import logging
import shlex
import socket
import subprocess
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.descriptors import Sparing, bounded
from gateway.door import MOST_STRANGERS
from tests.test_process import SECONDS, command, environment


@pytest.mark.parametrize(
    ("wanted", "limit", "most"),
    [(10_000, 1_048_576, 10_000), (10_000, 1_024, 320), (100, 1_024, 100), (10_000, 256, 1)],
)
def test_a_connection_and_its_stream_need_a_descriptor_each(
    wanted: int, limit: int, most: int
) -> None:
    """Some are kept for files and for probes; one client is always let in."""
    assert bounded(wanted, limit) == most


def test_who_connects_and_says_nothing_keeps_no_probe_out(tmp_path: Path) -> None:
    """The first of too many strangers is let go, long before its time to speak is over."""
    limit = MOST_STRANGERS + 128
    with subprocess.Popen(
        ["sh", "-c", f"ulimit -n {limit} && exec {shlex.join(command('serve'))}"],
        env=environment(tmp_path, AGENTSPACE_HANDSHAKE_SECONDS="60"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        where = urlsplit(json.loads(child.stdout.readline())["url"])
        address = (where.hostname or "", where.port or 0)
        with ExitStack() as silent:
            for _ in range(3 * MOST_STRANGERS):
                silent.enter_context(socket.create_connection(address, SECONDS))
            before = time.monotonic()
            url = f"http://{where.netloc}/healthz"
            assert urllib.request.urlopen(url, timeout=SECONDS).status == 200
            assert time.monotonic() - before < SECONDS / 2
        child.terminate()
        _, errors = child.communicate(timeout=SECONDS)
        assert child.returncode == 0
        assert "Traceback" not in errors
        assert "instead of the 10000 of max_connections" in errors
        assert "too many" in errors


def test_many_may_connect_before_the_first_of_them_speaks(tmp_path: Path) -> None:
    """None is let go while there are places: a program may open all its connections first."""
    with subprocess.Popen(
        command("serve"), env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        where = urlsplit(json.loads(child.stdout.readline())["url"])
        address = (where.hostname or "", where.port or 0)
        with ExitStack() as stack:
            clients = [
                stack.enter_context(socket.create_connection(address, SECONDS))
                for _ in range(MOST_STRANGERS + 64)
            ]
            for client in reversed(clients):  # when the last is answered, all have come in
                client.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
                assert client.recv(12) == b"HTTP/1.1 200"
        child.terminate()
        assert child.wait(SECONDS) == 0


def test_that_no_descriptor_is_left_is_said_once_a_minute_without_a_traceback() -> None:
    """trio says it ten times a second."""
    sparing = Sparing()
    try:
        raise OSError
    except OSError as error:
        info = (OSError, error, error.__traceback__)
    record = logging.LogRecord("trio", logging.ERROR, "", 0, "EMFILE", None, info)
    assert sparing.filter(record)
    assert record.exc_info is None
    assert not sparing.filter(record)
