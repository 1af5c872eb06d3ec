"""Takes the tools out of a list, and the blocks out of an answer, that MCP does not allow.

The SDK refuses a whole list for one tool that is not described as MCP demands; a server would lose
all its tools for the one. It refuses a whole answer for one block of a kind that it does not know;
the call would seem to have failed. What MCP allows is asked of the SDK itself, a tool or a block at
a time. The schema of a tool's output is taken out: it would only refuse answers that the model can
read. So is what only decorates a tool or a block, if it is odd.
"""

from __future__ import annotations

import json
from typing import Any, Final

from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCResponse
from mcp_types.methods import validate_server_result

from gateway.mcp.bounded import CUT, MOST_BLOCKS, MOST_TOOLS
from gateway.mcp.names import plain
from gateway.mcp.offers import left_out_tool
from gateway.mcp.settings import McpServer
from protocol.provider.json_schema import Unfit
from protocol.provider.tool_schema import of_an_object
from protocol.tools import LeftOutTool

OLD: Final = "2025-11-25"
"""The SDK holds all versions with a handshake against this one."""
NEW: Final = "2026-07-28"

_NEEDED: Final = ("name", "title", "description", "inputSchema", "annotations")
_HINTS: Final = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")
_DECORATION: Final = frozenset({"annotations", "icons", "_meta"})
"""Of a block; the model sees nothing of it."""
_ANSWERS: Final = frozenset({"content", "structuredContent"})
_LONGEST_KIND: Final = 60
_NO_TOOL: Final = "it is not described as MCP demands, with the schema of an object"


class Sift:
    """One connection's."""

    def __init__(self, server: McpServer) -> None:
        self._server = server
        self.left_out: dict[str, LeftOutTool] = {}
        """The tools that were left out, by name; whoever asks for a list clears it."""

    def clean(self, message: SessionMessage) -> None:
        """Leave out of `message`, if it lists tools or answers a call, what the SDK would refuse.

        Of an answer it is told what was left out.
        """
        match message.message:
            case JSONRPCResponse(result={"tools": list(tools)} as result):
                # One more than are taken, so that it is seen that there are too many.
                needed = [_needed(tool) for tool in tools[: MOST_TOOLS + 1]]
                result["tools"] = [tool for tool in needed if self._keeps(tool, result)]
            case JSONRPCResponse(result=dict(result)) if not result.keys().isdisjoint(_ANSWERS):
                _mend_answer(result)

    def _keeps(self, tool: Any, result: dict[str, Any]) -> bool:
        version = NEW if "resultType" in result else OLD
        try:
            validate_server_result("tools/list", version, {**result, "tools": [tool]})
        except (ValueError, RecursionError):
            name = tool.get("name") if isinstance(tool, dict) else None
            left = left_out_tool(self._server, name, _NO_TOOL)
            self.left_out[left.name] = left
            return False
        return True


def _needed(tool: Any) -> Any:
    """What is needed of a tool, its schema said to be of an object where it can be no other."""
    if not isinstance(tool, dict):
        return tool
    needed = {field: tool[field] for field in _NEEDED if tool.get(field) is not None}
    for words in ("title", "description"):
        if not isinstance(needed.get(words), str):
            needed.pop(words, None)
    if (hints := needed.pop("annotations", None)) is not None:
        needed["annotations"] = _understood_hints(hints)
    match needed.get("inputSchema"):
        case dict(schema):
            set_here = {name: value for name, value in schema.items() if value is not None}
            try:
                needed["inputSchema"] = of_an_object(set_here)
            except Unfit:
                return needed  # the SDK says no to it as well
    return needed


def _understood_hints(hints: Any) -> dict[str, Any]:
    """What can be understood of a tool's annotations; for the rest MCP's defaults hold."""
    if not isinstance(hints, dict):
        return {}
    flags = {hint: hints[hint] for hint in _HINTS if isinstance(hints.get(hint), bool)}
    title = hints.get("title")
    return flags | ({"title": title} if isinstance(title, str) else {})


def _mend_answer(answer: dict[str, Any]) -> None:
    """Make of an answer to a call one that the SDK takes, if it can be understood."""
    answer.pop("_meta", None)
    if (flag := answer.pop("isError", None)) is not None:
        answer["isError"] = flag not in (False, 0, "", "false")
    match answer.setdefault("content", []):
        case None:
            answer["content"] = []
        case str(text):
            answer["content"] = [_text(text)]
        case dict(block):
            answer["content"] = [_known(block)] if block else []
        case list(blocks):
            answer["content"] = [_known(block) for block in blocks[:MOST_BLOCKS]]
            if len(blocks) > MOST_BLOCKS:
                answer["content"].append(_text(CUT))
    structured = answer.get("structuredContent")
    if not isinstance(structured, dict):  # older versions of MCP allow nothing else
        answer.pop("structuredContent", None)
        if structured is not None and not answer["content"]:
            answer["content"] = [_text(json.dumps(structured, ensure_ascii=False))]


def _known(block: Any) -> dict[str, Any]:
    """The block, or a text in its place that says what came; all versions have the same kinds."""
    if isinstance(block, dict):
        block = {name: value for name, value in block.items() if name not in _DECORATION}
    try:
        validate_server_result("tools/call", OLD, {"content": [block]})
    except (ValueError, RecursionError):
        kind = block.get("type") if isinstance(block, dict) else None
        kind = plain(str(kind), _LONGEST_KIND) if kind else "no kind"
        return _text(f"[The tool gave something that cannot be shown: {kind}.]")
    assert isinstance(block, dict)
    return block


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}
