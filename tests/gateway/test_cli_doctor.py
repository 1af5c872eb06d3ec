"""`agentspace doctor`: each thing that a gateway needs, with a word."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import trio

from gateway.simulator import open_simulator
from tests.shell import call, run, serving

NAMES = ["python", "config", "data folder", "disk", "key", "keyring", "port", "provider"]
NOBODY = "http://127.0.0.1:9"
"""Where no provider answers."""


def checked(folder: Path, code: int, *arguments: str, **more: str) -> dict[str, dict[str, Any]]:
    """What it found, by name."""
    more = {"AGENTSPACE_ANTHROPIC_BASE_URL": NOBODY, "AGENTSPACE_PORT": "0", **more}
    done = call(folder, "doctor", "--json", *arguments, **more)
    assert done.returncode == code, done.stdout
    assert done.stderr == ""
    assert "sk-secret" not in done.stdout
    return {check["name"]: check for check in json.loads(done.stdout)}


async def test_a_good_machine_is_exit_0(tmp_path: Path) -> None:
    """Only the keyring, which is none here, is a warning; the key is never shown."""
    async with open_simulator() as simulator:

        def look(*arguments: str) -> Any:
            return run(
                tmp_path,
                "doctor",
                *arguments,
                ANTHROPIC_API_KEY="sk-secret",
                AGENTSPACE_PORT="0",
                AGENTSPACE_ANTHROPIC_BASE_URL=simulator.url,
                HTTP_PROXY="http://127.0.0.1:9",
            )

        done = await trio.to_thread.run_sync(look, "--json")
        people = await trio.to_thread.run_sync(look)
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert done.returncode == 0, done.stdout
    assert list(checks) == NAMES
    states = {name: check["state"] for name, check in checks.items()}
    assert states == {**dict.fromkeys(NAMES, "ok"), "keyring": "warn"}
    assert checks["key"]["found"] == "found in the environment (ANTHROPIC_API_KEY)."
    assert "models (directly, " in checks["provider"]["found"]
    assert "ANTHROPIC_API_KEY or a key file" in checks["keyring"]["advice"]
    assert people.returncode == 0
    assert [line.split()[0] for line in people.stdout.splitlines()].count("ok") == 7
    assert "sk-secret" not in people.stdout + done.stdout


def test_a_provider_that_cannot_be_reached_and_no_key(tmp_path: Path) -> None:
    """The provider fails; for an address of one's own the key is a warning."""
    checks = checked(tmp_path, 1)
    assert checks["provider"]["state"] == "fail"
    assert checks["key"]["state"] == "warn"
    assert "agentspace keys add anthropic" in checks["key"]["advice"]


async def test_a_provider_that_asks_for_a_key_is_there(tmp_path: Path) -> None:
    """It is not the provider's fault that there is none."""
    async with open_simulator() as simulator:
        checks = await trio.to_thread.run_sync(
            lambda: checked(tmp_path, 0, AGENTSPACE_ANTHROPIC_BASE_URL=simulator.url)
        )
    assert checks["provider"]["state"] == "ok"


def test_a_key_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    """A key file that others can read, say."""
    key = tmp_path / "key"
    key.write_text("sk-secret")
    key.chmod(0o644)
    checks = checked(tmp_path, 1, AGENTSPACE_API_KEY_FILE=str(key))
    assert checks["key"]["state"] == "fail"
    assert "chmod 600" in checks["key"]["found"]
    assert checks["config"]["state"] == "fail"


def test_a_bad_configuration_is_all_that_is_said(tmp_path: Path) -> None:
    """Everything else would be guesswork."""
    checks = checked(tmp_path, 1, AGENTSPACE_PORT="x")
    assert list(checks) == ["python", "config"]
    assert "port (from AGENTSPACE_PORT)" in checks["config"]["found"]


def test_a_busy_port_is_told_from_our_own(tmp_path: Path) -> None:
    """Somebody else's fails, a gateway of this folder is well."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        checks = checked(tmp_path, 1, AGENTSPACE_PORT=port)
    assert checks["port"]["state"] == "fail"
    assert "--port" in checks["port"]["advice"]
    checks = checked(tmp_path, 1, AGENTSPACE_PORT=port)
    assert checks["port"]["found"] == f"127.0.0.1 port {port} is free."
    with serving(tmp_path) as gateway:
        checks = checked(tmp_path, 1, AGENTSPACE_PORT=port)
        assert gateway.url in checks["port"]["found"]


def test_a_gateway_that_a_flag_names_is_to_answer(tmp_path: Path) -> None:
    """With the right token; the rest is looked at as well."""
    with serving(tmp_path) as gateway:
        there = checked(tmp_path, 1, "--url", gateway.url)
        stranger = checked(tmp_path, 1, "--url", gateway.url, "--token", "a-wrong-token-for-it")
    gone = checked(tmp_path, 1, "--url", gateway.url)
    assert list(there) == [*NAMES, "gateway"]
    assert [each["gateway"]["state"] for each in (there, stranger, gone)] == ["ok", "fail", "fail"]
    assert f"{gateway.url} answers" in there["gateway"]["found"]
    assert "does not take this token" in stranger["gateway"]["found"]
    assert run(tmp_path, "doctor", "--token", "a-token-of-nobody").returncode == 2


def test_the_data_folder_must_be_one(tmp_path: Path) -> None:
    """A file in its place fails, one that others can look into is a warning."""
    file = tmp_path / "file"
    file.write_text("")
    checks = checked(tmp_path, 1, "--data-dir", str(file))
    assert checks["data folder"]["state"] == "fail"
    for unusable in (file / "below", Path("/proc/none")):
        checks = checked(tmp_path, 1, "--data-dir", str(unusable))
        assert checks["data folder"]["state"] == "fail"
        assert "disk" not in checks
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    shared.chmod(0o755)
    checks = checked(tmp_path, 1, "--data-dir", str(shared))
    assert checks["data folder"]["state"] == "warn"
    assert f"chmod 700 {shared}" in checks["data folder"]["advice"]
    new = tmp_path / "new" / "folder"
    checks = checked(tmp_path, 1, "--data-dir", str(new))
    assert checks["data folder"]["state"] == "ok"
    assert not new.exists()


@pytest.mark.parametrize(
    ("variables", "way"),
    [
        ({"HTTPS_PROXY": "http://127.0.0.1:9"}, "through the proxy of https_proxy"),
        ({"ALL_PROXY": "http://127.0.0.1:9"}, "through the proxy of all_proxy"),
        ({"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "gateway.invalid"}, "directly"),
    ],
)
def test_the_way_to_the_provider_is_named(
    tmp_path: Path, variables: dict[str, str], way: str
) -> None:
    """Through a proxy of the environment, or past it."""
    url = "https://gateway.invalid"
    checks = checked(tmp_path, 1, AGENTSPACE_ANTHROPIC_BASE_URL=url, **variables)
    assert f"({way}, " in checks["provider"]["found"]
