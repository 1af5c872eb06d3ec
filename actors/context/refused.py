"""Tools that the provider has refused, whatever it is that it did not like.

A tool is refused as it is defined: one with another description or schema is another. They are
remembered until the process ends, for all sessions; a tool that is refused again costs one turn.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from actors.context.toolset import Toolset
from protocol.announcing import Definition
from protocol.tools import LeftOutTool, OfferedTool

MOST = 1_000
"""Tools that are remembered."""

_encode = msgspec.json.Encoder(order="sorted").encode


class RefusedTools:
    """What of the tools is not sent any more."""

    def __init__(self) -> None:
        self._marks: OrderedDict[bytes, LeftOutTool] = OrderedDict()

    def add(self, definition: Definition, mark: LeftOutTool) -> None:
        """The provider has refused a tool."""
        self._marks[_digest_of(definition)] = mark
        if len(self._marks) > MOST:
            self._marks.popitem(last=False)

    def any_of(self, definitions: Iterable[Definition]) -> bool:
        """Whether there is a refused one among these."""
        return bool(self._marks) and any(self._has(tool) for tool in definitions)

    def without(self, toolset: Toolset) -> Toolset:
        """The tools that can be sent."""
        if not self.any_of(toolset.definitions):
            return toolset
        kept = [tool for tool in toolset.definitions if not self._has(tool)]
        names = {tool["name"] for tool in kept}
        return Toolset(
            definitions=kept,
            rules=[rule for rule in toolset.rules if rule.name in names],
            client_names=[name for name in toolset.client_names if name in names],
        )

    def marks(self, offered: Sequence[OfferedTool]) -> list[LeftOutTool]:
        """The marks of those that are on offer, as they are now."""
        if not self._marks:
            return []
        digests = (_digest(tool.name, tool.description, tool.input_schema) for tool in offered)
        return [self._marks[digest] for digest in digests if digest in self._marks]

    def _has(self, tool: Definition) -> bool:
        return _digest_of(tool) in self._marks


def _digest_of(tool: Definition) -> bytes:
    """Of what the tool itself is: how a request has it, with a breakpoint say, is not of it."""
    return _digest(tool.get("name"), tool.get("description"), tool.get("input_schema"))


def _digest(*own: Any) -> bytes:
    return hashlib.sha256(_encode(own)).digest()
