"""What the model has been told, what it is to know now, and the difference as a `system` entry.

A briefing holds the texts of the system prompt's sections, and the tools by name. *Told* is the
briefing from an epoch's head and from every `system` entry that is sent after it. *Wanted* is the
briefing from the session, the agent's files and the settings as they are now. Changes are found in
one place only, `changes(told, wanted)`. The result is sent once, as one entry after the question.
Nothing that was sent before is touched.

Rules of the provider (its page on system messages and tool changes in a conversation):

- a later text overrules an earlier one;
- a definition replaces the tool of the same name; a tool of another kind must never take that
  name (the page does not say what holds once the first is removed: this is the strict reading).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from protocol.context import SectionName
from protocol.provider.content import Block
from protocol.provider.features import EAGER
from protocol.records import Announced, Entry, Head

Definition = dict[str, Any]
"""A tool as the provider takes it, without a breakpoint of its cache."""

TEXT_SECTIONS: tuple[SectionName, ...] = ("system_prompt", "response_format", "memory", "skills")
"""The sections of the system prompt, in the order in which they are sent."""

_SUBJECTS: dict[SectionName, str] = {
    "system_prompt": "Your general instructions",
    "response_format": "The rules for the format of your answers",
    "memory": "Your memory",
    "skills": "The list of your skills",
}
_plural = ("system_prompt", "response_format")

_encode = msgspec.json.Encoder().encode
_decode_blocks = msgspec.json.Decoder(list[Block]).decode
decode_tools = msgspec.json.Decoder(list[Definition]).decode


class Piece(NamedTuple):
    """One block of a `system` entry, and the section that it changes."""

    section: SectionName
    block: Block


class Briefing:
    """The texts by section, without blank ones, and the tools by name, as a request orders them."""

    def __init__(self, texts: Mapping[SectionName, str], tools: Iterable[Definition]) -> None:
        self.texts = {name: text for name, text in texts.items() if text}
        self.tools = {str(tool["name"]): tool for tool in tools}
        self.kinds = {name: _kind(tool) for name, tool in self.tools.items()}
        """The kind of every tool that was ever told, removed ones included."""
        self.superseded: dict[SectionName, int] = {}
        """By section, the UTF-8 bytes that a later announcement has replaced."""
        self._sizes: dict[str, int] = {}

    @classmethod
    def of(cls, head: Head) -> Briefing:
        """The briefing of a head."""
        told = cls(dict(head.system), decode_tools(head.tools))
        told._sizes = {name: len(text.encode()) for name, text in head.system}
        told._sizes |= {f"tool {name}": len(_encode(tool)) for name, tool in told.tools.items()}
        return told

    def fold(self, entry: Entry) -> None:
        """Take in a `system` entry."""
        for announced, block in zip(entry.sections, _decode_blocks(entry.content), strict=True):
            self._fold(announced, block)

    def _fold(self, announced: Announced, block: Block) -> None:
        key: str = announced.section
        match block:
            case {"type": "text", "text": str(text)}:
                self.texts[announced.section] = _told_text(announced.section, text)
            case {"type": "tool_addition", "tool": {"definition": dict(tool)}}:
                name = str(tool["name"])
                self.tools[name] = tool
                self.kinds[name] = _kind(tool)
                key = f"tool {name}"
            case _:
                name = str(block["tool"]["name"])
                self.tools.pop(name, None)
                key = f"tool {name}"
        before = self._sizes.get(key, 0)
        self.superseded[announced.section] = self.superseded.get(announced.section, 0) + before
        self._sizes[key] = announced.byte_count

    @property
    def has_served_tools(self) -> bool:
        """Whether the provider runs one of the tools that are on offer."""
        return any(self.kinds[name] != "custom" for name in self.tools)

    @property
    def system(self) -> tuple[tuple[SectionName, str], ...]:
        """The texts in the order in which a head has them."""
        return tuple((name, self.texts[name]) for name in TEXT_SECTIONS if self.texts.get(name))

    @property
    def definitions(self) -> bytes:
        """The tools as a JSON list, in the order in which a head has them."""
        return _encode([*self.tools.values()])


def changes(told: Briefing, wanted: Briefing) -> list[Piece] | None:
    """What to announce to a model that knows `told`, so that it knows `wanted`.

    `None` if that is impossible, because a tool has the name of a tool of another kind.
    """
    if any(told.kinds.get(name, kind) != kind for name, kind in wanted.kinds.items()):
        return None
    pieces = [
        Piece("tools", {"type": "tool_removal", "tool": {"type": "tool_reference", "name": name}})
        for name in told.tools
        if name not in wanted.tools
    ]
    pieces += [
        Piece("tools", {"type": "tool_addition", "tool": _defined(tool)})
        for name, tool in wanted.tools.items()
        if name not in told.tools or _essence(told.tools[name]) != _essence(tool)
    ]
    pieces += [
        Piece(name, {"type": "text", "text": _announced(name, wanted.texts.get(name, ""))})
        for name in TEXT_SECTIONS
        if told.texts.get(name, "") != wanted.texts.get(name, "")
    ]
    return pieces


def _essence(tool: Definition) -> Definition:
    """A definition without what changes nothing about the tool.

    Whether the field `EAGER` counts in a prefix check no page says, so it stays as it was told: a
    tool that was told without it is not announced anew to have it, and new definitions have it.
    """
    return {name: value for name, value in tool.items() if name != EAGER}


def _defined(tool: Definition) -> dict[str, Any]:
    return {"type": "tool_definition", "definition": tool}


def _kind(tool: Definition) -> str:
    return str(tool.get("type", "custom"))


def _announced(section: SectionName, text: str) -> str:
    if not text:
        return _withdrawn(section)
    return _heading(section) + text


def _told_text(section: SectionName, text: str) -> str:
    return "" if text == _withdrawn(section) else text.removeprefix(_heading(section))


# An inspection shows a section's texts one after another: the line ends keep them apart.
def _heading(section: SectionName) -> str:
    have, it = ("have", "them") if section in _plural else ("has", "it")
    return (
        f"\n\n{_SUBJECTS[section]} {have} changed. What follows replaces all that was said of {it} "
        "before.\n\n"
    )


def _withdrawn(section: SectionName) -> str:
    are, it = ("are", "them") if section in _plural else ("is", "it")
    return f"\n\n{_SUBJECTS[section]} {are} withdrawn: what was said of {it} before counts no more."
