"""What a shell completes."""

from __future__ import annotations

import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest
import trio

from gateway.cli.main import COMMANDS
from tests.shell import AGENTSPACE, environment, run
from tests.support import TOKEN, open_world


def offered(folder: Path, line: str, **more: str) -> list[str]:
    """What bash would offer at the end of this line."""
    words = line.split(" ")
    done = run(
        folder,
        _AGENTSPACE_COMPLETE="bash_complete",
        COMP_WORDS=line,
        COMP_CWORD=str(len(words) - 1),
        **more,
    )
    assert done.stderr == ""
    return [each.partition(",")[2] for each in done.stdout.splitlines() if each]


def test_commands_and_flags_are_completed(tmp_path: Path) -> None:
    """Those of commands inside of commands, too."""
    assert offered(tmp_path, "agentspace ") == list(COMMANDS)
    assert offered(tmp_path, "agentspace se") == ["serve", "sessions"]
    assert offered(tmp_path, "agentspace sessions ") == ["delete", "list", "show"]
    assert offered(tmp_path, "agentspace serve --log-level ") == [
        "debug",
        "info",
        "warning",
        "error",
    ]
    assert "--llm-idle-seconds" in offered(tmp_path, "agentspace serve --llm")


def test_no_command_is_imported_to_complete_its_name(tmp_path: Path) -> None:
    """A shell waits while this runs."""
    script = (
        "import sys; from gateway.cli.main import agentspace\n"
        "try:\n    agentspace.main(prog_name='agentspace')\n"
        "finally:\n    print(*sorted(sys.modules))"
    )
    done = subprocess.run(
        [AGENTSPACE[0], "-c", script],
        env=environment(
            tmp_path, _AGENTSPACE_COMPLETE="bash_complete", COMP_WORDS="agentspace ", COMP_CWORD="1"
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    modules = done.stdout.splitlines()[-1].split()
    assert "gateway.cli.main" in modules
    assert not {"trio", "rich", "anthropic", "gateway.cli.serve"} & set(modules)


async def test_sessions_are_completed_by_their_ids(tmp_path: Path) -> None:
    """Those of the running gateway; without one there are none, and no complaint."""
    async with open_world(tmp_path) as world:
        async with world.talk() as talk:
            session = str((await talk.ask("session.create", title="two\nlines"))["sessionId"])
        lines = [
            f"agentspace sessions show --url {world.url} sess",
            f"agentspace chat --url {world.url} --session sess",
            f"agentspace usage --url {world.url} --session ",
        ]
        for line in lines:
            complete = partial(offered, tmp_path, line, AGENTSPACE_TOKEN=TOKEN)
            found = await trio.to_thread.run_sync(complete)
            assert found == [session]
    assert offered(tmp_path, "agentspace sessions show ", AGENTSPACE_PORT="9") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_the_shell_reads(tmp_path: Path, shell: str) -> None:
    """Where the shell is here to read it."""
    done = run(tmp_path, "completion", shell)
    assert done.returncode == 0
    assert f"_AGENTSPACE_COMPLETE={shell}_complete" in done.stdout
    if (program := shutil.which(shell)) is not None:
        subprocess.run([program, "-n"], input=done.stdout, text=True, check=True)


def test_a_shell_that_is_unknown_is_refused(tmp_path: Path) -> None:
    """With the ones that are known."""
    done = run(tmp_path, "completion", "tcsh")
    assert done.returncode == 2
    assert "bash" in done.stderr
