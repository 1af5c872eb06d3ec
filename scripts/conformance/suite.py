"""The Autobahn testsuite: a program for Python 2.7, installed once from pinned versions."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scripts.benchmark.installed import MissingTarget, installing, made, run_in

PINS: Final = Path(__file__).parent / "requirements.txt"
VIRTUALENV: Final = "virtualenv==20.21.1"
"""The last one that makes environments of Python 2.7."""

_ASKED: Final = "import sys; print('%d.%d' % sys.version_info[:2])"


def suite(python: Path | None) -> Path:
    """The suite's program `wstest`; it is installed when it is not there.

    `python` is a Python 2.7, which is looked for when it is `None`. Raises MissingTarget when there
    is none, or when the packages cannot be had.
    """
    chosen = next((one for one in ([python] if python else _pythons()) if _is_python_2(one)), None)
    if chosen is None:
        raise MissingTarget(
            f"{python} is no Python 2.7, which the Autobahn testsuite needs."
            if python
            else "The Autobahn testsuite needs Python 2.7, and this machine has none that is found "
            "as python2.7 or python2, or among pyenv's. Say where it is: --python PATH"
        )

    def install(folder: Path) -> None:
        venv.create(folder, with_pip=True, clear=True)
        run_in(folder, [*installing(folder), VIRTUALENV])
        environment, own = folder / "suite", str(folder / "bin" / "python")
        run_in(folder, [own, "-m", "virtualenv", "--quiet", "-p", str(chosen), str(environment)])
        run_in(folder, [*installing(environment), "-r", str(PINS)])

    key = PINS.read_bytes() + VIRTUALENV.encode() + str(chosen).encode()
    return made("autobahn", key, install) / "suite" / "bin" / "wstest"


def _pythons() -> Iterator[Path]:
    """Where a Python 2.7 may be."""
    for name in ("python2.7", "python2"):
        if found := shutil.which(name):
            yield Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob("versions/2.7*/bin/python2.7"))


def _is_python_2(python: Path) -> bool:
    """Whether it runs, and is a 2.7: pyenv has names on the path for versions that are not on."""
    try:
        asked = subprocess.run([python, "-c", _ASKED], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return asked.stdout.strip() == "2.7"
