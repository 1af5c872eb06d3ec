"""A small MCP server on stdin and stdout that does what a file says, and notes what it hears.

`python tiny_mcp_server.py PLAN NOTES`: the plan is JSON.

- `tools`: the list that it gives, as it is.
- `answers`: by a tool's name, the members of the JSON-RPC answer. A tool that is not there answers
  with a text, the call's arguments as JSON.
- `blocks`: by a tool's name, how many text blocks it answers with.
- `asks`: by a tool's name, the request that the server makes of its client before it answers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


class TinyServer:
    """One process of it."""

    def __init__(self, plan: Path, notes: Path) -> None:
        self._plan: dict[str, Any] = json.loads(plan.read_text())
        self._notes = notes

    def serve(self) -> None:
        """Answer line by line until stdin ends."""
        while heard := self._hear():
            if "id" in heard and "method" in heard:
                self._answer(heard["method"], heard["id"], heard.get("params", {}))

    def _hear(self) -> dict[str, Any]:
        line = sys.stdin.readline()
        if not line:
            return {}
        with self._notes.open("a") as file:
            file.write(line)
        heard: dict[str, Any] = json.loads(line)
        return heard

    def _answer(self, method: str, number: Any, params: dict[str, Any]) -> None:
        if method == "initialize":
            result = {
                "protocolVersion": "2025-06-18",
                "serverInfo": {"name": "tiny", "version": "1"},
                "capabilities": {"tools": {"listChanged": True}},
            }
            say(id=number, result=result)
        elif method == "tools/list":
            say(id=number, result={"tools": self._plan["tools"]})
        elif method == "tools/call":
            self._call(number, params["name"], params["arguments"])
        else:
            say(id=number, error={"code": -32601, "message": "unknown"})

    def _call(self, number: Any, name: str, arguments: Any) -> None:
        if asked := self._plan.get("asks", {}).get(name):
            say(id="asked", **asked)
            self._hear()
        if name in self._plan.get("answers", {}):
            say(id=number, **self._plan["answers"][name])
        else:
            block = {"type": "text", "text": json.dumps(arguments)}
            say(id=number, result={"content": [block] * self._plan.get("blocks", {}).get(name, 1)})


def say(**message: Any) -> None:
    """One message, on one line."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    TinyServer(Path(sys.argv[1]), Path(sys.argv[2])).serve()
