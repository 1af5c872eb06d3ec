"""The gateway where others start it: as process 1, on a full or read-only disk, without a home."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.access import find_token
from gateway.config import ConfigError, load_settings
from gateway.folder import check_folder, prepare_folder
from gateway.ledger.opening import unusable
from gateway.settings import Settings
from gateway.vault import Vault
from tests.test_process import SECONDS, command, environment, serving

UNSHARE = shutil.which("unshare")


def can(*flags: str) -> bool:
    """Whether this machine lets its user make such namespaces."""
    if UNSHARE is None:
        return False
    tried = subprocess.run([UNSHARE, *flags, "true"], capture_output=True, check=False)
    return tried.returncode == 0


OWN_DISKS = pytest.mark.skipif(not can("-rm"), reason="needs namespaces of users and mounts")
OWN_PROCESSES = pytest.mark.skipif(
    not can("-rpf", "--mount-proc"), reason="needs a namespace of processes"
)


HANDSHAKE = (
    b"GET /gateway HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: agentspace.v1.json\r\n\r\n"
)
CLOSED = b"\x03\xe9"
"""1001, in a close frame."""


def hear(client: socket.socket, word: bytes) -> None:
    """Read until `word` has come."""
    heard = b""
    while word not in heard:
        more = client.recv(4_096)
        assert more, f"the connection ended after {heard!r}"
        heard += more


# --- hangups -----------------------------------------------------------------------------------


def test_a_hangup_drains_however_often_it_comes(tmp_path: Path) -> None:
    """A terminal that is closed sends it more than once; a client may still say goodbye."""
    with serving(tmp_path, AGENTSPACE_AUTH="none") as (child, ready):
        port = urlsplit(str(ready["url"])).port or 0
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
            client.sendall(HANDSHAKE)
            hear(client, b"gateway.hello")
            child.send_signal(signal.SIGHUP)
            hear(client, CLOSED)
            child.send_signal(signal.SIGHUP)
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(0.5)
            client.sendall(b"\x88\x82\0\0\0\0\x03\xe9")
            assert child.wait(SECONDS) == 0


def test_under_nohup_a_hangup_is_nothing(tmp_path: Path) -> None:
    """It was ignored from the start."""
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a child inherits it
    try:
        with serving(tmp_path) as (child, _):
            child.send_signal(signal.SIGHUP)
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(0.5)
            child.terminate()
            assert child.wait(SECONDS) == 0
    finally:
        signal.signal(signal.SIGHUP, former)


# --- process 1 ---------------------------------------------------------------------------------

ORPHANING = """
import subprocess, sys
# A shell that ends at once leaves what it has started to process 1.
subprocess.run(["sh", "-c", "sleep 0.1 & exit"])
sys.stdin.read()
"""


@OWN_PROCESSES
def test_as_process_1_it_drains_and_keeps_no_dead(tmp_path: Path) -> None:
    """A container without an init: SIGTERM drains, and orphans of an MCP server are buried."""
    (tmp_path / "config").mkdir()
    (tmp_path / "orphaning.py").write_text(ORPHANING)
    server = f'command = "python3"\nargs = ["{tmp_path / "orphaning.py"}"]\n'
    (tmp_path / "config" / "config.toml").write_text(f"[mcp_servers.orphaning]\n{server}")
    assert UNSHARE is not None
    unshare = [UNSHARE, "-rpf", "--mount-proc", "--kill-child"]
    with subprocess.Popen(
        [*unshare, *command("serve")],
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as outside:
        try:
            assert outside.stdout is not None
            assert '"gateway.ready"' in outside.stdout.readline()
            first = children_of(outside.pid)[0]
            end = time.monotonic() + SECONDS
            while len(children_of(first)) > 1 and time.monotonic() < end:
                time.sleep(0.05)
            assert len(children_of(first)) == 1  # the gateway alone, neither sleeping nor dead
            os.kill(first, signal.SIGTERM)
            _, errors = outside.communicate(timeout=SECONDS)
            assert outside.returncode == 0
            assert "Traceback" not in errors
        finally:
            outside.kill()


def children_of(process: int) -> list[int]:
    """The children of a process, the dead ones too."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(child) for child in listed.split()]


@OWN_PROCESSES
def test_as_process_1_its_exit_code_is_that_of_the_command(tmp_path: Path) -> None:
    """A bad setting is 2 there too."""
    assert UNSHARE is not None
    done = subprocess.run(
        [UNSHARE, "-rpf", "--mount-proc", *command("serve", "--port", "http")],
        env=environment(tmp_path),
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 2


# --- the data folder ---------------------------------------------------------------------------


def refused_on(folder: Path, preparation: str) -> tuple[int, str]:
    """How a start ends once a shell has done this, in namespaces of its own; its one line."""
    assert UNSHARE is not None
    script = f"{preparation} && exec {shlex.join(command('serve'))}"
    done = subprocess.run(
        [UNSHARE, "-rm", "sh", "-c", script],
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.returncode, done.stderr


@OWN_DISKS
def test_a_full_disk_is_one_line_that_asks_for_room(tmp_path: Path) -> None:
    """The ledger is not to be moved away."""
    (tmp_path / "data").mkdir()
    mount = f"mount -t tmpfs -o size=64k tmpfs {shlex.quote(str(tmp_path / 'data'))}"
    code, line = refused_on(tmp_path, mount)
    assert code == 3
    assert "Make room" in line
    assert str(tmp_path / "data") in line


@OWN_DISKS
def test_a_read_only_folder_is_one_line_and_exit_2(tmp_path: Path) -> None:
    """It says what kind of a folder it is."""
    (tmp_path / "data").mkdir()
    folder = shlex.quote(str(tmp_path / "data"))
    code, line = refused_on(tmp_path, f"mount -t tmpfs -o ro tmpfs {folder}")
    assert code == 2
    assert "read only" in line


@OWN_DISKS
@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give a folder away")
def test_another_user_s_folder_is_one_line_and_exit_2(tmp_path: Path) -> None:
    """It says whose it is."""
    (tmp_path / "data").mkdir(mode=0o700)
    os.chown(tmp_path / "data", 54_321, 54_321)
    code, line = refused_on(tmp_path, "true")
    assert code == 2
    assert "belongs to user" in line


@OWN_DISKS
def test_a_read_only_root_is_enough(tmp_path: Path) -> None:
    """Nothing is written but in the data folder."""
    (tmp_path / "data").mkdir()
    folder = shlex.quote(str(tmp_path / "data"))
    script = (
        f"mount -t tmpfs tmpfs {folder} && mount -o remount,bind,ro / 2>/dev/null; "
        f"exec {shlex.join(command('serve', '--stop-on-stdin-eof'))}"
    )
    assert UNSHARE is not None
    done = subprocess.run(
        [UNSHARE, "-rm", "sh", "-c", script],
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"gateway.ready"' in done.stdout


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    """The trial leaves nothing behind."""
    prepare_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert [*(tmp_path / "a" / "b").iterdir()] == []


@pytest.mark.parametrize("name", ["a", "a/b/c"])
def test_a_folder_that_could_be_made_is_not(tmp_path: Path, name: str) -> None:
    """A check leaves nothing behind, be the folder there or not."""
    (tmp_path / "a").mkdir(mode=0o700)
    check_folder(tmp_path / name)
    assert [*tmp_path.rglob("*")] == [tmp_path / "a"]


@pytest.mark.parametrize("name", ["file", "file/below", "link", "link/below"])
def test_what_a_start_would_refuse_a_check_refuses(tmp_path: Path, name: str) -> None:
    """A file in the place of a folder, and a link that leads nowhere."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for use in (check_folder, prepare_folder):
        with pytest.raises(ConfigError, match="Make it usable, or choose another folder"):
            use(tmp_path / name)


def test_a_file_system_without_files_holds_no_folder() -> None:
    """Even root, who may write everywhere, cannot make one there."""
    with pytest.raises(ConfigError, match="the data folder /proc/nope cannot be made"):
        check_folder(Path("/proc/nope"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("database or disk is full", "Make room"),
        ("attempt to write a readonly database", "Make it usable"),
        ("unable to open database file", "Make it usable"),
        ("database is locked", "another program has locked it"),
        ("file is not a database", "Move it away"),
    ],
)
def test_each_fault_of_the_ledger_has_its_remedy(tmp_path: Path, words: str, told: str) -> None:
    """Only a broken one is moved away."""

    line = str(unusable(tmp_path, sqlite3.OperationalError(words)))
    assert told in line
    assert "\n" not in line


# --- no home -----------------------------------------------------------------------------------


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A user that the system does not know, in a container say; its environment."""

    def unknown(_: int) -> pwd.struct_passwd:
        raise KeyError

    for name in list(os.environ):
        if name == "HOME" or name.startswith("XDG_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    return {}


def test_without_a_home_the_data_need_a_folder(homeless: dict[str, str], tmp_path: Path) -> None:
    """The line says how to give one; with it, all works, without a config file."""
    with pytest.raises(ConfigError, match="--data-dir"):
        load_settings({}, homeless)
    settings = load_settings({"data_dir": tmp_path}, homeless)
    assert settings.data_dir == tmp_path
    with pytest.raises(ConfigError, match="AGENTSPACE_CONFIG_DIR"):
        load_settings({"data_dir": tmp_path}, {"AGENTSPACE_CONFIG_DIR": "~/config"})


# --- byte order marks --------------------------------------------------------------------------

BOM = b"\xef\xbb\xbf"


def test_a_byte_order_mark_before_a_key_or_a_token_is_passed_over(tmp_path: Path) -> None:
    """Some editors and shells write one."""
    key = tmp_path / "key"
    key.write_bytes(BOM + b"sk-test\r\n")
    key.chmod(0o600)
    found = Vault(key, {}).find()
    assert found is not None
    assert found.key == "sk-test"
    (tmp_path / "token").write_bytes(BOM + b"a-token-of-some-length\r\n")
    assert find_token(Settings(data_dir=tmp_path)) == "a-token-of-some-length"
