"""Where a system message may stand among the messages, and what it may hold.

The rules are those of the page "Mid-conversation system messages and tool changes". Neighbours are
accepted and judged as one section. Messages that hold an effort alone, or that are cleared at the
next one of the user, are not simulated: their fields are refused.
"""

from typing import Any

from gateway.simulator.errors import invalid
from gateway.simulator.reply import Json
from gateway.simulator.tool_changes import TOOL_CHANGES
from gateway.simulator.transcript import blocks_of, is_server_result


def check_system_messages(messages: list[Json]) -> None:
    """Check every system message of a request whose blocks are well formed."""
    for at, message in enumerate(messages):
        if message["role"] == "system":
            _check_fields(message, at)
            _check_place(messages, at)
        else:
            _check_elsewhere(message, at)


def check_first(messages: list[Json]) -> None:
    """The first message is not the system's: the top-level field is there for that."""
    if messages[0]["role"] == "system":
        raise invalid(
            "messages.0: use the top-level 'system' parameter for the initial system prompt"
        )


def _check_fields(message: Json, at: int) -> None:
    for name in message:
        if name not in ("role", "content"):
            raise invalid(f"messages.{at}.{name}: Extra inputs are not permitted")
    for place, block in enumerate(blocks_of(message["content"])):
        if block["type"] not in ("text", *TOOL_CHANGES):
            raise invalid(
                f"messages.{at}.content.{place}: Input tag '{block['type']}' found using 'type' "
                "does not match any of the expected tags: 'text', 'tool_addition', 'tool_removal'"
            )


def _check_elsewhere(message: Json, at: int) -> None:
    for place, block in enumerate(blocks_of(message["content"])):
        if block["type"] in TOOL_CHANGES:
            raise invalid(
                f"messages.{at}.content.{place}: `{block['type']}` blocks can only be in `system` "
                "messages"
            )


def _check_place(messages: list[Json], at: int) -> None:
    before = _neighbour(messages, at, -1)
    paused = before is not None and _ends_in_server_result(before)
    if before is None or (before["role"] == "assistant" and not paused):
        raise invalid(
            f"messages.{at}: a system message must immediately follow a user turn, or an assistant "
            "turn that ends in a server tool result"
        )
    after = _neighbour(messages, at, 1)
    if after is not None and after["role"] != "assistant":
        raise invalid(
            f"messages.{at}: a system message must be the last one, or be immediately followed by "
            "an assistant turn"
        )
    changes = any(block["type"] in TOOL_CHANGES for block in blocks_of(messages[at]["content"]))
    if changes and paused:
        raise invalid(
            f"messages.{at}: `tool_addition` and `tool_removal` blocks are not accepted after a "
            "paused assistant turn. Resume the turn first."
        )


def _neighbour(messages: list[Json], at: int, step: int) -> Json | None:
    """The nearest message in this direction that is not the system's."""
    at += step
    while 0 <= at < len(messages) and messages[at]["role"] == "system":
        at += step
    return messages[at] if 0 <= at < len(messages) else None


def _ends_in_server_result(message: Json) -> bool:
    content: Any = message["content"]
    return (
        message["role"] == "assistant"
        and isinstance(content, list)
        and bool(content and is_server_result(content[-1]))
    )
