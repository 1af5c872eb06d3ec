"""Lets a script run with the project's own Python, whichever Python it was started with."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
NEEDED = ("click", "msgspec", "trio")


def take_own_python() -> None:
    """Start the script anew with the Python of `.venv`, unless this one has what it needs.

    `.venv` is made first if it is missing. Any Python 3 can run this module. Raises SystemExit with
    the exit code of `scripts/setup`, which has said in a line what it lacks.
    """
    if Path(sys.prefix) == VENV or all(find_spec(name) for name in NEEDED):
        return
    code = subprocess.run([str(ROOT / "scripts" / "setup"), "dev"], check=False).returncode
    if code:
        raise SystemExit(code)
    python = str(VENV / "bin" / "python")
    os.execv(python, [python, *sys.argv])
