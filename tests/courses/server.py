"""An MCP server that a test can kill, keep away and give other tools."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import trio

from gateway.mcp.settings import McpServer
from tests.support import SECONDS

SCRIPT = """
import json, os, sys
from pathlib import Path

folder = Path(sys.argv[1])
with (folder / "starts").open("a") as starts:
    starts.write(f"{os.getpid()}\\n")
if (folder / "down").exists():
    sys.exit(3)

def say(**message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\\n")
    sys.stdout.flush()

for line in sys.stdin:
    message = json.loads(line)
    method, number = message["method"], message.get("id")
    if method == "initialize":
        say(id=number, result={"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
            "serverInfo": {"name": "harbour", "version": "1"}})
    elif method == "tools/list":
        say(id=number, result={"tools": json.loads((folder / "tools.json").read_text())})
        with (folder / "listings").open("a") as listings:
            listings.write(f"{os.getpid()}\\n")
    elif method == "tools/call":
        name = message["params"]["name"]
        say(id=number, result={"content": [{"type": "text", "text": f"{name}: all is well."}]})
    elif number is not None:
        say(id=number, error={"code": -32601, "message": "unknown"})
"""


class ToolServer:
    """A server of the gateway's settings, called `harbour` unless it is named."""

    def __init__(self, folder: Path, name: str = "harbour", *tools: str) -> None:
        folder.mkdir()
        self._folder = folder
        self.name = name
        self._listed = 0
        (folder / "server.py").write_text(SCRIPT)
        self.offer(*(tools or ("pilot", "berth")))

    @property
    def settings(self) -> McpServer:
        """Its table in the settings."""
        arguments = (str(self._folder / "server.py"), str(self._folder))
        return McpServer(name=self.name, command=sys.executable, args=arguments, approval="auto")

    def offer(self, *tools: str) -> None:
        """What it lists when it is asked the next time."""
        listed = [
            {
                "name": tool,
                "description": f"Asks the harbour for its {tool}.",
                "inputSchema": {"type": "object", "properties": {"ship": {"type": "string"}}},
            }
            for tool in tools
        ]
        (self._folder / "tools.json").write_text(json.dumps(listed))

    def offered(self, tool: str) -> str:
        """A tool's name as the model knows it."""
        return f"{self.name}__{tool}"

    def stay_away(self) -> None:
        """End at once whenever it is started."""
        (self._folder / "down").touch()

    async def die(self) -> None:
        """Be killed, and stay away; the gateway has noticed, for it has tried to start it again."""
        self.stay_away()
        started = self._noted("starts")
        os.kill(started[-1], signal.SIGKILL)
        await self._until("starts", len(started) + 1)

    async def come_back(self) -> None:
        """Serve again; the gateway has asked for its tools."""
        listed = len(self._noted("listings"))
        (self._folder / "down").unlink()
        await self._until("listings", listed + 1)

    def starts_anew(self) -> None:
        """A gateway starts that does not know its tools yet."""
        self._listed = len(self._noted("listings"))

    async def is_there(self) -> None:
        """Wait until the gateway has asked for its tools."""
        await self._until("listings", self._listed + 1)

    async def _until(self, file: str, lines: int) -> None:
        with trio.fail_after(SECONDS):
            while len(self._noted(file)) < lines:  # noqa: ASYNC110 - it looks into a file
                await trio.sleep(0.01)

    def _noted(self, file: str) -> list[int]:
        path = self._folder / file
        return [int(pid) for pid in path.read_text().split()] if path.exists() else []
