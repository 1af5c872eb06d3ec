"""Tests the installed product on every Python of this machine.

Each gets the wheel and its locked dependencies in an environment of its own, and then
`tests/test_anywhere.py` talks to it from outside; that runs on this Python, which has pytest. The
next environment is made while the last one is tested. `scripts/test_pythons` calls this.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
SUITE = ROOT / "tests" / "test_anywhere.py"
ASK_SECONDS = 20.0
INSTALL_SECONDS = 600.0
TEST_SECONDS = 900.0

WHO = """
import os, sys, sysconfig
usual = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
final = sys.version_info.releaselevel == "final"
print("%d.%d.%d" % sys.version_info[:3], os.path.realpath(sys.executable), usual and final)
"""


class Interpreter(NamedTuple):
    """A Python of this machine."""

    version: tuple[int, ...]
    path: str

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.version))} {self.path}"


def candidates() -> Iterator[Path]:
    """Whatever may be a Python: on the PATH, in the system's folders, under pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    system = map(Path, (*os.get_exec_path(), "/usr/bin", "/usr/local/bin"))
    for folder in dict.fromkeys((*system, *pyenv.glob("versions/*/bin"))):
        yield from sorted(folder.glob("python3*"))


def interpreter(path: Path) -> Interpreter | None:
    """What is at `path`, unless that is no released CPython."""
    try:
        answer = subprocess.run(
            [path, "-I", "-c", WHO],
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
            check=True,
        )
        version, where, usual = answer.stdout.split()
    except (OSError, ValueError, subprocess.SubprocessError):
        return None  # `python3-config`, or pyenv's shim of a version that is not chosen
    found = Interpreter(tuple(map(int, version.split("."))), where)
    return found if usual == "True" else None


def promised() -> set[tuple[int, ...]]:
    """The versions that the package says it runs on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = (line.rpartition(":: ") for line in project["classifiers"])
    return {
        tuple(map(int, version.split(".")))
        for kind, _, version in lines
        if kind.startswith("Programming Language :: Python ") and "." in version
    }


def interpreters(paths: Iterable[Path]) -> list[Interpreter]:
    """Each Python of a promised version once, the oldest first."""
    found = {one for one in map(interpreter, paths) if one is not None}
    return sorted(one for one in found if one.version[:2] in promised())


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout."""
    check([Path(sys.executable).parent / "hatchling", "build", "-t", "wheel", "-d", folder])
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(python: Interpreter, wheel: Path, folder: Path) -> Path:
    """The interpreter of a new environment that has the wheel.

    This Python's pip installs into it: Debian's Pythons may lack `ensurepip`.
    """
    made = Path(mkdtemp(dir=folder))
    check([python.path, "-m", "venv", "--without-pip", made])
    there = made / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")
    for what in (["--require-hashes", "-r", ROOT / "requirements.lock"], [wheel]):
        check([*pip, "--python", there, "install", "--no-deps", *what])
    return there


def check(command: Sequence[str | Path]) -> None:
    """Run `command`. Raises CalledProcessError with what it said."""
    subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=INSTALL_SECONDS,
        check=True,
    )


def examine(installing: Future[Path]) -> tuple[bool, str]:
    """Run the suite against an installation: whether it passed, and what was printed."""
    try:
        python = installing.result()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider", SUITE],
            cwd=ROOT,
            env={**os.environ, "TESTED_PYTHON": str(python)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TEST_SECONDS,
            check=False,
        )
    except subprocess.CalledProcessError as failed:
        return False, f"{failed.stdout}\nthe wheel could not be installed"
    except subprocess.TimeoutExpired as late:
        return False, str(late)
    return done.returncode == 0, done.stdout.strip()


def main(arguments: list[str]) -> int:
    """Test each Python, or those that are named; the exit code."""
    pythons = interpreters(map(Path, arguments) if arguments else candidates())
    if not pythons:
        print(f"No Python of {min(promised())} to {max(promised())} was found.", file=sys.stderr)
        return 2
    failed = 0
    with TemporaryDirectory(prefix="pythons-") as made, ThreadPoolExecutor(1) as installer:
        folder = Path(made)
        wheel = build_wheel(folder)
        installed = [installer.submit(install, python, wheel, folder) for python in pythons]
        for python, environment in zip(pythons, installed, strict=True):
            passed, report = examine(environment)
            if not passed:
                failed += 1
                print(report)
            print(python, report.splitlines()[-1], flush=True)
    print(f"Pythons: {len(pythons) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
