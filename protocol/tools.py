"""Tools that the gateway itself can run: what is offered, who must agree, what came back.

A tool's answer is what the model gets: a text, or blocks in the provider's shapes. That a tool
failed is an answer too, marked as such: the model is told and goes on.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from protocol.provider.content import Block
from protocol.wire import Wire

Risk = Literal["low", "medium", "high"]

Approval = Literal["auto", "session", "always"]
"""Who must agree to a call: nobody; a person, until told that the session may; a person, always."""


READ_SKILL = "read_skill"
"""The name of the gateway's own tool. It always means the same, so nobody else's may have it."""


class OfferedTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that the gateway runs; `input_schema` is JSON Schema with `type` `object`.

    It is one of the MCP `server` of that name, or the gateway's own.
    """

    name: str
    description: str
    input_schema: dict[str, Any]
    approval: Approval = "session"
    risk: Risk | None = None
    server: str = ""

    @property
    def rule(self) -> ToolRule:
        """What must be known of the tool to run it."""
        return ToolRule(name=self.name, approval=self.approval, risk=self.risk, server=self.server)


class ToolRule(msgspec.Struct, frozen=True, kw_only=True):
    """Who must agree to a tool's calls, and which MCP server it is of, if it is of one."""

    name: str
    approval: Approval
    risk: Risk | None
    server: str = ""


class LeftOutTool(Wire, frozen=True, kw_only=True):
    """A tool that no model is offered."""

    name: str
    """What its server calls it."""
    server: str | UnsetType = UNSET
    """The server's name in the settings."""
    reason: str
    """Why, as a clause for a person."""


class ToolAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool answered: a text, or blocks (`text`, `image`, `document`)."""

    content: str | list[Block]
    is_error: bool = False

    @classmethod
    def failed(cls, text: str) -> ToolAnswer:
        """An answer that tells the model what went wrong."""
        return cls(content=text, is_error=True)

    @property
    def text(self) -> str:
        """The answer's text alone."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(str(block["text"]) for block in self.content if "text" in block)


NOT_RUN = ToolAnswer.failed("This tool was not run.")
"""What answers a call that nobody ran: the provider takes no call without its result."""


CUT_OFF = ToolAnswer.failed(
    "This tool was started, and the turn ended before it answered. It may have had its effect."
)
"""What answers a call that ran when its turn ended."""


def tool_result(call_id: str, answer: ToolAnswer) -> Block:
    """The block with which the provider takes a tool's answer."""
    result: Block = {"type": "tool_result", "tool_use_id": call_id, "content": answer.content}
    if answer.is_error:
        result["is_error"] = True
    return result
