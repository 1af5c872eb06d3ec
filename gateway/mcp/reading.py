"""What a server says, read into the SDK's messages: bounded, and mended where it can be understood.

What a message is remains the SDK's to say.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

import trio
from mcp.shared.message import SessionMessage
from mcp_types import INTERNAL_ERROR, jsonrpc_message_adapter

from gateway.mcp.bounded import SMALL, bounded

Heard = SessionMessage | Exception
T = TypeVar("T")

_NO_WORD = "an error"


async def heard(message: bytes) -> Heard:
    """The message, or the SDK's word on why it is none."""
    return await _aside(_heard, message)


async def readable(message: bytes) -> bytes:
    """The message, so that the SDK can read it if that is possible at all."""
    return await _aside(_readable, message)


async def _aside(read: Callable[[bytes], T], message: bytes) -> T:
    """What `read` makes of a message; of a large one in a thread, without what is too much."""
    if len(message) <= SMALL:
        return read(message)
    return await trio.to_thread.run_sync(lambda: read(bounded(message)))


def _heard(message: bytes) -> Heard:
    try:
        return _read(message)
    except (ValueError, RecursionError) as error:
        try:
            return _read(_mended(message))
        except (ValueError, RecursionError):
            return error


def _readable(message: bytes) -> bytes:
    try:
        _read(message)
    except (ValueError, RecursionError):
        try:
            return _mended(message)
        except (ValueError, RecursionError):
            pass
    return message


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
