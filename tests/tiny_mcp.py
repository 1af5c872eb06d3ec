"""Small MCP servers that a test plans (`tests/tiny_mcp_server.py`), and what each was asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import trio

from gateway.mcp.settings import McpServer
from tests.support import Frame, Talk

SCRIPT = str(Path(__file__).with_name("tiny_mcp_server.py"))
START_SECONDS = 30.0


class Tiny:
    """A server that does what it is planned to do; see its script."""

    def __init__(self, folder: Path, name: str = "tiny", **plan: Any) -> None:
        self._plan, self._notes = folder / f"{name}.json", folder / f"{name}.txt"
        self.plan(**plan)
        arguments = (SCRIPT, str(self._plan), str(self._notes))
        self.server = McpServer(name=name, command=sys.executable, args=arguments, approval="auto")

    def plan(self, **plan: Any) -> None:
        """What it does from its next start on."""
        self._plan.write_text(json.dumps(plan))

    @property
    def heard(self) -> list[dict[str, Any]]:
        """All messages that it got."""
        if not self._notes.exists():
            return []
        return [json.loads(line) for line in self._notes.read_text().splitlines()]

    @property
    def calls(self) -> list[tuple[str, Any]]:
        """The tools that were called, and their arguments."""
        calls = [one["params"] for one in self.heard if one.get("method") == "tools/call"]
        return [(call["name"], call["arguments"]) for call in calls]


def tool(name: str, schema: Any = None, **fields: Any) -> dict[str, Any]:
    """A tool as MCP describes it."""
    return {"name": name, "inputSchema": {"type": "object"} if schema is None else schema, **fields}


async def tools_when_up(talk: Talk, name: str) -> str:
    """The text of the section of tools, as soon as a tool of this name is in it."""
    session: Frame = await talk.ask("session.create")
    with trio.fail_after(START_SECONDS):
        while True:
            seen = await talk.ask("context.inspect", sessionId=session["sessionId"])
            shown = [one["content"] for one in seen["sections"] if one["name"] == "tools"]
            if shown and f'"{name}"' in shown[0]:
                return str(shown[0])
            await trio.sleep(0.02)
