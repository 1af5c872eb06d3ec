"""An MCP server for the demo, over stdin and stdout: it tells how much room is left on this disk.

It is run as a file, with the standard library alone: it starts at once, wherever it is installed.
"""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any

TOOL = {
    "name": "free_space",
    "description": "Tells how much room is left on the file system that a folder is on.",
    "inputSchema": {
        "type": "object",
        "properties": {"folder": {"type": "string", "description": "An absolute path."}},
        "required": ["folder"],
    },
    "annotations": {"readOnlyHint": True},
}

UNKNOWN = {"code": -32601, "message": "unknown method"}


def answer(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    """What answers a request; `None` for one that is not understood."""
    match method:
        case "initialize":
            return {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "machine", "version": "1"},
            }
        case "ping":
            return {}
        case "tools/list":
            return {"tools": [TOOL]}
        case "tools/call":
            return free_space(str(params.get("arguments", {}).get("folder", "/")))
    return None


def free_space(folder: str) -> dict[str, Any]:
    """The tool's answer."""
    try:
        usage = shutil.disk_usage(folder)
    except (OSError, ValueError) as error:
        text = f"{folder} cannot be looked at: {error}"
        return {"content": [{"type": "text", "text": text}], "isError": True}
    text = f"{usage.free / 2**30:,.1f} GiB of {usage.total / 2**30:,.1f} GiB are free."
    return {"content": [{"type": "text", "text": text}]}


def main() -> None:
    """Answer until stdin ends."""
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request or "method" not in request:
            continue
        result = answer(request["method"], request.get("params") or {})
        said = {"result": result} if result is not None else {"error": UNKNOWN}
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], **said}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
