"""Takes the tools out of a list that MCP does not allow.

The SDK refuses a whole list for one tool whose schema is none of an object; a server would lose all
its tools for the one. What MCP allows is asked of the SDK itself, a tool at a time.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCResponse
from mcp_types.methods import validate_server_result

from gateway.mcp.names import shown

log = logging.getLogger(__name__)

OLD: Final = "2025-11-25"
"""The SDK holds all versions with a handshake against this one."""
NEW: Final = "2026-07-28"


class Sift:
    """One connection's; the log tells once of a tool that is left out."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._told: set[str] = set()

    def clean(self, message: SessionMessage) -> None:
        """Leave out of `message`, if it is a list of tools, what the SDK would refuse it for."""
        match message.message:
            case JSONRPCResponse(result={"tools": list(tools)} as result):
                result["tools"] = [tool for tool in tools if self._keeps(tool, result)]

    def _keeps(self, tool: Any, result: dict[str, Any]) -> bool:
        version = NEW if "resultType" in result else OLD
        try:
            validate_server_result("tools/list", version, {**result, "tools": [tool]})
        except (ValueError, RecursionError):
            self._tell(shown(tool.get("name") if isinstance(tool, dict) else None))
            return False
        return True

    def _tell(self, name: str) -> None:
        if name not in self._told:
            self._told.add(name)
            log.warning(
                "the MCP server %s: the tool %s is left out: it is not described as MCP demands, "
                "with the schema of an object",
                self._server,
                name,
            )
