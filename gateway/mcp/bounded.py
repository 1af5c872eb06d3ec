"""A large message of a server, made small before the SDK walks it.

The SDK reads a message with pydantic, which takes 12 us for each block of a tool's answer and holds
the loop meanwhile: 300,000 blocks were 3.5 s. So a large message is taken apart in a thread: its
parts are skipped as bytes (9 MB in 20 ms), and what comes out again is what is needed of it, with a
bounded number of values. Its texts and pictures stay whole: they are few and cost little.

- An answer of a tool keeps its first blocks. Its `structuredContent` becomes a text, if there is
  nothing else.
- A list of tools keeps its first tools. The schema of each is sent on as a text (`WHOLE`), which
  `gateway.mcp.offers` reads in a thread of its own.
- An error keeps its code and its message.
- Whatever else has too many values is none that is needed: an error takes its place.

What the SDK cannot read is taken apart as well, however small it is: numbers of thousands of
digits, or a hundred levels of `structuredContent`, become a text.

`split` looks at a list of JSON step by step, and so lets the loop run in between, which a decoder
does not do that is written in C.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any, Final

import msgspec

SMALL: Final = 65_536
"""Bytes of a message that is read as it is."""
MOST_BLOCKS: Final = 1_000
"""Blocks of one answer."""
MOST_TOOLS: Final = 256
"""Tools of one server."""
MOST_STEPS: Final = 100_000
"""Strings, brackets and commas that are looked at to find the first blocks or tools."""
MOST_PLAIN: Final = 8_000
"""The same, in a message that is neither an answer of a tool nor a list of tools."""
WHOLE: Final = "x-whole"
"""The keyword of a schema whose value is the schema that was sent, as JSON."""
MIRRORED: Final = b"x-mcp-header"
"""In a schema: the SDK looks for it, and so must get the schema itself."""
CUT: Final = "[Further pieces of the tool's output are left out.]"
TOO_MUCH: Final = {"code": -32603, "message": "the answer was too large to be read"}

_STEP = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]', re.DOTALL)
_HALF = re.compile(
    rb"""
      \\\\                                                                    # a backslash
    | \\u[dD][89abAB][0-9a-fA-F]{2} \\u[dD][c-fC-F][0-9a-fA-F]{2}             # a whole character
    | (?P<half> \\u[dD][89a-fA-F][0-9a-fA-F]{2} )
    """,
    re.VERBOSE,
)
"""Characters of two halves, and halves alone: JSON allows those, and UTF-8 does not."""
_NO_NUMBER = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|(?P<no_number>-?(?:NaN|Infinity))', re.DOTALL)
"""Strings, and what some libraries write though JSON has it not."""
_ID = re.compile(rb'\s*:\s*(\d+|"[^"\\]*")')
_COLON = re.compile(rb"\s*:")
_NOTHING: Final = msgspec.Raw(b"")
_NO_VALUE: Final = (b"", b"null")
_NO_CONTENT: Final[tuple[Any, ...]] = (None, "", [], {}, [{"type": "text", "text": ""}])
"""With one of these the model gets `structuredContent`."""
_LONGEST_HINT: Final = 1_000
"""Bytes of what describes a tool and is no text."""


class TooManyValues(Exception):
    """A list that has too many values among its first ones."""


class _Frame(msgspec.Struct):
    jsonrpc: msgspec.Raw
    id: msgspec.Raw = _NOTHING
    method: msgspec.Raw = _NOTHING
    result: msgspec.Raw = _NOTHING
    error: msgspec.Raw = _NOTHING


class _Error(msgspec.Struct):
    code: msgspec.Raw = _NOTHING
    message: msgspec.Raw = _NOTHING


class _Result(msgspec.Struct, rename="camel"):
    content: msgspec.Raw = _NOTHING
    tools: msgspec.Raw = _NOTHING
    is_error: msgspec.Raw = _NOTHING
    structured_content: msgspec.Raw = _NOTHING
    next_cursor: msgspec.Raw = _NOTHING
    result_type: msgspec.Raw = _NOTHING
    ttl_ms: msgspec.Raw = _NOTHING
    cache_scope: msgspec.Raw = _NOTHING


_frame = msgspec.json.Decoder(_Frame)
_result = msgspec.json.Decoder(_Result)


def bounded(message: bytes) -> bytes:
    """The JSON-RPC message with no more values than the SDK can be given at once.

    Takes up to a second for a large one: it is for a thread. Raises what `apart` raises.
    """
    return message if len(message) <= SMALL else apart(message)


def apart(message: bytes) -> bytes:
    """What is needed of a JSON-RPC message. Raises all kinds of errors for what is none."""
    parts = _parts(one(message))
    result, error = bytes(parts.result), bytes(parts.error)
    small: dict[str, Any] = {"jsonrpc": "2.0"}
    if parts.id:
        small["id"] = parts.id
    if parts.method:
        small |= {"method": parts.method, "params": {}}  # nothing that is asked of us is large
    elif result not in _NO_VALUE:
        small |= _small_result(result)
    elif error not in _NO_VALUE:
        small["error"] = _small_error(error)
    else:
        raise ValueError("an answer without a result and without an error")
    return msgspec.json.encode(small)


def one(message: bytes) -> bytes:
    """The message, taken out of a batch of one: an older version of MCP has batches."""
    stripped = message.strip()
    is_batch = stripped.startswith(b"[") and stripped.endswith(b"]")
    return stripped[1:-1] if is_batch else stripped


def _parts(message: bytes) -> _Frame:
    try:
        return _frame.decode(message)
    except msgspec.DecodeError:
        return _frame.decode(_NO_NUMBER.sub(_number, _HALF.sub(_whole_character, message)))


def _number(found: re.Match[bytes]) -> bytes:
    return b"null" if found["no_number"] else found[0]


def _whole_character(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape["half"] else escape[0]


def _small_result(result: bytes) -> dict[str, Any]:
    try:
        parts = _result.decode(result)
        if parts.tools:
            kept: dict[str, Any] = {"tools": _tools(bytes(parts.tools))}
        elif parts.content or parts.structured_content:
            kept = {"content": _content(parts)}
        else:
            split(b"[" + result + b"]", 1, MOST_PLAIN)
            return {"result": msgspec.Raw(result)}
    except TooManyValues:
        return {"error": TOO_MUCH}
    for name, value in (
        ("isError", parts.is_error),
        ("nextCursor", parts.next_cursor),
        ("resultType", parts.result_type),
        ("ttlMs", parts.ttl_ms),
        ("cacheScope", parts.cache_scope),
    ):
        if value and len(bytes(value)) <= SMALL:
            kept[name] = value
    return {"result": kept}


def _small_error(error: bytes) -> Any:
    if not error.startswith(b"{"):
        return msgspec.Raw(error) if _is_small(error) else TOO_MUCH
    needed = msgspec.structs.asdict(msgspec.json.decode(error, type=_Error))
    return {name: value for name, value in needed.items() if _is_small(bytes(value))}


def _content(parts: _Result) -> Any:
    """The first blocks, or whatever stands in their place: `Sift` judges that."""
    content: Any = None
    if parts.content:
        first, is_cut = split(bytes(parts.content), MOST_BLOCKS)
        content = json.loads(first.decode(errors="replace"))
        if is_cut:
            content.append({"type": "text", "text": CUT})
    structured = bytes(parts.structured_content)
    if content in _NO_CONTENT and structured not in _NO_VALUE:
        return [{"type": "text", "text": structured.decode(errors="replace")}]
    return content


def _tools(tools: bytes) -> list[Any]:
    first, _ = split(tools, MOST_TOOLS + 1, 10 * MOST_STEPS)
    return [_tool(bytes(tool)) for tool in msgspec.json.decode(first, type=list[msgspec.Raw])]


class _ListedTool(msgspec.Struct, rename="camel"):
    name: msgspec.Raw = _NOTHING
    title: msgspec.Raw = _NOTHING
    description: msgspec.Raw = _NOTHING
    input_schema: msgspec.Raw = _NOTHING
    annotations: msgspec.Raw = _NOTHING


def _tool(raw: bytes) -> dict[str, Any] | None:
    """What is needed of an entry; None for one that is no tool, which `Sift` leaves out."""
    if not raw.startswith(b"{"):
        return None
    tool = msgspec.json.decode(raw, type=_ListedTool)
    needed = msgspec.structs.asdict(tool)
    schema = bytes(needed.pop("input_schema"))
    kept = {name: value for name, value in needed.items() if _is_small(bytes(value))}
    if MIRRORED in schema:
        return {**kept, "inputSchema": msgspec.Raw(schema)}
    if schema.startswith(b"{"):
        whole = schema.decode(errors="replace")
        return {**kept, "inputSchema": {"type": "object", WHOLE: whole}}
    return kept


def _is_small(value: bytes) -> bool:
    """Whether it is there, and has few values: a text is one, however long it is."""
    return value.startswith(b'"') or 0 < len(value) <= _LONGEST_HINT


def split(listed: bytes, most: int, steps: int = MOST_STEPS) -> tuple[bytes, bool]:
    """A list's first `most` values, as JSON, and whether there are more. Raises TooManyValues."""
    depth, commas = 0, 0
    for number, step in enumerate(_STEP.finditer(listed)):
        if number > steps:
            raise TooManyValues
        match step[0]:
            case b"[" | b"{":
                depth += 1
            case b"]" | b"}":
                depth -= 1
            case b"," if depth == 1:
                commas += 1
                if commas == most:
                    return listed[: step.start()] + b"]", True
    return listed, False


def answered(message: bytes) -> bytes:
    """The id, as JSON, of the request that `message` answers, however broken it is.

    Raises ValueError for what is no answer.
    """
    depth, found, is_message = 0, b"", False
    for step in islice(_STEP.finditer(message), 10 * MOST_STEPS):
        match step[0]:
            case b"[" | b"{":
                depth += 1
            case b"]" | b"}":
                depth -= 1
            case b'"id"' if depth == 1 and (value := _ID.match(message, step.end())):
                found = value[1]
            case b'"jsonrpc"' if depth == 1:
                is_message = True
            case b'"method"' if depth == 1 and _COLON.match(message, step.end()):
                raise ValueError("a request")
    if not (is_message and found):
        raise ValueError("no answer")
    return found
