"""What an answer on any medium keeps of its turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import assert_never

import msgspec
from rich.console import RenderableType

from agentspace.messages import (
    ChatStreamEnd,
    ServerMessage,
    Source,
    ToolApprovalRequest,
    ToolCall,
    ToolError,
    ToolResult,
)
from gateway.cli.views import tools
from gateway.cli.views.ending import footer, left_out, refusal, sources


class Notice(msgspec.Struct, frozen=True):
    """Something besides the gateway's messages that a person should know."""

    text: str
    style: str = "yellow"


Shown = ServerMessage | Notice
ToolMessage = ToolCall | ToolApprovalRequest | ToolResult | ToolError


class TurnView:
    """The model, the sources, the tools, when it began."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.model = ""
        self.sources: list[Source] = []
        self._labels: dict[str, str] = {}
        self._calls: Counter[str] = Counter()
        self._clock = clock
        self._began = clock()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return self._clock() - self._began

    def tool(self, message: ToolMessage) -> RenderableType:
        """What a tool does."""
        label = self._label(message.tool_call_id, message.tool_name)
        match message:
            case ToolCall():
                return tools.called(label, message)
            case ToolApprovalRequest():
                return tools.asked(label, message)
            case ToolResult():
                return tools.answered(label, message.result)
            case ToolError():
                return tools.failed(label, message.error)
        assert_never(message)

    def _label(self, call_id: str, name: str) -> str:
        """The tool's name; the second call of the same tool has a number, and so on."""
        if call_id not in self._labels:
            self._calls[name] += 1
            number = self._calls[name]
            self._labels[call_id] = name if number == 1 else f"{name} #{number}"
        return self._labels[call_id]

    def ending(self, end: ChatStreamEnd) -> list[RenderableType]:
        """What stands below the answer."""
        lines: list[RenderableType | None] = [
            sources(self.sources) if self.sources else None,
            left_out(end),
            refusal(end),
            footer(end, self.model, self.seconds),
        ]
        return [line for line in lines if line is not None]
