"""What a server says, read into the SDK's messages: bounded, and mended where it can be understood.

What a message is remains the SDK's to say. An answer that cannot be understood at all is an error
of its own call: whoever asked would wait for ever.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
import trio
from mcp.shared.message import SessionMessage
from mcp_types import INTERNAL_ERROR, PARSE_ERROR, jsonrpc_message_adapter

from gateway.mcp.bounded import SMALL, answered, apart, bounded, one

Heard = SessionMessage | Exception

UNREADABLE: Final = "Failed to parse"
"""How the SDK's own words on an answer begin that it cannot read (over HTTP), and ours."""
_NO_WORD: Final = "an error"
_NO_MESSAGE: Final = b"null"


async def heard(message: bytes) -> Heard:
    """The message, or the SDK's word on why it is none."""
    return (await _understood(message))[1]


async def readable(message: bytes) -> bytes:
    """The message, so that the SDK can read it if that is possible at all."""
    return (await _understood(message))[0]


async def _understood(message: bytes) -> tuple[bytes, Heard]:
    """What the SDK is given of a message, and what it reads; a large one is read in a thread."""
    if len(message) <= SMALL:
        return _understand(message)
    return await trio.to_thread.run_sync(_understand, message)


def _understand(message: bytes) -> tuple[bytes, Heard]:
    problem: Exception = ValueError()
    for understand in (bounded, _mended, _refused):
        try:
            said = understand(message)
            return said, SessionMessage(jsonrpc_message_adapter.validate_json(said, by_name=False))
        except Exception as error:  # noqa: BLE001 - whatever a server says ends its call at most
            problem = error
    return message if len(message) <= SMALL else _NO_MESSAGE, problem


def _mended(message: bytes) -> bytes:
    """A message that can be understood all the same.

    It has halves of characters in it, which JSON allows and UTF-8 does not, or an error in which
    no message is, or values that the SDK does not read where they are not needed.
    """
    decoded = json.loads(apart(message).decode(errors="replace"))
    if "error" in decoded:
        decoded["error"] = _mended_error(decoded["error"])
    return json.dumps(decoded, ensure_ascii=False).encode(errors="replace")


def _mended_error(error: Any) -> dict[str, Any]:
    said = error if isinstance(error, dict) else {"message": error}
    code, words = said.get("code"), said.get("message")
    if not isinstance(words, str):
        words = None if words is None else json.dumps(words, ensure_ascii=False)
    return {"code": code if isinstance(code, int) else INTERNAL_ERROR, "message": words or _NO_WORD}


def _refused(message: bytes) -> bytes:
    error = {"code": PARSE_ERROR, "message": UNREADABLE}
    answer = {"jsonrpc": "2.0", "id": msgspec.Raw(answered(one(message))), "error": error}
    return msgspec.json.encode(answer)
