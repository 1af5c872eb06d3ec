"""What the Messages API refuses about calls of tools and their results.

Neighbours of one role are joined before anything is checked, so results may come in several
messages; but they come first, ahead of any text. Indices in the refusals are those of the joined
messages, as they are in the real ones.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from gateway.simulator.errors import invalid
from gateway.simulator.reply import Json
from gateway.simulator.transcript import is_answer_to_tools, is_server_result, results_first

PARTS = ("text", "image", "document", "search_result", "tool_reference", "browser_state")
"""What a tool's result may be made of."""

_ID = re.compile(r"[a-zA-Z0-9_-]+")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
"""What a definition may be called. Reports have "at least 1" and "at most 200 characters" of calls
in the conversation, and the pattern; strictly, it is the pattern of definitions."""


def check_tool_calls(messages: Sequence[Json]) -> None:
    """Check merged messages: every call answered, every answer asked for, each well formed."""
    asked: list[str] = []
    known: set[str] = set()
    waiting: dict[str, Json] = {}
    for at, message in enumerate(messages):
        for place, block in enumerate(message["content"]):
            _check_block(block, message["role"], f"messages.{at}.content.{place}")
        _check_results(message, at, asked)
        asked = [str(b.get("id")) for b in message["content"] if b["type"] == "tool_use"]
        if len(set(asked)) < len(asked) or not known.isdisjoint(asked):
            raise invalid(f"messages.{at}: `tool_use` ids must be unique")
        known.update(asked)
        _check_server_calls(message, at, waiting)
    _check_answered(len(messages) - 1, asked, set())


def _check_block(block: Json, role: str, place: str) -> None:
    match block["type"]:
        case "tool_use" | "server_tool_use" as kind:
            _check_side(kind, role, "assistant", place)
            _check_call(block, f"{place}.{kind}")
        case "tool_result":
            _check_side("tool_result", role, "user", place)
            _check_result(block, f"{place}.tool_result")


def _check_side(kind: str, role: str, wanted: str, place: str) -> None:
    if role != wanted:
        raise invalid(f"{place}: `{kind}` blocks can only be in `{wanted}` messages")


def _check_call(block: Json, place: str) -> None:
    for name, kind, word in (
        ("id", str, "string"),
        ("name", str, "string"),
        ("input", dict, "dictionary"),
    ):
        if name not in block:
            raise invalid(f"{place}.{name}: Field required")
        if not isinstance(block[name], kind):
            raise invalid(f"{place}.{name}: Input should be a valid {word}")
    if not _ID.fullmatch(block["id"]):
        raise invalid(f"{place}.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
    if not _NAME.fullmatch(block["name"]):
        raise invalid(f"{place}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")


def _check_result(block: Json, place: str) -> None:
    if not isinstance(block.get("tool_use_id"), str):
        raise invalid(f"{place}.tool_use_id: Field required")
    content = block.get("content")
    failed = block.get("is_error") is True
    if failed and not content:
        raise invalid(f"{place}: content cannot be empty if `is_error` is true")
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise invalid(f"{place}.content: Input should be a valid string or list")
    for at, part in enumerate(content):
        _check_part(part, f"{place}.content.{at}")
    if failed and any(part["type"] != "text" for part in content):
        raise invalid(f"{place}: all content must be type `text` if `is_error` is true")


def _check_part(part: Any, place: str) -> None:
    if not isinstance(part, dict) or part.get("type") not in PARTS:
        expected = ", ".join(f"'{kind}'" for kind in PARTS)
        raise invalid(f"{place}: Input tag does not match any of the expected tags: {expected}")
    if part["type"] == "text":
        if not isinstance(part.get("text"), str):
            raise invalid(f"{place}.text.text: Field required")
        if not part["text"]:
            raise invalid(f"{place}: text content blocks must be non-empty")


def _check_results(message: Json, at: int, asked: list[str]) -> None:
    """The results of a message against the calls in the one before it."""
    for place, block in enumerate(message["content"]):
        if block["type"] == "tool_result" and block["tool_use_id"] not in asked:
            raise invalid(
                f"messages.{at}.content.{place}: unexpected `tool_use_id` found in "
                f"`tool_result` blocks: {block['tool_use_id']}. Each `tool_result` block "
                "must have a corresponding `tool_use` block in the previous message."
            )
    answered = Counter(block["tool_use_id"] for block in results_first(message))
    _check_answered(at - 1, asked, set(answered))
    for call, times in answered.items():
        if times > 1:
            raise invalid(
                f"messages.{at}: each tool_use must have a single result. "
                f"Found multiple `tool_result` blocks with id: {call}"
            )


def _check_answered(at: int, asked: list[str], answered: set[str]) -> None:
    missing = [call for call in asked if call not in answered]
    if missing:
        raise invalid(
            f"messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately "
            f"after: {', '.join(missing)}. Each `tool_use` block must have a corresponding "
            "`tool_result` block in the next message."
        )


def _check_server_calls(message: Json, at: int, waiting: dict[str, Json]) -> None:
    """The provider's own tools: each result has its call, and only the last turn's may wait."""
    if message["role"] == "user" and waiting and not is_answer_to_tools(message):
        call, block = next(iter(waiting.items()))
        raise invalid(
            f"messages.{at - 1}: `{block['name']}` tool use with id `{call}` was found without a "
            f"corresponding `{block['name']}_tool_result` block"
        )
    for place, block in enumerate(message["content"]):
        if block["type"] == "server_tool_use":
            waiting[block["id"]] = block
        elif is_server_result(block) and not waiting.pop(str(block.get("tool_use_id")), None):
            raise invalid(
                f"messages.{at}.content.{place}: unexpected `tool_use_id` found in "
                f"`{block['type']}` blocks: {block.get('tool_use_id')}. Each `{block['type']}` "
                "block must have a corresponding `server_tool_use` block before it."
            )
