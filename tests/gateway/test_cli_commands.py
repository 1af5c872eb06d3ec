"""The commands that ask a running gateway, and those that need none, as a shell sees them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result

from gateway.cli.main import COMMANDS, agentspace
from gateway.simulator import open_simulator
from tests.support import TOKEN, World, open_world

RUN = [sys.executable, "-c", "from gateway.cli import main; main()"]
ROOT = Path(__file__).resolve().parents[2]


def environ_of(folder: Path, **more: str) -> dict[str, str]:
    """An environment that knows of nothing outside `folder`."""
    return {
        "AGENTSPACE_DATA_DIR": str(folder),
        "AGENTSPACE_CONFIG_DIR": str(folder),
        "AGENTSPACE_TOKEN": TOKEN,
        "PYTHONPATH": str(ROOT),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "PATH": os.environ["PATH"],
        "COLUMNS": "120",
        **more,
    }


async def invoke(folder: Path, *arguments: str, stdin: str = "", **more: str) -> Result:
    """Run a command in a thread of its own, as it would run in a process."""

    def call() -> Result:
        unset = dict.fromkeys(set(os.environ) & {"ANTHROPIC_API_KEY"}, None)
        runner = CliRunner(env={**unset, **environ_of(folder, **more)})
        return runner.invoke(agentspace, arguments, input=stdin)

    return await trio.to_thread.run_sync(call)


async def ask(world: World, *arguments: str) -> Result:
    """Run a command against this gateway."""
    return await invoke(world.settings.data_dir, *arguments, "--url", world.url)


async def with_one_turn(world: World) -> str:
    """Hold one turn; the session's id."""
    async with world.talk() as talk:
        frames = await talk.turn("hello")
    return str(frames[0]["sessionId"])


async def test_a_running_gateway_is_asked_over_its_socket(tmp_path: Path) -> None:
    """inspect, usage, sessions and status show what the gateway says."""
    async with open_world(tmp_path) as world:
        session = await with_one_turn(world)
        shown = {
            name: await ask(world, *arguments)
            for name, arguments in {
                "inspect": ("inspect", session, "--content", "more", "--exact"),
                "usage": ("usage", "--session", session, "--since", "2020-01-01"),
                "sessions": ("sessions", "list"),
                "show": ("sessions", "show", session),
                "status": ("status",),
            }.items()
        }
    assert {name: result.exit_code for name, result in shown.items()} == dict.fromkeys(shown, 0)
    assert "counted by the provider" in shown["inspect"].stdout
    assert re.search(r"last turn +estimated .* billed .* off\)", shown["inspect"].stdout)
    assert "claude-sonnet-5-5" in shown["usage"].stdout
    assert session in shown["sessions"].stdout
    assert "Hello!" in shown["show"].stdout
    assert "serving" in shown["status"].stdout


async def test_json_is_the_message_as_the_wire_has_it(tmp_path: Path) -> None:
    """`--json` prints one line that a program can read."""
    async with open_world(tmp_path) as world:
        session = await with_one_turn(world)
        commands: dict[str, tuple[str, ...]] = {
            "context.inspection": ("inspect", session, "--json"),
            "usage.report": ("usage", "--json"),
            "session.list": ("sessions", "list", "--json"),
            "session.history": ("sessions", "show", session, "--json"),
            "gateway.status": ("status", "--json"),
        }
        for kind, arguments in commands.items():
            answer: dict[str, Any] = json.loads((await ask(world, *arguments)).stdout)
            assert answer["type"] == kind


async def test_a_session_without_a_turn_has_no_estimate_to_compare(tmp_path: Path) -> None:
    """What has never been sent is inspected all the same; a turn that is not there is an error."""
    async with open_world(tmp_path) as world:
        async with world.talk() as talk:
            session = str((await talk.ask("session.create"))["sessionId"])
        shown = await ask(world, "inspect", session)
        missing = await ask(world, "inspect", session, "--turn", "turn_none")
    assert shown.exit_code == 0
    assert "calibration" in shown.stdout
    assert "last turn" not in shown.stdout
    assert missing.exit_code == 1
    assert len(missing.stderr.splitlines()) == 1


async def test_a_deleted_session_cannot_be_inspected(tmp_path: Path) -> None:
    """After the deletion the refusal is one line and exit code 1."""
    async with open_world(tmp_path) as world:
        session = await with_one_turn(world)
        assert (await ask(world, "sessions", "delete", session)).exit_code == 0
        refused = await ask(world, "inspect", session)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("agentspace: There is no such session.")
    assert len(refused.stderr.splitlines()) == 1


async def test_no_gateway_is_one_line_that_says_what_to_type(tmp_path: Path) -> None:
    """Without a gateway every command that needs one says how to start it."""
    for arguments in (["status"], ["usage"], ["sessions"], ["inspect", "x"], ["chat"]):
        result = await invoke(tmp_path, *arguments, stdin="hello\n", AGENTSPACE_PORT="9")
        assert result.exit_code == 1
        assert "agentspace serve" in result.stderr
        assert len(result.stderr.splitlines()) == 1


async def test_the_token_is_all_that_token_prints(tmp_path: Path) -> None:
    """The token alone is on stdout; without one, the line says how to get one."""
    assert (await invoke(tmp_path, "token")).stdout == f"{TOKEN}\n"
    assert json.loads((await invoke(tmp_path, "token", "--json")).stdout) == {"token": TOKEN}
    missing = await invoke(tmp_path, "token", AGENTSPACE_TOKEN="")
    assert missing.exit_code == 2
    assert missing.stdout == ""


async def test_the_schema_is_json(tmp_path: Path) -> None:
    """What is printed is an AsyncAPI document, or one JSON Schema of all messages."""
    document = json.loads((await invoke(tmp_path, "schema")).stdout)
    assert document["asyncapi"].startswith("3.")
    line = (await invoke(tmp_path, "schema", "--json")).stdout
    assert line.count("\n") == 1
    assert json.loads(line) == document
    messages = json.loads((await invoke(tmp_path, "schema", "--json-schema")).stdout)
    assert messages["$defs"].keys() == document["components"]["schemas"].keys()


async def test_a_machine_without_a_keyring_is_told_what_else_there_is(tmp_path: Path) -> None:
    """Keeping a key fails with one line, the alternatives and exit code 2, without the key."""
    for arguments in (["add", "anthropic", "--stdin"], ["remove", "anthropic"]):
        result = await invoke(tmp_path, "keys", *arguments, stdin="sk-secret\n")
        assert result.exit_code == 2
        assert "ANTHROPIC_API_KEY" in result.stderr
        assert "sk-secret" not in result.output


MEMORY = """
from keyring.backend import KeyringBackend

class Memory(KeyringBackend):
    priority = 1
    kept = {}

    def get_password(self, service, username):
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self.kept[service, username] = password

    def delete_password(self, service, username):
        del self.kept[service, username]
"""


def test_keeping_a_key_tells_a_program_what_is_in_use(tmp_path: Path) -> None:
    """As JSON the answer is that of `keys list`, without a key."""
    (tmp_path / "memory_keyring.py").write_text(MEMORY)
    program = (
        "import sys; from gateway.cli.main import agentspace\n"
        "for words in (['add', '--stdin'], ['remove']):\n"
        "    agentspace.main(['keys', *words, '--json'], standalone_mode=False)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **environ_of(tmp_path),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
            "PYTHON_KEYRING_BACKEND": "memory_keyring.Memory",
        },
        input="sk-secret\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    added, removed = map(json.loads, done.stdout.splitlines())
    assert [source["wins"] for source in added] == [False, False, True]
    assert not any(source["wins"] for source in removed)
    assert "sk-secret" not in done.stdout


async def test_a_key_is_never_an_argument(tmp_path: Path) -> None:
    """A key on the command line is refused: it would be in the shell's history."""
    assert (await invoke(tmp_path, "keys", "add", "anthropic", "sk-secret")).exit_code == 2


async def test_the_list_of_keys_says_which_one_wins(tmp_path: Path) -> None:
    """Sources are listed, keys are not."""
    result = await invoke(tmp_path, "keys", "list", ANTHROPIC_API_KEY="sk-secret")
    assert "in use" in result.stdout
    assert "sk-secret" not in result.output
    as_json = await invoke(tmp_path, "keys", "list", "--json", ANTHROPIC_API_KEY="sk-secret")
    assert [one["wins"] for one in json.loads(as_json.stdout)] == [True, False, False]
    assert "sk-secret" not in as_json.output


async def test_a_key_is_tried_with_a_request_that_costs_nothing(tmp_path: Path) -> None:
    """`keys test` asks for the models; a provider that cannot be reached is one line."""
    async with open_simulator() as simulator:
        works = await invoke(
            tmp_path,
            "keys",
            "test",
            ANTHROPIC_API_KEY="sk-any",
            AGENTSPACE_ANTHROPIC_BASE_URL=simulator.url,
        )
        as_json = await invoke(
            tmp_path,
            "keys",
            "test",
            "--json",
            ANTHROPIC_API_KEY="sk-any",
            AGENTSPACE_ANTHROPIC_BASE_URL=simulator.url,
        )
        assert all(request.path.startswith("/v1/models") for request in simulator.requests)
    told = json.loads(as_json.stdout)
    assert told["source"] == "environment"
    assert "claude-sonnet-5-5" in told["models"]
    assert works.exit_code == 0
    assert "works" in works.stdout
    fails = await invoke(
        tmp_path,
        "keys",
        "test",
        ANTHROPIC_API_KEY="sk-any",
        AGENTSPACE_ANTHROPIC_BASE_URL="http://127.0.0.1:9",
    )
    assert fails.exit_code == 1
    assert len(fails.stderr.splitlines()) == 1


async def test_without_a_key_there_is_nothing_to_try(tmp_path: Path) -> None:
    """`keys test` without a key says how to give one."""
    result = await invoke(tmp_path, "keys", "test", ANTHROPIC_API_KEY="")
    assert result.exit_code == 2
    assert "agentspace keys add anthropic" in result.stderr


@pytest.mark.parametrize("name", sorted(COMMANDS))
async def test_every_command_has_a_short_help(tmp_path: Path, name: str) -> None:
    """Help fits a screen of 80 columns; but for the simulator's directives and all the settings."""
    result = await invoke(tmp_path, name, "--help", COLUMNS="80")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert len(result.stdout.partition("\nDirectives")[0].splitlines()) < 50 or name == "serve"
    assert max(len(line) for line in lines) <= 80


async def test_a_piped_line_is_answered(tmp_path: Path) -> None:
    """`echo hi | agentspace chat` prints the answer, bills on stderr, and exits 0."""
    async with open_world(tmp_path) as world:
        done = await trio.run_process(
            [*RUN, "chat", "--url", world.url],
            stdin=b"hello\n",
            capture_stdout=True,
            capture_stderr=True,
            env=environ_of(tmp_path),
        )
    assert done.stdout.startswith(b"Hello!")
    assert b"claude-sonnet-5-5 \xc2\xb7 " in done.stderr
    assert b"claude-sonnet-5-5" not in done.stdout


async def test_the_simulator_says_where_it_is_and_ends_when_told(tmp_path: Path) -> None:
    """One line of JSON on stdout; SIGTERM ends it with exit code 0."""
    run = partial(
        trio.run_process,
        [*RUN, "simulate", "--port", "0"],
        stdout=subprocess.PIPE,
        env=environ_of(tmp_path),
    )
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(run)
        assert process.stdout is not None
        with trio.fail_after(20):
            line = await process.stdout.receive_some()
        ready = json.loads(line)
        assert ready["type"] == "simulator.ready"
        assert ready["url"].startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


async def test_a_reader_that_has_seen_enough_hears_no_complaint(tmp_path: Path) -> None:
    """`agentspace schema | head -1` writes nothing to stderr."""
    script = f"'{sys.executable}' -c 'from gateway.cli import main; main()' schema | head -1"
    done = await trio.run_process(
        ["/bin/sh", "-c", script],
        capture_stdout=True,
        capture_stderr=True,
        env=environ_of(tmp_path),
    )
    assert done.stdout == b"{\n"
    assert done.stderr == b""
