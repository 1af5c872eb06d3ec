"""A script runs with the project's own Python, whichever it was started with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from scripts import own_python
from scripts.own_python import VENV, take_own_python


class Setup:
    """A `scripts/setup` that ends with `code`, and what is started after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: int = 0) -> None:
        self.code = code
        self.ran: list[Sequence[str]] = []
        monkeypatch.setattr(subprocess, "run", self._run)
        monkeypatch.setattr(os, "execv", lambda _, command: self.ran.append(command))
        monkeypatch.setattr(sys, "prefix", "/usr")
        monkeypatch.setattr(sys, "argv", ["scripts/bench", "--quick"])

    def _run(self, command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.ran.append(command)
        return subprocess.CompletedProcess(command, self.code)


def test_a_python_that_lacks_something_gives_way_to_the_own_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is set up first, if need be; the script's arguments stay the same."""
    setup = Setup(monkeypatch)
    monkeypatch.setattr(own_python, "NEEDED", ("msgspec", "not_installed_anywhere"))
    take_own_python()
    assert setup.ran == [
        [str(own_python.ROOT / "scripts" / "setup"), "dev"],
        [str(VENV / "bin" / "python"), "scripts/bench", "--quick"],
    ]


def test_a_setup_that_fails_has_said_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script ends with its exit code, and without a traceback."""
    setup = Setup(monkeypatch, code=1)
    monkeypatch.setattr(own_python, "NEEDED", ("not_installed_anywhere",))
    with pytest.raises(SystemExit) as ended:
        take_own_python()
    assert ended.value.code == 1
    assert len(setup.ran) == 1


def test_a_python_that_has_all_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in another environment, in which the tests run."""
    setup = Setup(monkeypatch)
    take_own_python()
    assert setup.ran == []


def test_the_own_python_never_starts_itself_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if it lacks something, which then is said by the import."""
    setup = Setup(monkeypatch)
    monkeypatch.setattr(sys, "prefix", str(VENV))
    monkeypatch.setattr(own_python, "NEEDED", ("not_installed_anywhere",))
    take_own_python()
    assert setup.ran == []
