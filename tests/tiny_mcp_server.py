"""A small MCP server that does what a file says, and notes what it hears.

`python tiny_mcp_server.py PLAN NOTES` speaks on stdin and stdout; with a third argument, a file, it
serves streamable HTTP on a free port of loopback, which it writes there. The plan is JSON.

- `tools`: the list that it gives, as it is.
- `then`: the result of all lists after the first one.
- `answers`: by a tool's name, the members of the JSON-RPC answer. A tool that is not there answers
  with a text, the call's arguments as JSON.
- `raw`: by a tool's name, the message that it answers with, to the letter; `ID` in it is the
  request's id.
- `blocks`: by a tool's name, how many text blocks it answers with.
- `asks`: by a tool's name, the request that the server makes of its client before it answers.
- `notices`: by a tool's name, the method of what it tells 20,000 times before it answers; over HTTP
  only with `events`.
- `seconds`: by a tool's name, how long it takes to answer.
- `events`: over HTTP, whether it answers with a stream of events.
- `statuses`: over HTTP, by a tool's name, the status that it answers with, and no more.
- `unknown_session`: over HTTP, the status and the body of what it says to a session that it does
  not know; without it 404.

Over HTTP it forgets all sessions when there is a file next to the plan that is called `forget`.
"""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

Message = dict[str, Any]

NOTICES = 20_000


class TinyServer:
    """What it answers."""

    def __init__(self, plan: Path, notes: Path) -> None:
        self.folder = plan.parent
        self.plan: Message = json.loads(plan.read_text())
        self._notes = notes
        self._has_listed = False

    def understand(self, line: str | bytes) -> Message:
        """A message, noted."""
        heard: Message = json.loads(line)
        with self._notes.open("a") as file:
            file.write(json.dumps(heard) + "\n")
        return heard

    def asks(self, heard: Message) -> Message | None:
        """What it asks the client for before it answers."""
        asked = self.plan.get("asks", {}).get(heard.get("params", {}).get("name"))
        return {"jsonrpc": "2.0", "id": "asked", **asked} if asked else None

    def tells(self, heard: Message) -> list[str]:
        """What it tells before it answers."""
        method = self.plan.get("notices", {}).get(heard.get("params", {}).get("name"))
        if method is None:
            return []
        params = {"level": "info", "data": "one more line"}
        return [json.dumps({"jsonrpc": "2.0", "method": method, "params": params})] * NOTICES

    def answer(self, heard: Message) -> str:
        """The answer to a request, as JSON."""
        time.sleep(self.plan.get("seconds", {}).get(heard.get("params", {}).get("name"), 0))
        raw = self.plan.get("raw", {}).get(heard.get("params", {}).get("name"))
        if raw is not None:
            return str(raw).replace("ID", json.dumps(heard["id"]))
        return json.dumps(self._members(heard))

    def _members(self, heard: Message) -> Message:
        return {"jsonrpc": "2.0", "id": heard["id"], **self._answer(heard)}

    def _answer(self, heard: Message) -> Message:
        method, params = heard["method"], heard.get("params", {})
        if method == "initialize":
            result = {
                "protocolVersion": "2025-06-18",
                "serverInfo": {"name": "tiny", "version": "1"},
                "capabilities": {"tools": {"listChanged": True}},
            }
            return {"result": result}
        if method == "tools/list":
            result = {"tools": self.plan["tools"]}
            if self._has_listed:
                result = self.plan.get("then", result)
            self._has_listed = True
            return {"result": result}
        if method == "tools/call":
            return self._call(params["name"], params["arguments"])
        return {"error": {"code": -32601, "message": "unknown"}}

    def _call(self, name: str, arguments: Any) -> Message:
        if name in self.plan.get("answers", {}):
            answer: Message = self.plan["answers"][name]
            return answer
        block = {"type": "text", "text": json.dumps(arguments)}
        return {"result": {"content": [block] * self.plan.get("blocks", {}).get(name, 1)}}


def serve_stdio(server: TinyServer) -> None:
    """Answer line by line until stdin ends."""
    while line := sys.stdin.readline():
        heard = server.understand(line)
        if "id" in heard and "method" in heard:
            if asked := server.asks(heard):
                say(json.dumps(asked))
                server.understand(sys.stdin.readline())
            for told in server.tells(heard):
                say(told)
            say(server.answer(heard))


def say(message: str) -> None:
    """One message, on one line."""
    sys.stdout.write(message + "\n")
    sys.stdout.flush()


class Handler(BaseHTTPRequestHandler):
    """Answers request by request."""

    protocol_version = "HTTP/1.1"
    server: TinyHttp

    def do_POST(self) -> None:
        tiny, sessions = self.server.tiny, self.server.sessions
        heard = tiny.understand(self.rfile.read(int(self.headers["content-length"])))
        if (forget := tiny.folder / "forget").exists():
            forget.unlink()
            sessions.clear()
        if heard.get("method") == "initialize":
            sessions.append(f"session-{next(self.server.numbers)}")
        elif self.headers.get("mcp-session-id") not in sessions:
            status, body = tiny.plan.get("unknown_session", [404, "{}"])
            return self._say(status, body)
        if "id" not in heard or "method" not in heard:
            return self._say(202, "")
        name = heard.get("params", {}).get("name")
        if status := tiny.plan.get("statuses", {}).get(name):
            return self._say(status, "")
        return self._say(200, *tiny.tells(heard), tiny.answer(heard))

    def do_GET(self) -> None:
        self._say(405, "")

    def do_DELETE(self) -> None:
        self._say(405, "")

    def _say(self, status: int, *messages: str) -> None:
        kind, body = "application/json", messages[-1].encode()
        if self.server.tiny.plan.get("events") and status == 200:
            kind = "text/event-stream"
            events = [f"event: message\r\ndata: {message}\r\n\r\n" for message in messages]
            body = "".join(events).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        if self.server.sessions:
            self.send_header("mcp-session-id", self.server.sessions[-1])
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class TinyHttp(ThreadingHTTPServer):
    """Listens on a free port of loopback."""

    def __init__(self, tiny: TinyServer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.tiny = tiny
        self.sessions: list[str] = []
        self.numbers = count(1)


def serve_http(server: TinyServer, port_file: Path) -> None:
    """Answer until the process is killed."""
    with TinyHttp(server) as listening:
        port_file.write_text(str(listening.server_port))
        listening.serve_forever()


if __name__ == "__main__":
    tiny = TinyServer(Path(sys.argv[1]), Path(sys.argv[2]))
    if len(sys.argv) > 3:
        serve_http(tiny, Path(sys.argv[3]))
    else:
        serve_stdio(tiny)
