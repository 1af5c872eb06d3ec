"""Small MCP servers that a test plans (`tests/tiny_mcp_server.py`), and what each was asked."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
        self._folder, self.name = folder, name
        self._plan, self._notes = folder / f"{name}.json", folder / f"{name}.txt"
        self._plan.write_text(json.dumps(plan))
        self._words = (SCRIPT, str(self._plan), str(self._notes))

    @property
    def server(self) -> McpServer:
        """As it is configured to be started by the gateway."""
        return McpServer(name=self.name, command=sys.executable, args=self._words, approval="auto")

    @contextmanager
    def over_http(self) -> Iterator[McpServer]:
        """As it is configured at an address, where it runs."""
        port_file = self._folder / f"{self.name}.port"
        process = subprocess.Popen([sys.executable, *self._words, str(port_file)])
        try:
            end = time.monotonic() + START_SECONDS
            while not port_file.exists() or not port_file.read_text():
                assert time.monotonic() < end
                time.sleep(0.01)
            url = f"http://127.0.0.1:{port_file.read_text()}/mcp"
            yield McpServer(name=self.name, url=url, approval="auto")
        finally:
            process.kill()
            process.wait()

    def forget(self) -> None:
        """Over HTTP: forget the sessions before the next request."""
        (self._folder / "forget").touch()

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
