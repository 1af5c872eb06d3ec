"""The tools that the gateway runs itself: `read_skill`, and those of a further source."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from actors.ports import AgentFiles, Skill
from gateway.library import FolderLibrary, Refused, SkillPage
from protocol.tools import READ_SKILL, LeftOutTool, OfferedTool, ToolAnswer

_ABOUT = (
    "Load the full instructions of one of your skills. Use it before you begin with a task that "
    "the description of a skill fits; a skill's name and description alone are not enough to "
    "follow it. The answer also lists the skill's further files: give one of them as `file` to "
    "read it."
)


class ToolSource(Protocol):
    """Whoever else has tools: MCP servers."""

    def offered(self) -> list[OfferedTool]:
        """What can be called now, in an order that changes only when the tools do."""
        ...

    def left_out(self) -> list[LeftOutTool]:
        """What cannot be offered, bounded."""
        ...

    def may_return(self, name: str) -> bool:
        """Whether a tool of this name may be on offer again."""
        ...

    def absent(self, name: str) -> str:
        """Why no tool of this name can be called, for the model."""
        ...

    async def call(self, name: str, args: dict[str, Any]) -> ToolAnswer:
        """Run one tool. A failure is an answer with `is_error`."""
        ...


class ReadSkill(msgspec.Struct, frozen=True):
    """The arguments of `read_skill`."""

    name: str
    file: str | None = None


class Toolbox:
    """`actors.ports.Tools`; `skill_bytes` bounds what one call of `read_skill` answers."""

    def __init__(
        self, library: FolderLibrary, source: ToolSource | None, *, skill_bytes: int = 65_536
    ) -> None:
        self._library = library
        self._source = source
        self._skill_bytes = skill_bytes

    def offered(self, files: AgentFiles) -> list[OfferedTool]:
        """`read_skill` for an agent that has skills, then what the source offers."""
        others = [] if self._source is None else self._source.offered()
        # The name is taken, whether or not the agent has skills: it always means the same.
        others = [tool for tool in others if tool.name != READ_SKILL]
        return [_read_skill(files.skills), *others] if files.skills else others

    def left_out(self) -> list[LeftOutTool]:
        """What the source cannot offer."""
        return [] if self._source is None else self._source.left_out()

    def may_return(self, name: str) -> bool:
        """Whether a tool of this name belongs to a server that is down just now."""
        return self._source is not None and name != READ_SKILL and self._source.may_return(name)

    def absent(self, name: str) -> str:
        """Why no tool of this name can be called: there is none, or its server is down."""
        if name == READ_SKILL or self._source is None:
            return f"There is no tool named {name}."
        return self._source.absent(name)

    async def call(self, agent_id: str, name: str, args: dict[str, Any]) -> ToolAnswer:
        """Run one tool; what goes wrong is told the model in the answer."""
        if name == READ_SKILL:
            return await self._call_read_skill(agent_id, args)
        if self._source is None:
            return ToolAnswer.failed(self.absent(name))
        return await self._source.call(name, args)

    async def _call_read_skill(self, agent_id: str, args: dict[str, Any]) -> ToolAnswer:
        try:
            wanted = msgspec.convert(args, ReadSkill)
        except msgspec.ValidationError as error:
            return ToolAnswer.failed(f"The arguments do not fit: {error}.")
        names = [skill.name for skill in (await self._library.read(agent_id)).skills]
        if wanted.name not in names:
            there = f"There are: {', '.join(names)}." if names else "There are none."
            return ToolAnswer.failed(f"There is no skill of this name. {there}")
        try:
            page = await self._library.read_skill(
                agent_id, wanted.name, wanted.file, limit=self._skill_bytes
            )
        except Refused as error:
            return ToolAnswer.failed(f"This cannot be read: {error}.")
        return ToolAnswer(content=_written(page))


def _read_skill(skills: tuple[Skill, ...]) -> OfferedTool:
    return OfferedTool(
        name=READ_SKILL,
        description=_ABOUT,
        input_schema={
            "type": "object",
            "properties": {
                "name": {
                    "type": "string",
                    "enum": [skill.name for skill in skills],
                    "description": "The skill's name.",
                },
                "file": {
                    "type": "string",
                    "description": "A further file of the skill, by its path as it was listed; "
                    "without it, the skill's instructions are read.",
                },
            },
            "required": ["name"],
        },
        approval="auto",
        risk="low",
    )


def _written(page: SkillPage) -> str:
    parts = [page.text]
    if page.left_out:
        parts.append(f"[This is not all of it: {page.left_out} bytes are left out.]")
    if page.files:
        more = ["- and more"] if page.more_files else []
        parts.append("\n".join(["Further files:", *(f"- {file}" for file in page.files), *more]))
    return "\n\n".join(part for part in parts if part) or "[It is empty.]"
