"""Answers of the provider that call tools, pause, or fail."""

from __future__ import annotations

from protocol.errors import ProviderError, TooLong
from protocol.provider.content import Block
from protocol.provider.events import (
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    InputJsonDelta,
    MessageDelta,
    MessageEnd,
    MessageStop,
    ProviderUsage,
)
from tests.actors.fakes import Step, begin, open_block, piece

Call = tuple[str, str, str]
"""A tool call: its id, the tool's name, the arguments' JSON."""

WEATHER: Call = ("toolu_1", "weather", '{"at": "sea"}')
TIME: Call = ("toolu_2", "time", "{}")

SEARCH: Block = {
    "type": "server_tool_use",
    "id": "srvtoolu_1",
    "name": "web_search",
    "input": {"query": "x"},
}
AGAIN: Block = {**SEARCH, "id": "srvtoolu_2"}
FOUND: Block = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}


def calling(*calls: Call, prompt: int = 100, output: int = 5, stop: str = "tool_use") -> list[Step]:
    """An answer that says `Well.` and calls tools."""
    steps: list[Step] = [begin(prompt), open_block(), piece("Well."), ContentBlockStop(0)]
    for index, (call_id, name, arguments) in enumerate(calls, 1):
        block = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
        steps += [
            ContentBlockStart(index, block),
            ContentBlockDelta(index, InputJsonDelta(arguments)),
            ContentBlockStop(index),
        ]
    end = MessageDelta(MessageEnd(stop), ProviderUsage(output_tokens=output))
    return [*steps, end, MessageStop()]


def pausing(search: Block = SEARCH, *, prompt: int = 100) -> list[Step]:
    """An answer that pauses in the middle of a search."""
    end = MessageDelta(MessageEnd("pause_turn"), ProviderUsage(output_tokens=5))
    return [begin(prompt), ContentBlockStart(0, search), ContentBlockStop(0), end, MessageStop()]


def refusing(explanation: str) -> list[Step]:
    """The provider finds fault with the request."""
    error = ProviderError("LLM_ERROR", f"The provider refuses the request: {explanation}")
    error.refusal = explanation
    return [error]


def too_long(counted: int, most: int) -> list[Step]:
    """The provider takes no more than `most` tokens."""
    error = ProviderError("CONTEXT_TOO_LARGE", "The provider finds this request too large.")
    error.too_long = TooLong(counted, most)
    return [error]
