"""A test that never ends is stopped, and its stack is shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

SPINNING = """\
import re

def test_spins() -> None:
    re.fullmatch("(a+)+b", "a" * 60)
"""
"""It lets no other thread and no signal's Python code run, as a loop in Python would."""


def test_a_test_that_spins_ends_the_run_and_is_named(tmp_path: Path) -> None:
    """With the project's own settings, but a shorter limit."""
    spinning = tmp_path / "test_spinning.py"
    spinning.write_text(SPINNING)
    command = [sys.executable, "-m", "pytest", f"--rootdir={ROOT}", f"-c{ROOT / 'pyproject.toml'}"]
    done = subprocess.run(
        [*command, "-pno:cacheprovider", "-ofaulthandler_timeout=0.5", str(spinning)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "Timeout (0:00:00.5" in done.stderr
    assert "in test_spins" in done.stderr


def test_every_test_has_a_limit(pytestconfig: pytest.Config) -> None:
    """One that the slowest of them is far from."""
    assert pytestconfig.getini("faulthandler_exit_on_timeout")
    assert float(pytestconfig.getini("faulthandler_timeout")) >= 60
