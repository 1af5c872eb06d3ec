"""The agents' folders, read anew when something in them has changed, and only then.

Problem: what is on disk counts at the very next request, but reading all of it for every request
would cost more than the request. Trick: each request takes the stamps (inode, size, times) of every
file and folder involved, and reads when one differs from those of the last reading. A file system's
clock is coarse: two writes within one of its ticks leave one stamp. So a reading counts as settled
only when the youngest change was a while ago by then; until that, everything is read again.

A file that cannot be read just now counts as unchanged, if it was read before: to tell the model
that its memory is empty would be to say what nobody knows.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import trio

from actors.ports import AgentFiles
from gateway.library.confined import ConfinedFolder, Refused, Stamp, Unreadable, shown
from gateway.library.memory import read_memory
from gateway.library.skills import (
    BODY,
    SkillFolder,
    SkillPage,
    read_body,
    read_file,
    read_skills,
)

log = logging.getLogger(__name__)

NOTHING = AgentFiles(memory="", skills=())

SETTLE_NS = 2_000_000_000
"""How old the youngest change must be before a reading is trusted: FAT counts in 2 s."""

MOST_KEPT = 256
"""Agents whose last reading is kept."""


class Scan(msgspec.Struct, frozen=True):
    """What is there to be read, and in which state."""

    memory: tuple[str, ...]
    skills: tuple[str, ...]
    stamps: tuple[tuple[str, Stamp | None], ...]
    warnings: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    """What could not be looked at just now, for a person."""

    @property
    def changed(self) -> int:
        """When the youngest change was, in ns since the epoch."""
        return max((stamp.changed for _, stamp in self.stamps if stamp), default=0)


class Reading(msgspec.Struct, frozen=True):
    """What an agent's folder held when it had these stamps."""

    folder: str
    scan: Scan
    settled: bool
    files: AgentFiles
    skills: tuple[SkillFolder, ...]
    warnings: tuple[str, ...]


class FolderLibrary:
    """`actors.ports.Library` on a folder of agents; `memory_bytes` bounds an agent's memory."""

    def __init__(
        self,
        agents: Path,
        *,
        memory_bytes: int = 65_536,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._agents = agents
        self._memory_bytes = memory_bytes
        self._clock = clock
        self._readings: dict[str, Reading] = {}

    async def read(self, agent_id: str) -> AgentFiles:
        """The agent's memory and skills as they are on disk now; empty when it has no folder."""
        reading = await self._current(agent_id)
        return NOTHING if reading is None else reading.files

    async def read_skill(
        self, agent_id: str, name: str, file: str | None = None, *, limit: int
    ) -> SkillPage:
        """A skill's body, or a further file of it, at most `limit` bytes. Raises Refused."""
        reading = await self._current(agent_id)
        for skill in () if reading is None else reading.skills:
            if skill.skill.name == name and reading is not None:
                return await trio.to_thread.run_sync(
                    _read_page, ConfinedFolder(reading.folder), skill.folder, file, limit
                )
        raise Refused(f"there is no skill {shown(name)}")

    async def _current(self, agent_id: str) -> Reading | None:
        path = f"{self._agents}{os.sep}{agent_id}"
        there = os.path.lexists(path)  # noqa: ASYNC240 - one stat costs less than a thread
        if not there or not _is_name(agent_id):
            self._readings.pop(agent_id, None)
            return None
        last = self._readings.get(agent_id)
        reading = await trio.to_thread.run_sync(self._read, Path(path), last)
        self._keep(agent_id, reading)
        return reading

    def _keep(self, agent_id: str, reading: Reading) -> None:
        """Remember a reading, and say what is new in its warnings: once, not at each request."""
        last = self._readings.pop(agent_id, None)
        for warning in reading.warnings:
            if last is None or warning not in last.warnings:
                log.warning("agent %s: %s", agent_id, warning)
        self._readings[agent_id] = reading
        if len(self._readings) > MOST_KEPT:
            del self._readings[next(iter(self._readings))]

    def _read(self, path: Path, last: Reading | None) -> Reading:
        now = self._clock()
        try:
            folder = _agent_folder(path)
        except Refused as error:
            return _refused(str(error))
        scan = _scan(folder)
        if last is not None and last.settled and (last.folder, last.scan) == (folder.real, scan):
            return last
        if last is not None and scan.unknown:
            unchanged = tuple(f"{one}; all counts as unchanged" for one in scan.unknown)
            return msgspec.structs.replace(last, settled=False, warnings=unchanged)
        memory = read_memory(folder, scan.memory, self._memory_bytes)
        skills = read_skills(folder, scan.skills)
        text, found = memory.text, skills.found
        if last is not None and not memory.is_known:
            text = last.files.memory
        if last is not None and not skills.is_known:
            found = last.skills
        is_known = memory.is_known and skills.is_known and not scan.unknown
        left_out = tuple(f"{one}; it is left out" for one in scan.unknown)
        return Reading(
            folder=folder.real,
            scan=scan,
            settled=is_known and scan.changed + SETTLE_NS < now,
            files=AgentFiles(memory=text, skills=tuple(skill.skill for skill in found)),
            skills=found,
            warnings=(*scan.warnings, *left_out, *memory.warnings, *skills.warnings),
        )


def _is_name(agent_id: str) -> bool:
    """Whether it names a folder beside the others, and nothing else."""
    separators = {"/", "\0", os.sep, os.altsep or os.sep}
    return (
        agent_id.isprintable()
        and agent_id not in {"", ".", ".."}
        and not (separators & set(agent_id))
    )


def _agent_folder(path: Path) -> ConfinedFolder:
    """The agent's folder. Raises Refused when it is elsewhere than among the agents' folders."""
    try:
        agents, real = path.parent.resolve(strict=True), path.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise Refused("its folder cannot be found") from error
    if agents not in real.parents:
        raise Refused("its folder leads out of the agents' folders")
    return ConfinedFolder(str(real))


def _scan(folder: ConfinedFolder) -> Scan:
    warnings: list[str] = []
    unknown: list[str] = []

    def stamp(name: str) -> Stamp | None:
        try:
            return folder.stamp(name)
        except Unreadable as error:
            unknown.append(str(error))
            return None

    notes = [
        f"memory/{name}" for name in _list(folder, "memory", warnings, unknown) if _is_note(name)
    ]
    found = [f"skills/{name}" for name in _list(folder, "skills", warnings, unknown)]
    stamps = {name: stamp(name) for name in (".", "memory", "skills", *found)}
    stamps |= {name: stamp(name) for name in ("memory.md", *notes)}
    stamps |= {f"{name}/{BODY}": stamp(f"{name}/{BODY}") for name in found}
    return Scan(
        memory=tuple(name for name in ("memory.md", *notes) if stamps[name]),
        skills=tuple(name for name in found if stamps[f"{name}/{BODY}"]),
        stamps=tuple(stamps.items()),
        warnings=tuple(warnings),
        unknown=tuple(unknown),
    )


def _is_note(name: str) -> bool:
    return name.endswith(".md")


def _list(folder: ConfinedFolder, name: str, warnings: list[str], unknown: list[str]) -> list[str]:
    try:
        return folder.names(name)
    except Unreadable as error:
        unknown.append(str(error))
    except Refused as error:
        warnings.append(f"{error}; it is left out")
    return []


def _refused(warning: str) -> Reading:
    nothing = Scan(memory=(), skills=(), stamps=(), warnings=())
    return Reading(
        folder="", scan=nothing, settled=False, files=NOTHING, skills=(), warnings=(warning,)
    )


def _read_page(folder: ConfinedFolder, name: str, file: str | None, limit: int) -> SkillPage:
    if file is None:
        return read_body(folder, name, limit)
    return read_file(folder, name, file, limit)
