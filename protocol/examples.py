"""An example of every message: a short conversation about the weather in Bergen.

The ids of the session, the turn and the calls stand for those that the gateway gives.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import msgspec

from protocol import client, server
from protocol.context import Calibration, Section, Totals, Window
from protocol.provider.content import Base64Source, ImageBlock, TextBlock

SESSION = "session_3gkw28fP1cEyhBVq"
TURN = "turn_lBkaOZJl-DOi1Ibf"
CALL = "toolu_01Xz7VbQ2sKdY9mRfT4hPwLc"

_KEY = f"agent:default:{SESSION}"
_MODEL = "claude-sonnet-5-5"
_SPOKEN = "2026-11-21T09:00:00.000Z"
_PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)
_WEATHER = client.ToolDeclaration(
    name="weather",
    description="The weather of a city, now.",
    input_schema={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
)
_FORECAST = client.OutputFormat(
    schema={
        "type": "object",
        "properties": {"city": {"type": "string"}, "umbrella": {"type": "boolean"}},
        "required": ["city", "umbrella"],
        "additionalProperties": False,
    }
)


class Example(NamedTuple):
    """A message, and what it shows."""

    name: str
    message: msgspec.Struct


REQUESTS = (
    Example("a first question", client.ChatSend(id="1", content="Does it rain in Bergen?")),
    Example(
        "a question that the client's tool helps to answer",
        client.ChatSend(
            id="2",
            session_id=SESSION,
            content="Does it rain there now?",
            tools=[_WEATHER],
            effort="low",
            max_tokens=2_000,
        ),
    ),
    Example(
        "an answer with sources",
        client.ChatSend(
            id="3", session_id=SESSION, content="What do others say?", server_tools=["web_search"]
        ),
    ),
    Example(
        "a question about a picture",
        client.ChatSend(
            id="4",
            session_id=SESSION,
            content=[
                ImageBlock(source=Base64Source(media_type="image/png", data=_PIXEL)),
                TextBlock(text="Is this Bergen?"),
            ],
            max_cost=0.25,
            on_disconnect="cancel",
        ),
    ),
    Example(
        "an answer that follows a schema",
        client.ChatSend(
            id="5", session_id=SESSION, content="An umbrella?", output_format=_FORECAST
        ),
    ),
    Example("a tool's result", client.ToolOutput(id="6", tool_call_id=CALL, content="Rain, 7 °C.")),
    Example(
        "a person's consent",
        client.ToolApprovalResponse(id="7", tool_call_id=CALL, approved=True, session_approve=True),
    ),
    Example("an end before the answer's", client.ChatCancel(id="8", turn_id=TURN)),
    Example("the rest after a lost connection", client.ChatResume(id="9", turn_id=TURN, after=2)),
    Example(
        "the weight of the next request",
        client.ContextInspect(id="10", session_id=SESSION, content="And in Oslo?"),
    ),
    Example("this year's bill", client.UsageQuery(id="11", since="2026-01-01")),
    Example(
        "an empty session",
        client.SessionCreate(id="12", title="The weather", system="Answer in one sentence."),
    ),
    Example("the ten latest sessions", client.SessionList(id="13", limit=10)),
    Example("a session's messages", client.SessionHistory(id="14", session_id=SESSION)),
    Example("a session to forget", client.SessionDelete(id="15", session_id=SESSION)),
    Example("the models", client.ModelList(id="16")),
    Example("the figures", client.GatewayStatus(id="17")),
    Example("a sign of life", client.Ping(id="18")),
)
"""What a client sends: every message, in the order in which they make sense."""

_USAGE = server.Usage(
    input_tokens=95,
    output_tokens=17,
    total_tokens=112,
    input_details=server.InputDetails(uncached=95, cache_read=0, cache_write5m=0, cache_write1h=0),
    output_details=server.OutputDetails(thinking=0),
    web_searches=0,
    estimated=False,
)
_COST = server.WireCost(
    input_cost=Decimal("0.00019"), output_cost=Decimal("0.00017"), total_cost=Decimal("0.00036")
)

REPLIES = (
    Example(
        "the first frame",
        server.GatewayHello(
            protocol=1,
            version="0.1.0",
            connection_id="conn_J_iiNT7Id_OND-zI",
            default_model=_MODEL,
            limits=server.Limits(
                max_message_bytes=16_777_216, max_sessions=200, max_pending_requests=16
            ),
            features=["resume", "detach", "cancel", "inspect", "tools"],
        ),
    ),
    Example(
        "a session",
        server.SessionCreated(session_id=SESSION, session_key=_KEY, request_id="1"),
    ),
    Example(
        "an answer begins",
        server.ChatStreamStart(
            request_id="1", session_id=SESSION, model=_MODEL, turn_id=TURN, seq=0
        ),
    ),
    Example(
        "a thought",
        server.ChatStreamReasoning(request_id="1", delta="Bergen is wet, mostly.", seq=1),
    ),
    Example(
        "a piece of the answer",
        server.ChatStreamDelta(request_id="1", delta="Most likely: on two days", seq=2),
    ),
    Example(
        "a source",
        server.ChatStreamSource(
            request_id="1",
            source=server.Source(url="https://example.org/bergen", title="Bergen's weather"),
            seq=3,
        ),
    ),
    Example(
        "a call for the client",
        server.ToolCall(
            request_id="2",
            tool_call_id=CALL,
            tool_name="weather",
            args={"city": "Bergen"},
            seq=4,
            client_side=True,
        ),
    ),
    Example(
        "a tool's result",
        server.ToolResult(
            request_id="2", tool_call_id=CALL, tool_name="weather", result="Rain, 7 °C.", seq=5
        ),
    ),
    Example(
        "a tool that failed",
        server.ToolError(
            request_id="2",
            tool_call_id=CALL,
            tool_name="weather",
            error="The station does not answer.",
            seq=5,
        ),
    ),
    Example(
        "a question for a person",
        server.ToolApprovalRequest(
            request_id="2",
            tool_call_id=CALL,
            tool_name="mail__send",
            args={"to": "Kari"},
            seq=6,
            risk="medium",
            approval="session",
        ),
    ),
    Example(
        "a wait",
        server.ChatStreamNotice(
            request_id="1",
            seq=1,
            kind="retry",
            message="The provider is overloaded. It is asked again in 2 seconds.",
            retry_after_ms=2_000,
        ),
    ),
    Example(
        "an answer ends",
        server.ChatStreamEnd(
            request_id="1", turn_id=TURN, seq=7, stop_reason="end_turn", usage=_USAGE, cost=_COST
        ),
    ),
    Example(
        "a failure",
        server.ErrorMessage(
            code="SESSION_NOT_FOUND",
            message="There is no such session. It may have been deleted.",
            retryable=False,
            request_id="14",
        ),
    ),
    Example(
        "a weight",
        server.ContextInspection(
            request_id="10",
            model=_MODEL,
            sections=[
                Section(
                    name="user_message",
                    content="And in Oslo?",
                    byte_count=12,
                    token_estimate=5,
                    cost_estimate=Decimal("0.00001"),
                )
            ],
            totals=Totals(byte_count=12, token_estimate=5, cost_estimate=Decimal("0.00001")),
            window=Window(limit=1_000_000, used=5, free=999_995),
            calibration=Calibration(ratio=1.0, samples=0),
        ),
    ),
    Example(
        "a bill",
        server.UsageReport(
            request_id="11",
            per_model={
                _MODEL: server.ModelUsage(
                    input_tokens=95,
                    output_tokens=17,
                    total_tokens=112,
                    input_details=_USAGE.input_details,
                    output_details=_USAGE.output_details,
                    web_searches=0,
                    total_cost=Decimal("0.00036"),
                    request_count=1,
                    unpriced_requests=0,
                )
            },
            grand_total=server.GrandTotal(
                total_cost=Decimal("0.00036"),
                total_tokens=112,
                request_count=1,
                unpriced_requests=0,
            ),
        ),
    ),
    Example(
        "the latest session",
        server.SessionListing(
            request_id="13",
            sessions=[
                server.SessionSummary(
                    session_id=SESSION,
                    session_key=_KEY,
                    model=_MODEL,
                    created_at=_SPOKEN,
                    last_active_at=_SPOKEN,
                    message_count=2,
                    title="The weather",
                )
            ],
        ),
    ),
    Example(
        "a session's first messages",
        server.SessionHistoryPage(
            request_id="14",
            session_id=SESSION,
            messages=[
                server.HistoryMessage(
                    role="user",
                    content="Does it rain in Bergen?",
                    created_at=_SPOKEN,
                    tokens=8,
                    turn_id=TURN,
                ),
                server.HistoryMessage(
                    role="assistant",
                    content=[{"type": "text", "text": "Most likely: on two days out of three."}],
                    created_at=_SPOKEN,
                    tokens=17,
                    turn_id=TURN,
                ),
            ],
        ),
    ),
    Example("a session is gone", server.SessionDeleted(request_id="15", session_id=SESSION)),
    Example(
        "a model",
        server.ModelListing(
            request_id="16",
            default_model=_MODEL,
            models=[
                server.ModelSummary(
                    id=_MODEL,
                    display_name="Claude Sonnet 5.5",
                    max_input_tokens=1_000_000,
                    max_tokens=128_000,
                    thinking=["adaptive", "between_tools"],
                    efforts=["low", "medium", "high", "xhigh", "max"],
                    input_price=Decimal(2),
                    output_price=Decimal(10),
                    lifecycle="active",
                )
            ],
        ),
    ),
    Example(
        "the figures",
        server.GatewayStatusReport(
            request_id="17",
            version="0.1.0",
            uptime_seconds=1.517,
            connections=1,
            turns={"streaming": 0},
            upstream_streams=0,
            logs=1,
            log_bytes=1_264,
            mailboxes={"llm": server.MailboxDepth(waiting=0, size=1_024)},
            ledger="ok",
            ledger_queue=0,
            open_rows=0,
            memory_bytes=195_661_824,
            draining=False,
        ),
    ),
    Example("a sign of life", server.Pong(request_id="18")),
    Example("a farewell", server.GatewayDraining(deadline_ms=10_000)),
)
"""What the gateway sends: every message."""

EXAMPLES = (*REQUESTS, *REPLIES)


def payload(example: Example) -> object:
    """The message as it is sent, decoded."""
    sent = msgspec.json.Encoder(decimal_format="number").encode(example.message)
    return msgspec.json.decode(sent)
