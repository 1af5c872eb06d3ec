"""What a load says to the gateway."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import msgspec

from agentspace.messages import (
    ChatCancel,
    ChatResume,
    ChatSend,
    FromClient,
    ToolApprovalResponse,
    ToolDeclaration,
    ToolOutput,
)
from gateway.load.mix import TurnKind

SIMULATED: Final = "Tell of the sea. [[sim: count=40 chars=30 rate=20]]"
"""What is asked of a simulated provider: 40 pieces of 30 characters in two seconds."""

PLAIN: Final = "Tell of the sea in three sentences."

TOOL: Final = ToolDeclaration(
    name="load_lookup",
    description="Looks up the tide of a port.",
    input_schema={
        "type": "object",
        "properties": {"port": {"type": "string"}},
        "required": ["port"],
    },
)
_DIRECTIVE: Final = "[[sim:"
_WITH_TOOL: Final = " Look up the tide in Oslo first. Use load_lookup."
_DIRECTED: Final = ' [[sim: tool=load_lookup {"port": "Oslo"}]]'

Sendable = FromClient | dict[str, Any]
"""A message: one of the protocol's, or its fields as they are on the wire."""

_encode = msgspec.json.Encoder().encode


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """What every turn asks, but for what its kind adds."""

    content: str
    model: str | None = None
    max_tokens: int | None = None

    def question(self, kind: TurnKind, request_id: str, session_id: str | None) -> ChatSend:
        """The message that begins a turn.

        One whose connection is lost is over, unless another connection is to take it up.
        """
        has_tools = kind == "tools"
        return ChatSend(
            id=request_id,
            content=self._with_tool() if has_tools else self.content,
            session_id=session_id,
            model=self.model,
            max_tokens=self.max_tokens,
            on_disconnect="detach" if kind == "drop" else "cancel",
            tools=[TOOL] if has_tools else None,
        )

    def _with_tool(self) -> str:
        return f"{self.content}{_WITH_TOOL}{_DIRECTED if _DIRECTIVE in self.content else ''}"


def cancel(request_id: str) -> ChatCancel:
    """Stop this turn."""
    return ChatCancel(id=f"{request_id}.c", request_id=request_id)


def resume(request_id: str, turn_id: str, after: int) -> ChatResume:
    """Take this turn up after the last event that was seen."""
    return ChatResume(id=f"{request_id}.r", turn_id=turn_id, after=after)


def tide(request_id: str, call_id: str) -> ToolOutput:
    """What the tool answers."""
    return ToolOutput(id=f"{request_id}.t", tool_call_id=call_id, content="High water at noon.")


def refuse(request_id: str, call_id: str) -> ToolApprovalResponse:
    """No load consents to a tool of the gateway's."""
    return ToolApprovalResponse(id=f"{request_id}.a", tool_call_id=call_id, approved=False)


def encoded(message: Sendable) -> bytes:
    """The message as it is sent."""
    return _encode(message)


def request_ids() -> Iterator[str]:
    """Ids of which no other load has one."""
    prefix = secrets.token_hex(4)
    return (f"load_{prefix}_{number}" for number in count(1))
