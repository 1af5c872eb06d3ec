"""Which messages answer which: each request of a client, with what the gateway says to it."""

from __future__ import annotations

from typing import get_args

from protocol.client import (
    AnyClientMessage,
    ChatResume,
    ChatSend,
    ClientMessage,
    GatewayStatus,
    Ping,
)
from protocol.request import Request, answer_type
from protocol.server import (
    ChatStreamDelta,
    ChatStreamEnd,
    ChatStreamNotice,
    ChatStreamReasoning,
    ChatStreamSource,
    ChatStreamStart,
    GatewayStatusReport,
    Pong,
    ServerMessage,
    SessionCreated,
    ToolApprovalRequest,
    ToolCall,
    ToolError,
    ToolResult,
)

CLIENT_MESSAGES: tuple[type[ClientMessage], ...] = get_args(AnyClientMessage)

STREAM: tuple[type[ServerMessage], ...] = (
    ChatStreamStart,
    ChatStreamDelta,
    ChatStreamReasoning,
    ChatStreamSource,
    ToolCall,
    ToolResult,
    ToolError,
    ToolApprovalRequest,
    ChatStreamNotice,
    ChatStreamEnd,
)
"""A turn's frames; an `error` in place of the last one ends it too."""

_REPLIES: dict[type[ClientMessage], tuple[type[ServerMessage], ...]] = {
    ChatSend: (SessionCreated, *STREAM),
    ChatResume: STREAM,
    GatewayStatus: (GatewayStatusReport,),
    Ping: (Pong,),
}


def replies(kind: type[ClientMessage]) -> tuple[type[ServerMessage], ...]:
    """What answers a client's message, besides an `error`; none when only that would."""
    if issubclass(kind, Request):
        return (answer_type(kind),)
    return _REPLIES.get(kind, ())
