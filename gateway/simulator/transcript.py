"""A request's messages as the API reads them: neighbours of one role are one message."""

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.simulator.reply import Json

THOUGHTS = ("thinking", "redacted_thinking")


def blocks_of(content: Any) -> list[Json]:
    """A message's content as blocks; a string is one text block."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content if isinstance(content, list) else []


def merged(messages: Sequence[Json]) -> list[Json]:
    """The messages, each with its content as blocks, runs of one role joined into one."""
    found: list[Json] = []
    for message in messages:
        blocks = blocks_of(message["content"])
        if found and found[-1]["role"] == message["role"]:
            found[-1] = {**found[-1], "content": [*found[-1]["content"], *blocks]}
        else:
            found.append({"role": message["role"], "content": blocks})
    return found


def last_said(messages: Sequence[Json]) -> Json:
    """The last message that is not the system's: what an answer answers."""
    return next(m for m in reversed(messages) if m["role"] != "system")


def results_first(message: Json) -> list[Json]:
    """The `tool_result` blocks with which a message begins."""
    leading = []
    for block in blocks_of(message["content"]):
        if block["type"] != "tool_result":
            break
        leading.append(block)
    return leading


def is_answer_to_tools(message: Json) -> bool:
    """Whether a merged message holds results of tools and nothing else."""
    return message["role"] == "user" and all(b["type"] == "tool_result" for b in message["content"])


def last_turn(messages: Sequence[Json]) -> list[Json]:
    """The end of the messages: all that followed the last one of a user that answers no tool."""
    for at in range(len(messages) - 1, -1, -1):
        if messages[at]["role"] == "user" and not results_first(messages[at]):
            return list(messages[at + 1 :])
    return list(messages)


def every_block(messages: Sequence[Json]) -> Iterator[Json]:
    """Every block, those inside of tool results included."""
    for message in messages:
        for block in blocks_of(message["content"]):
            yield block
            if block.get("type") == "tool_result":
                yield from blocks_of(block.get("content"))


def pending_calls(messages: Sequence[Json]) -> list[Json]:
    """The `server_tool_use` blocks of merged messages that have no result yet, oldest first."""
    waiting: dict[str, Json] = {}
    for message in messages:
        for block in message["content"]:
            if block["type"] == "server_tool_use":
                waiting[str(block.get("id"))] = block
            elif is_server_result(block):
                waiting.pop(str(block.get("tool_use_id")), None)
    return list(waiting.values())


def is_server_result(block: Json) -> bool:
    """Whether a block is what one of the provider's own tools brought."""
    kind = str(block["type"])
    return kind.endswith("_tool_result") and kind != "mcp_tool_result"
