"""What a server says, read into the SDK's messages: bounded, and mended where it can be understood.

What a message is remains the SDK's to say.
"""

from __future__ import annotations

import json

import trio
from mcp.shared.message import SessionMessage
from mcp_types import INTERNAL_ERROR, jsonrpc_message_adapter

from gateway.mcp.bounded import SMALL, bounded

Heard = SessionMessage | Exception

_NO_WORD = "an error"


async def heard(message: bytes) -> Heard:
    """The message, or the SDK's word on why it is none."""
    message = await smaller(message)
    try:
        return _read(message)
    except (ValueError, RecursionError) as error:
        try:
            return _read(_mended(message))
        except (ValueError, RecursionError):
            return error


async def readable(message: bytes) -> bytes:
    """The message, so that the SDK can read it if that is possible at all."""
    message = await smaller(message)
    try:
        _read(message)
    except (ValueError, RecursionError):
        try:
            return _mended(message)
        except (ValueError, RecursionError):
            return message
    return message


async def smaller(message: bytes) -> bytes:
    """The message without what is too much, which is found in a thread."""
    if len(message) <= SMALL:
        return message
    return await trio.to_thread.run_sync(bounded, message)


def _read(message: bytes) -> SessionMessage:
    return SessionMessage(jsonrpc_message_adapter.validate_json(message, by_name=False))


def _mended(message: bytes) -> bytes:
    """A message that can be understood all the same. Raises ValueError, RecursionError.

    It has halves of characters in it, which JSON allows and UTF-8 does not, or an error in which
    no message is, or a result that is no object: whoever asked would wait for ever.
    """
    decoded = json.loads(message.decode(errors="replace"))
    match decoded:
        case {"error": dict(error)}:
            decoded["error"] = {"code": INTERNAL_ERROR, "message": _NO_WORD} | {
                name: value for name, value in error.items() if value is not None
            }
        case {"error": error} if error is not None:
            decoded["error"] = {"code": INTERNAL_ERROR, "message": str(error) or _NO_WORD}
        case {"result": result} if not isinstance(result, dict):
            decoded["result"] = {}
    return json.dumps(decoded, ensure_ascii=False).encode(errors="replace")
