"""`agentspace` as a shell runs it: processes, their output and their exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from click.testing import CliRunner

from gateway.cli.main import agentspace

SECONDS = 30
AGENTSPACE = [sys.executable, "-c", "from gateway.cli import main; main()"]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """An environment that knows of nothing outside `folder`."""
    return {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "AGENTSPACE_DATA_DIR": str(folder / "data"),
        "AGENTSPACE_CONFIG_DIR": str(folder / "config"),
        "COLUMNS": "120",
        **more,
    }


def run(
    folder: Path, *arguments: str, stdin: str | int = subprocess.DEVNULL, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; a text is piped into it, a number is a descriptor."""
    piped: dict[str, Any] = {"input": stdin} if isinstance(stdin, str) else {"stdin": stdin}
    done = subprocess.run(
        [*AGENTSPACE, *arguments],
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        **piped,
    )
    assert "Traceback" not in done.stderr
    return done


def call(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """As `run`, but in this process: the second that a new one imports for is saved.

    It is for commands of which only the words and the exit code matter.
    """
    with mock.patch.dict(os.environ, environment(folder, **more), clear=True):
        done = CliRunner().invoke(agentspace, arguments)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


@contextmanager
def serving(folder: Path, *arguments: str, **more: str) -> Iterator[Served]:
    """A gateway on a free port, as a process; it drains at the end unless it has ended."""
    port = () if "--port" in arguments or "AGENTSPACE_PORT" in more else ("--port", "0")
    with subprocess.Popen(
        [*AGENTSPACE, "serve", *port, *arguments],
        env=environment(folder, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield Served(process, json.loads(process.stdout.readline()))
        finally:
            process.kill()


class Served:
    """A gateway that runs; `log` is what it has said, once it was stopped."""

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, Any]) -> None:
        self.process = process
        self.url = str(ready["url"])
        self.log = ""

    def stop(self) -> int:
        """Let it drain; the exit code."""
        self.process.terminate()
        _, self.log = self.process.communicate(timeout=SECONDS)
        assert "Traceback" not in self.log
        return self.process.returncode
