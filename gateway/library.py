"""The agents' folders: memory and skills, read as they are on disk now.

`agents/{agentId}/memory.md`, or every `*.md` in `agents/{agentId}/memory/` in the order of their
names; `agents/{agentId}/skills/*/SKILL.md`, of which the front matter gives name and description.
"""

from __future__ import annotations

import logging
from pathlib import Path

import trio
import yaml

from actors.ports import AgentFiles, Skill

log = logging.getLogger(__name__)

LONGEST_FILE = 256 * 1024
"""Bytes read of one file; the rest is left out."""

NOTHING = AgentFiles(memory="", skills=())
_FENCE = "---"


class FolderLibrary:
    """`actors.ports.Library` on a folder of agents."""

    def __init__(self, agents: Path) -> None:
        self._agents = agents

    async def read(self, agent_id: str) -> AgentFiles:
        """The agent's memory and skills; empty when it has no folder."""
        if not (self._agents / agent_id).exists():  # one stat costs less than a thread
            return NOTHING
        return await trio.to_thread.run_sync(self._read, agent_id)

    def _read(self, agent_id: str) -> AgentFiles:
        folder = self._agents / agent_id
        if not _inside(folder, self._agents):
            return NOTHING
        return AgentFiles(memory=_memory(folder), skills=tuple(_skills(folder)))


def _memory(folder: Path) -> str:
    files = [folder / "memory.md", *sorted((folder / "memory").glob("*.md"))]
    texts = [_text(file).strip() for file in files if _inside(file, folder)]
    return "\n\n".join(text for text in texts if text)


def _skills(folder: Path) -> list[Skill]:
    files = sorted((folder / "skills").glob("*/SKILL.md"))
    found = [_skill(file) for file in files if _inside(file, folder)]
    return [skill for skill in found if skill is not None]


def _skill(file: Path) -> Skill | None:
    start, _, rest = _text(file).partition("\n")
    front, closed, _ = rest.partition(f"\n{_FENCE}")
    if start.strip() != _FENCE or not closed:
        log.warning("the skill %s has no front matter and is left out", file.parent.name)
        return None
    try:
        fields = yaml.safe_load(front)
        name, description = str(fields["name"]), str(fields["description"])
    except (yaml.YAMLError, KeyError, TypeError):
        log.warning("the skill %s names no name and description", file.parent.name)
        return None
    return Skill(name=name.strip(), description=" ".join(description.split()))


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(LONGEST_FILE).decode(errors="replace")
    except OSError as error:
        log.warning("%s cannot be read: %s", file.name, error.strerror)
        return ""


def _inside(path: Path, folder: Path) -> bool:
    """Whether `path`, links followed, exists within `folder`."""
    try:
        return path.resolve(strict=True).is_relative_to(folder.resolve())
    except OSError:
        return False
