"""The installed product, seen from outside: whatever Python it runs on, it does the same.

`TESTED_PYTHON` names the interpreter of the installation to test; without it that is this one.
`scripts/test_pythons` runs these tests against a wheel, once for every Python of the machine.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

PYTHON = Path(os.environ.get("TESTED_PYTHON", sys.executable))
COMMAND = PYTHON.parent / "agentspace"
TOKEN = "a-token-of-the-tests-own-0123456789"
ROOMS = ("agentspace", "gateway", "actors", "protocol")
SECONDS = 60.0
"""Nothing here takes longer, on a busy machine either."""

EMBEDDING = """
import sys
import anyio
from agentspace.embed import supervised

async def main():
    async with supervised(settings={"data_dir": sys.argv[1]}) as gateway:
        print(gateway.url)

anyio.run(main, backend=sys.argv[2])
"""


class Ended(msgspec.Struct, frozen=True):
    """A process that has ended."""

    code: int
    output: str
    errors: str


class Running(msgspec.Struct):
    """A process that serves: where, and the file that its stderr goes to."""

    process: subprocess.Popen[str]
    url: str
    errors: Path


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a user who has this folder, no keyring and no settings but these."""
    foreign = ("AGENTSPACE", "PYTHON", "COV", "XDG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **kept,
        "HOME": str(folder),
        "AGENTSPACE_DATA_DIR": str(folder / "data"),
        "AGENTSPACE_CONFIG_DIR": str(folder / "config"),
        "AGENTSPACE_TOKEN": TOKEN,
        "ANTHROPIC_API_KEY": "sk-test",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        **settings,
    }


def run(folder: Path, *command: str | Path, stdin: str = "", **settings: str) -> Ended:
    """Run a command to its end; what it prints is never a traceback."""
    done = subprocess.run(
        command,
        cwd=folder,  # not the checkout, whose folders would hide the installed ones
        env=environment(folder, **settings),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)


@contextmanager
def serving(folder: Path, *arguments: str, **settings: str) -> Iterator[Running]:
    """`agentspace serve` or `simulate`; it ends by force, and never has left a traceback."""
    errors = folder / f"{arguments[0]}.log"
    with (
        errors.open("w") as log,
        subprocess.Popen(
            [COMMAND, *arguments, "--port", "0"],
            cwd=folder,
            env=environment(folder, **settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, errors.read_text()
            yield Running(process, str(json.loads(line)["url"]), errors)
        finally:
            process.kill()
    assert "Traceback" not in errors.read_text(), errors.read_text()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A home that simulator and gateway share; its path is short enough for a socket."""
    with TemporaryDirectory(prefix="anywhere-") as made:
        yield Path(made)


@pytest.fixture(scope="module")
def simulator(folder: Path) -> Iterator[str]:
    """Where a simulated provider listens."""
    with serving(folder, "simulate") as running:
        yield running.url


@pytest.fixture(scope="module")
def gateway(folder: Path, simulator: str) -> Iterator[Running]:
    """A gateway that asks the simulator."""
    with serving(folder, "serve", AGENTSPACE_ANTHROPIC_BASE_URL=simulator) as running:
        yield running


def dial(url: str, token: str = TOKEN) -> ClientConnection:
    """A client of another make."""
    return connect(
        url,
        additional_headers={"Authorization": f"Bearer {token}"},
        subprotocols=[Subprotocol("agentspace.v1.json")],
        open_timeout=SECONDS,
        proxy=None,
    )


def hear(client: ClientConnection, *ends: str) -> list[dict[str, Any]]:
    """Every message up to the first one of these types."""
    heard: list[dict[str, Any]] = []
    while not heard or heard[-1]["type"] not in ends:
        heard.append(json.loads(client.recv(timeout=SECONDS)))
    return heard


def shell(folder: Path, line: str, **settings: str) -> Ended:
    """A line of a shell, in which `$A` is the command; its stdin is a pipe that ends at once."""
    return run(folder, "/bin/sh", "-c", line, A=str(COMMAND), **settings)


def wait_for_line(file: Path, word: str) -> None:
    """Wait until the log has a line with this word: a thread of the gateway writes it."""
    until = time.monotonic() + SECONDS
    while word not in file.read_text():
        assert time.monotonic() < until, f"no line with {word!r} in: {file.read_text()}"
        time.sleep(0.01)


def test_a_turn_is_answered_to_its_end(gateway: Running) -> None:
    """Start, text and one terminal frame with the figures."""
    with dial(gateway.url) as client:
        client.send(json.dumps({"type": "chat.send", "id": "1", "content": "Which port is SSH's?"}))
        frames = hear(client, "chat.stream.end", "error")
    assert [frames[0]["type"], frames[-1]["type"]] == ["gateway.hello", "chat.stream.end"]
    assert any(frame["type"] == "chat.stream.delta" for frame in frames)
    assert frames[-1]["usage"]["outputTokens"] > 0


def test_a_wrong_token_is_refused_with_a_line_in_the_log(gateway: Running) -> None:
    """401 for the client, one line for who runs the gateway, and the token in neither."""
    with pytest.raises(InvalidStatus) as refused, dial(gateway.url, "a-wrong-token"):
        pass
    assert refused.value.response.status_code == 401
    wait_for_line(gateway.errors, "401")
    lines = [line for line in gateway.errors.read_text().splitlines() if "401" in line]
    assert len(lines) == 1
    assert "a-wrong-token" not in gateway.errors.read_text()


def test_a_folder_that_cannot_be_had_is_one_line_and_exit_2(folder: Path) -> None:
    """A file is in its place."""
    (folder / "file").write_text("")
    ended = run(folder, COMMAND, "serve", AGENTSPACE_DATA_DIR=str(folder / "file" / "data"))
    assert (ended.code, ended.output) == (2, "")
    assert "data folder" in ended.errors
    assert ended.errors.count("\n") == 1


def test_a_busy_port_is_one_line_and_exit_2(folder: Path) -> None:
    """It says which port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        other = str(folder / "other")
        ended = run(folder, COMMAND, "serve", "--port", port, AGENTSPACE_DATA_DIR=other)
    assert (ended.code, ended.output) == (2, "")
    assert port in ended.errors
    assert ended.errors.count("\n") == 1


def test_a_simulator_on_a_busy_port_names_the_flag(folder: Path) -> None:
    """One line and exit 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run(folder, COMMAND, "simulate", "--port", port)
    assert (ended.code, ended.output) == (2, "")
    assert f"port {port}: Address already in use." in ended.errors
    assert "--port" in ended.errors
    assert ended.errors.count("\n") == 1


@pytest.mark.parametrize("package", ["agentspace", "gateway"])
def test_the_package_runs_as_the_command(folder: Path, package: str) -> None:
    """`python -m agentspace` is `agentspace`."""
    ended = run(folder, PYTHON, "-m", package, "--version")
    assert ended == run(folder, COMMAND, "--version")
    assert ended.code == 0


def test_a_ledger_that_is_in_use_is_one_line_and_exit_3(folder: Path, gateway: Running) -> None:
    """Two gateways would settle each other's turns."""
    ended = run(folder, COMMAND, "serve", "--port", "0")
    assert (ended.code, ended.output) == (3, "")
    assert "in use" in ended.errors
    assert ended.errors.count("\n") == 1
    assert gateway.process.poll() is None


def test_a_stop_lets_a_running_turn_finish(tmp_path: Path, simulator: str) -> None:
    """SIGTERM in the middle of an answer: the client gets all of it, and the exit code is 0."""
    with (
        serving(tmp_path, "serve", AGENTSPACE_ANTHROPIC_BASE_URL=simulator) as running,
        dial(running.url) as client,
    ):
        text = "Hello [[sim: count=20 rate=40]]"
        client.send(json.dumps({"type": "chat.send", "id": "1", "content": text}))
        hear(client, "chat.stream.delta")
        running.process.send_signal(signal.SIGTERM)
        assert hear(client, "chat.stream.end", "error")[-1]["type"] == "chat.stream.end"
        assert running.process.wait(SECONDS) == 0
        assert "draining" in running.errors.read_text()


def test_nothing_of_ours_warns(folder: Path) -> None:
    """What a later Python will refuse is not in use; the libraries speak for themselves."""
    found = run(folder, PYTHON, "-c", "import gateway; print(gateway.__file__)")
    home = Path(found.output.strip()).parent.parent
    ended = run(
        folder,
        COMMAND,
        "serve",
        "--stop-on-stdin-eof",
        PYTHONWARNINGS="always",
        AGENTSPACE_DATA_DIR=str(folder / "warnings"),
        AGENTSPACE_PORT="0",
    )
    assert ended.code == 0
    ours = tuple(f"{home}/{room}/" for room in ROOMS)
    assert not [line for line in ended.errors.splitlines() if line.startswith(ours)]


NOWHERE, FULL = Path(os.devnull), Path("/dev/full")
ANSWERS = ("status", "usage --json", "chat hi", "chat --json hi", "schema", "token", "--help")
"""Commands that say something on stdout."""


@pytest.mark.parametrize("command", [*ANSWERS, "serve --port 0", "simulate --port 0"])
@pytest.mark.parametrize(
    ("to", "reason"),
    [(">/dev/full", "No space left on device"), (">&-", "it is closed")],
    ids=["full", "closed"],
)
def test_a_stdout_that_takes_nothing_is_told_and_exit_1(
    folder: Path, gateway: Running, command: str, to: str, reason: str
) -> None:
    """It is no mistake of the command's own. A log line may come after: a thread writes it."""
    own = str(folder / "of a new gateway") if command.startswith("serve") else str(folder / "data")
    ended = shell(folder, f'"$A" {command} {to}', AGENTSPACE_DATA_DIR=own)
    told = [line for line in ended.errors.splitlines() if line.startswith("agentspace: ")]
    line = f"agentspace: nothing can be written to stdout: {reason}. Direct it elsewhere."
    assert told == [line]
    assert ended.code == 1


@pytest.mark.parametrize("command", [*ANSWERS, "serve --port 0"])
def test_a_reader_that_went_away_hears_no_complaint(
    folder: Path, gateway: Running, command: str
) -> None:
    """Exit 141, as of every program that a broken pipe ends."""
    own = str(folder / "of a new gateway") if command.startswith("serve") else str(folder / "data")
    line = f'{{ "$A" {command}; echo $? >&3; }} 3>code | true; cat code'
    ended = shell(folder, line, AGENTSPACE_DATA_DIR=own)
    assert ended.output == "141\n"
    assert "agentspace:" not in ended.errors


@pytest.mark.parametrize("to", ["2>/dev/full", "2>&-"], ids=["full", "closed"])
def test_a_stderr_that_takes_nothing_does_not_matter(
    folder: Path, gateway: Running, to: str
) -> None:
    """A command answers, or fails, as it does otherwise."""
    assert "I am a simulator" in shell(folder, f'"$A" chat hi {to}').output
    assert shell(folder, f'"$A" chat hi {to}').code == 0
    assert shell(folder, f'"$A" inspect session_none {to}') == Ended(1, "", "")
    assert shell(folder, f'"$A" no-such-command {to}') == Ended(2, "", "")
    assert shell(folder, f'"$A" status >&- {to} <&-') == Ended(1, "", "")


@pytest.mark.parametrize("to", ["2>/dev/full", "2>&-"], ids=["full", "closed"])
def test_a_gateway_whose_log_cannot_be_written_serves(
    tmp_path: Path, simulator: str, to: str
) -> None:
    """What its log would say lands nowhere: not with a client either."""
    with subprocess.Popen(
        ["/bin/sh", "-c", f'exec "$A" serve --port 0 {to} <&-'],
        cwd=tmp_path,
        env=environment(
            tmp_path,
            A=str(COMMAND),
            AGENTSPACE_ANTHROPIC_BASE_URL=simulator,
            AGENTSPACE_LOG_LEVEL="debug",
        ),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            url = str(json.loads(process.stdout.readline())["url"])
            assert Path(f"/proc/{process.pid}/fd/2").readlink() in {NOWHERE, FULL}
            with pytest.raises(InvalidStatus), dial(url, "a-wrong-token-of-a-client"):
                pass
            with dial(url) as client:
                client.send(json.dumps({"type": "chat.send", "id": "1", "content": "Hello"}))
                assert hear(client, "chat.stream.end", "error")[-1]["type"] == "chat.stream.end"
            process.terminate()
            assert process.wait(SECONDS) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("inspect session_none", 1, "SESSION_NOT_FOUND"),
        ("chat --session session_none hi", 1, "SESSION_NOT_FOUND"),
        ("chat --continue hi --data-dir nowhere", 1, "NO_CONNECTION"),
        ("usage --since yesterday", 1, "INVALID_MESSAGE"),
        ("status --url ws://127.0.0.1:9/gateway", 1, "NO_CONNECTION"),
        ("sessions show session_none", 1, "SESSION_NOT_FOUND"),
        ("keys test", 1, "LLM_ERROR"),
        ("token --data-dir /proc/version", 2, "BAD_CONFIGURATION"),
        ("status --no-such-flag", 2, "BAD_USAGE"),
        ("chat", 2, "BAD_USAGE"),
    ],
)
def test_a_failure_under_json_is_one_object_and_a_line(
    folder: Path, gateway: Running, command: str, code: int, says: str
) -> None:
    """By one rule for all commands; where both streams are one file, the object is alone."""
    settings = {"AGENTSPACE_ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
    if "token" in command:
        settings["AGENTSPACE_TOKEN"] = ""
    ended = shell(folder, f'"$A" {command} --json', **settings)
    told = json.loads(ended.output)
    assert (ended.code, told["type"], told["code"]) == (code, "error", says)
    assert isinstance(told["retryable"], bool)
    assert ended.errors
    assert ended.output.count("\n") == 1
    together = shell(folder, f'"$A" {command} --json 2>&1', **settings)
    assert json.loads(together.output)["code"] == says


def test_the_demo_runs_without_a_key(tmp_path: Path) -> None:
    """Gateway, simulator, a tool and a client in one; without a terminal it ends by itself."""
    ended = run(tmp_path, COMMAND, "demo", ANTHROPIC_API_KEY="")
    assert (ended.code, ended.errors) == (0, "")
    assert "tokens in" in ended.output


def test_keys_are_told_and_tried_without_a_keyring(folder: Path, simulator: str) -> None:
    """A server has none: the key in the environment is found, works, and is never shown."""
    listed = run(folder, COMMAND, "keys", "list")
    tried = run(folder, COMMAND, "keys", "test", AGENTSPACE_ANTHROPIC_BASE_URL=simulator)
    assert (listed.code, listed.errors, tried.code, tried.errors) == (0, "", 0, "")
    assert "in use" in listed.output
    assert "works" in tried.output
    assert "sk-test" not in listed.output + tried.output


def test_a_key_that_no_keyring_can_keep_is_one_line_and_exit_2(tmp_path: Path) -> None:
    """The line says what to use instead."""
    ended = run(tmp_path, COMMAND, "keys", "add", "--stdin", stdin="sk-secret\n")
    assert (ended.code, ended.output) == (2, "")
    assert "ANTHROPIC_API_KEY" in ended.errors
    assert "sk-secret" not in ended.errors
    assert ended.errors.count("\n") == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_another_program_can_embed_it(tmp_path: Path, backend: str) -> None:
    """The gateway runs as long as the program's block, and ends with it."""
    program = tmp_path / "program.py"
    program.write_text(EMBEDDING)
    ended = run(tmp_path, PYTHON, program, tmp_path / "data", backend)
    assert (ended.code, ended.errors) == (0, "")
    assert urlsplit(ended.output).scheme == "ws"
