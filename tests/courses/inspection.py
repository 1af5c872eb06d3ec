"""What is inspected is what is sent: an inspection held against the request that followed it."""

from __future__ import annotations

import json
from typing import Any

from tests.courses.bodies import (
    Json,
    announced,
    blocks_of,
    encode,
    question_at,
    text_in,
    unmarked,
)
from tests.support import Frame

TEXTS = ("system_prompt", "response_format", "memory", "skills")
"""The sections of the system prompt, in the order in which they are sent."""

_decoder = json.JSONDecoder()

MARK = ',"cache_control":{"type":"ephemeral"}'


def check_inspected(inspection: Frame, body: Json) -> None:
    """The sections' contents add up to the request's body, section by section."""
    sections = {section["name"]: section for section in inspection["sections"]}
    for section in sections.values():
        assert section["byteCount"] == len(section["content"].encode()), section["name"]
    shown = {name: section["content"].replace(MARK, "") for name, section in sections.items()}
    _check_texts({name: shown[name] for name in TEXTS}, body)
    _check_same("tools", shown["tools"], _tools(body))
    _check_same("history", shown["history"], _history(body))
    _check_same("user_message", shown["user_message"], _question(body))


def _check_same(name: str, shown: str, sent: str) -> None:
    assert shown == sent, f"{name}: shown {shown!r}, sent {sent!r}"


def _check_texts(shown: dict[str, str], body: Json) -> None:
    """Each text of the head and each text that was announced is the next one of some section."""
    left = dict(shown)
    for block in body.get("system") or []:
        _take(left, block["text"])
    for block in announced(body):
        if block["type"] == "text":
            assert block["text"].startswith("\n\n"), block["text"]
            _take(left, block["text"])
    assert not any(left.values()), f"shown and not sent: {left}"


def _take(left: dict[str, str], text: str) -> None:
    names = [name for name, rest in left.items() if rest.startswith(text)]
    assert names, f"sent and not shown: {text!r}; shown: {left}"
    left[names[0]] = left[names[0]].removeprefix(text)


def _tools(body: Json) -> str:
    tools = body.get("tools")
    changes = [block for block in announced(body) if block["type"] != "text"]
    parts = [*([tools] if tools else []), *changes]
    return "".join(encode(unmarked(part)).decode() for part in parts)


def _history(body: Json) -> str:
    question = question_at(body)
    history: list[Any] = [
        message
        for at, message in enumerate(body["messages"])
        if at != question and message["role"] != "system"
    ]
    return encode(unmarked(history)).decode() if history else ""


def _question(body: Json) -> str:
    blocks = blocks_of(body["messages"][question_at(body)])
    is_text = len(blocks) == 1 and blocks[0]["type"] == "text"
    return text_in(blocks) if is_text else encode(unmarked(blocks)).decode()


def offered_in(inspection: Frame) -> set[str]:
    """The names of the tools that the model could call: those that are sent, and the changes."""
    (text,) = [one["content"] for one in inspection["sections"] if one["name"] == "tools"]
    names: set[str] = set()
    while text:
        value, end = _decoder.raw_decode(text)
        text = text[end:]
        match value:
            case list():
                names |= {tool["name"] for tool in value if not tool.get("defer_loading")}
            case {"type": "tool_addition", "tool": {"definition": {"name": str(name)}}}:
                names.add(name)
            case {"type": "tool_removal", "tool": {"name": str(name)}}:
                names.discard(name)
    return names


def tokens_in(inspection: Frame) -> int:
    """What the sections are estimated at together."""
    return sum(section["tokenEstimate"] for section in inspection["sections"])


def input_of(usage: Json) -> int:
    """All input tokens of a bill."""
    parts = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return sum(usage[part] for part in parts)
