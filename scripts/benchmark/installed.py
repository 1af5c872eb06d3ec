"""Environments of what the gateway is compared with: made once, from pinned versions, outside git.

They live in the user's cache folder, one for each state of the file that pins the versions.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import platformdirs

HERE: Final = Path(__file__).parent
CACHE: Final = platformdirs.user_cache_path("agentspace-benchmark")
DONE: Final = "installed"


class MissingTarget(Exception):
    """A target cannot be measured on this machine; the text says why, for a person."""


def python_of(name: str) -> Path:
    """The Python of a target's own environment; it is made when it is not there.

    Raises MissingTarget when the packages cannot be had.
    """
    pins = HERE / name / "requirements.txt"

    def install(folder: Path) -> None:
        venv.create(folder, with_pip=True, clear=True)
        run_in(folder, [*installing(folder), "-r", str(pins)])

    key = pins.read_bytes() + sys.version.encode()
    return made(name, key, install) / "bin" / "python"


def installing(environment: Path) -> list[str]:
    """The command that installs into an environment without a word."""
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--quiet", "--no-input"]
    return [*pip, "--disable-pip-version-check", "install"]


def node_folder() -> Path:
    """A folder with the server for Node and its packages; MissingTarget without Node or npm."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise MissingTarget("this machine has no node with npm")
    files = [HERE / "node" / name for name in ("server.mjs", "package.json", "package-lock.json")]

    def install(folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in files:
            shutil.copy(file, folder)
        run_in(folder, ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"])

    return made("node", b"".join(file.read_bytes() for file in files), install)


def made(name: str, key: bytes, install: Callable[[Path], None]) -> Path:
    """The folder in the cache that `install` has filled; it is called once for each `key`.

    Raises what it raises.
    """
    folder = CACHE / f"{name}-{hashlib.sha256(key).hexdigest()[:12]}"
    with _locked(name):
        if not (folder / DONE).exists():
            install(folder)
            (folder / DONE).touch()
    return folder


@contextmanager
def _locked(name: str) -> Iterator[None]:
    """Two runs at once make one environment, not two halves."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_in(folder: Path, command: list[str]) -> None:
    """Run what installs something. Raises MissingTarget with the last line that it said."""
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        last = (ended.stderr.strip() or ended.stdout.strip()).rpartition("\n")[2]
        raise MissingTarget(f"its packages could not be installed: {last}")
