"""A child process that says its port on stdout, and what a process has used."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

ROOT: Final = Path(__file__).resolve().parents[2]
QUIET_SECONDS: Final = 0.3
LONGEST_SETTLING: Final = 20.0
LONGEST_LOG: Final = 2_000


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its threads, those that have ended included.

    This is the process's own clock (see clock_getcpuclockid(3)): nanoseconds, where /proc counts
    in hundredths of a second. Raises OSError when the process is gone.
    """
    return time.clock_gettime((~pid << 3) | 2)


def resident_bytes(pid: int) -> int:
    """How much memory of a process is in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def settle(pid: int) -> None:
    """Wait until a process does next to nothing: what it loads after its start is then loaded."""
    limit = time.monotonic() + LONGEST_SETTLING
    while time.monotonic() < limit:
        before = cpu_seconds(pid)
        time.sleep(QUIET_SECONDS)
        if cpu_seconds(pid) - before < QUIET_SECONDS / 50:
            return


class Process:
    """A running child. Its first line on stdout is JSON with a `port` or a `url`."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        folder: Path = ROOT,
    ) -> None:
        began = time.perf_counter()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        kept = {key: value for key, value in os.environ.items() if not _is_ours(key)}
        self.child = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=kept | {"PYTHONPATH": str(ROOT)} | dict(environment or {}),
            cwd=folder,
        )
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        if not line:
            code = self.child.wait()
            raise SystemExit(f"{arguments[0]} has ended with {code} before it served: {self.log()}")
        said = json.loads(line)
        self.seconds_to_ready = time.perf_counter() - began
        self.port: int = said.get("port") or urlsplit(said["url"]).port or 0

    @property
    def pid(self) -> int:
        """The child's id."""
        return self.child.pid

    def log(self) -> str:
        """The end of what it has said on stderr."""
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - LONGEST_LOG))
        return self._log.read().decode(errors="replace").strip()

    def stop(self) -> None:
        """End it, and wait for that."""
        self.child.kill()
        self.child.communicate()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _is_ours(variable: str) -> bool:
    """Whether a setting of this machine's user would change what is measured."""
    if variable == "PYTHONDONTWRITEBYTECODE":  # each start would compile all that is not installed
        return True
    return variable.startswith(("AGENTSPACE_", "ANTHROPIC_")) or variable.lower().endswith("_proxy")
