"""The machine that was measured on, and how busy others kept it."""

from __future__ import annotations

import os
import platform
import resource
import time
from pathlib import Path

import msgspec

TICKS = os.sysconf("SC_CLK_TCK")


class Machine(msgspec.Struct, frozen=True):
    """What a figure depends on besides the code. `load_before` is the average of a minute."""

    cores: int
    processor: str
    memory_gb: float
    python: str
    kernel: str
    load_before: float

    def line(self) -> str:
        """All of it, in one line for a person."""
        return (
            f"{self.cores} cores ({self.processor}), {self.memory_gb:.0f} GB, {self.python}, "
            f"{self.kernel}, load before: {self.load_before:.2f}"
        )


def this_machine() -> Machine:
    """A description of this one, now."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        processor=processor(Path("/proc/cpuinfo").read_text()),
        memory_gb=memory / 1e9,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        kernel=f"{platform.system()} {platform.release()}",
        load_before=os.getloadavg()[0],
    )


def processor(cpuinfo: str) -> str:
    """The model that the text of /proc/cpuinfo names, else the architecture."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name" and value.strip():
            return value.strip()
    return platform.machine()


def busy_seconds() -> float:
    """Seconds of all cores together that went to processes, or to other machines of this host."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, softirq, steal = (int(field) for field in fields[:8])
    return (user + nice + system + irq + softirq + steal) / TICKS


def our_seconds() -> float:
    """CPU seconds of this process, and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class Busy:
    """Watches how much CPU goes to processes that are not of this run."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._all, self._ours = busy_seconds(), our_seconds()

    def others(self) -> float:
        """The share of one core that they have used since; all of our children must have ended."""
        passed = time.monotonic() - self._began
        everything, ours = busy_seconds() - self._all, our_seconds() - self._ours
        return max(0.0, everything - ours) / max(passed, 1e-9)
