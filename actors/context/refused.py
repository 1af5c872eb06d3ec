"""Tools that the provider has refused, whatever it is that it did not like.

A tool is refused as it is defined: one with another description or schema is another. They are
remembered until the process ends, for all sessions; a tool that is refused again costs one turn.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import msgspec

from actors.context.toolset import Toolset
from protocol.announcing import Definition
from protocol.tools import LeftOutTool, OfferedTool

MOST = 1_000
"""Tools that are remembered."""

_Key = tuple[str, bytes]
"""A tool's name, and a hash of the rest."""

_encode = msgspec.json.Encoder(order="sorted").encode


class RefusedTools:
    """What of the tools is not sent any more."""

    def __init__(self) -> None:
        self._marks: OrderedDict[_Key, LeftOutTool] = OrderedDict()

    def add(self, definition: Definition, mark: LeftOutTool) -> None:
        """The provider has refused a tool."""
        self._marks[_key_of(definition)] = mark
        if len(self._marks) > MOST:
            self._marks.popitem(last=False)

    def any_of(self, definitions: Iterable[Definition]) -> bool:
        """Whether there is a refused one among these."""
        return bool(self._among(definitions))

    def without(self, toolset: Toolset) -> Toolset:
        """The tools that can be sent."""
        refused = self._among(toolset.definitions)
        if not refused:
            return toolset
        gone = {tool["name"] for tool in refused}
        return Toolset(
            definitions=[tool for tool in toolset.definitions if tool["name"] not in gone],
            rules=[rule for rule in toolset.rules if rule.name not in gone],
            client_names=[name for name in toolset.client_names if name not in gone],
        )

    def marks(self, offered: Sequence[OfferedTool]) -> list[LeftOutTool]:
        """The marks of those that are on offer, as they are now."""
        entries = [
            {"name": one.name, "description": one.description, "input_schema": one.input_schema}
            for one in offered
        ]
        return [self._marks[_key_of(tool)] for tool in self._among(entries)]

    def _among(self, definitions: Iterable[Definition]) -> list[Definition]:
        """The refused ones. Only a tool of such a name is looked at closely: it may be large."""
        if not self._marks:
            return []
        names = {name for name, _ in self._marks}
        return [
            tool for tool in definitions if tool["name"] in names and _key_of(tool) in self._marks
        ]


def _key_of(tool: Definition) -> _Key:
    """Of what the tool itself is: how a request has it, with a breakpoint say, is not of it."""
    own = tool.get("description"), tool.get("input_schema")
    return tool["name"], hashlib.sha256(_encode(own)).digest()
