"""Which tool a refusal of the provider is about.

The provider refuses a whole request for one tool, and names it by its place alone: `tools.3.custom.
input_schema: …`, or `messages.4.content.0.tool_addition.tool.definition.input_schema: …` for one
that a message defines (public reports and the page on tool changes, November 2026). A refusal of
another part of a definition, for instance of a breakpoint of the cache, is not about the tool.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_OWN = r"\.(?:[a-z_]+\.)*(?:input_?schema|name|description|input_examples)\b"
_IN_TOOLS = re.compile(rf"(?<![\w.])tools\.([0-9]{{1,9}})(?:(?:\.custom)?:|{_OWN})", re.IGNORECASE)
_IN_MESSAGE = re.compile(
    rf"(?<![\w.])messages\.([0-9]{{1,9}})\.content\.([0-9]{{1,9}})\.[a-z_.]*definition{_OWN}",
    re.IGNORECASE,
)


class _SentBody(msgspec.Struct):
    tools: list[msgspec.Raw] = []
    messages: list[msgspec.Raw] = []


class _SentMessage(msgspec.Struct):
    content: list[msgspec.Raw]


_body = msgspec.json.Decoder(_SentBody)
_message = msgspec.json.Decoder(_SentMessage)
_any = msgspec.json.Decoder()


def refused_tool(explanation: str, body: bytes) -> dict[str, Any] | None:
    """The definition, in a request's `body`, of the tool that a refusal is about.

    `None` if it is about something else, or about a tool of the provider's own.
    """
    try:
        found = _found(explanation, body)
    except (msgspec.DecodeError, IndexError):
        return None
    return found if isinstance(found, dict) and "input_schema" in found else None


def _found(explanation: str, body: bytes) -> Any:
    if place := _IN_MESSAGE.search(explanation):
        message = _message.decode(_body.decode(body).messages[int(place[1])])
        match _any.decode(message.content[int(place[2])]):
            case {"tool": {"definition": definition}}:
                return definition
    elif place := _IN_TOOLS.search(explanation):
        return _any.decode(_body.decode(body).tools[int(place[1])])
    return None
