"""What the gateway sends, field by field."""

from decimal import Decimal
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from msgspec import UNSET

from protocol import server
from protocol.codec import JSON
from protocol.context import SectionName
from protocol.errors import Failure
from protocol.server import AnyServerMessage, ErrorMessage, ServerMessage, Usage, WireCost
from protocol.usage import Cost, TokenCounts
from tests.protocol.strategies import FEW, values

# The contract: each type's fields, `?` for those that may be absent.
MESSAGES = {
    "gateway.hello": "protocol version connectionId defaultModel limits features",
    "session.created": "sessionId sessionKey requestId?",
    "chat.stream.start": "requestId sessionId model turnId seq routing?",
    "chat.stream.delta": "requestId delta contentType? seq",
    "chat.stream.reasoning": "requestId delta seq",
    "chat.stream.source": "requestId source seq",
    "tool.call": "requestId toolCallId toolName args seq clientSide?",
    "tool.result": "requestId toolCallId toolName result seq",
    "tool.error": "requestId toolCallId toolName error seq",
    "tool.approval.request": "requestId toolCallId toolName args risk? approval? seq",
    "chat.stream.end": "requestId turnId seq stopReason usage cost context? steps? stopDetails? "
    "model? stopSequence?",
    "chat.stream.notice": "requestId seq kind message retryAfterMs?",
    "error": "code message requestId? turnId? retryable retryAfterMs? usage? cost? sections? "
    "stopDetails? model?",
    "context.inspection": "requestId model sections totals window calibration exactTokens? "
    "context? turn?",
    "usage.report": "requestId perModel grandTotal",
    "session.list": "requestId sessions next?",
    "session.history": "requestId sessionId messages next?",
    "session.deleted": "requestId sessionId",
    "model.list": "requestId defaultModel models toolsLeftOut?",
    "gateway.status": "requestId version uptimeSeconds connections turns upstreamStreams logs "
    "logBytes detachedLogs? detachedLogBytes? providerPings? longestSilenceSeconds? mailboxes "
    "ledger ledgerQueue openRows oldestOpenRowSeconds? memoryBytes draining toolsLeftOut?",
    "pong": "requestId",
    "gateway.draining": "deadlineMs",
}
PARTS = {
    "Limits": "maxMessageBytes maxSessions maxPendingRequests maxMessageValues? maxContentBlocks? "
    "maxSchemaNodes? maxSchemaDepth?",
    "Routing": "tier reason",
    "Source": "url title? fileId?",
    "Usage": "inputTokens outputTokens totalTokens inputDetails outputDetails webSearches "
    "estimated region? speed?",
    "InputDetails": "uncached cacheRead cacheWrite5m cacheWrite1h",
    "OutputDetails": "thinking",
    "WireCost": "inputCost outputCost totalCost estimated?",
    "SentContext": "leftOutTurns leftOutMessages clearedToolUses? clearedTokens? "
    "droppedThinking? epoch?",
    "Section": "name content byteCount tokenEstimate costEstimate cached? cachedTokens? "
    "cachedCostEstimate? superseded?",
    "SectionWeight": "name byteCount tokenEstimate costEstimate",
    "TurnInspection": "turnId sections tokenEstimate billedTokens costEstimate billedCost error "
    "estimated?",
    "StepUsage": "stopReason usage",
    "Totals": "byteCount tokenEstimate costEstimate cachedTokens? cachedCostEstimate?",
    "Window": "limit used free",
    "Calibration": "ratio samples error?",
    "ModelUsage": "inputTokens outputTokens totalTokens inputDetails outputDetails webSearches "
    "totalCost requestCount unpricedRequests estimatedRequests?",
    "GrandTotal": "totalCost totalTokens requestCount unpricedRequests estimatedRequests?",
    "SessionSummary": "sessionId sessionKey model createdAt lastActiveAt messageCount title?",
    "HistoryMessage": "role content createdAt tokens? turnId? status?",
    "ModelSummary": "id displayName maxInputTokens maxTokens thinking efforts inputPrice "
    "outputPrice lifecycle? retiresAt?",
    "MailboxDepth": "waiting size",
    "StopDetails": "category? explanation?",
    "LeftOutTool": "name server? reason",
}
KINDS = {str(kind.__struct_config__.tag): kind for kind in get_args(AnyServerMessage)}


def contract(fields: str) -> dict[str, bool]:
    return {name.removesuffix("?"): not name.endswith("?") for name in fields.split()}


def written(kind: type[msgspec.Struct]) -> dict[str, bool]:
    return {field.encode_name: field.required for field in msgspec.structs.fields(kind)}


def test_the_types_are_the_contracts() -> None:
    """None more, none less; and every message is a part of the union."""
    assert set(KINDS) == set(MESSAGES)
    assert set(ServerMessage.__subclasses__()) == set(KINDS.values())


@pytest.mark.parametrize("type_name", MESSAGES)
def test_the_fields_are_the_contracts(type_name: str) -> None:
    """Their wire names, and which of them are always there."""
    assert written(KINDS[type_name]) == contract(MESSAGES[type_name])


@pytest.mark.parametrize("name", PARTS)
def test_the_parts_have_the_contracts_fields(name: str) -> None:
    """What messages are made of."""
    assert written(getattr(server, name)) == contract(PARTS[name])


@given(values(AnyServerMessage))
def test_what_has_nothing_to_say_is_absent_and_never_null(message: AnyServerMessage) -> None:
    """Null is for what must be said and is not known: a price, a result."""
    nullable = {
        "cost",
        "costEstimate",
        "cachedCostEstimate",
        "billedCost",
        "totalCost",
        "inputPrice",
        "outputPrice",
    }

    def check(value: Any) -> None:
        for name, item in value.items():
            assert item is not None or name in nullable
            for inner in item if isinstance(item, list) else [item]:
                if isinstance(inner, dict) and name not in ("args", "result", "content"):
                    check(inner)

    sent = {key: value for key, value in decoded(message).items() if key != "result"}
    check(sent)
    assert all(name.isidentifier() and "_" not in name for name in sent)


def decoded(message: ServerMessage) -> dict[str, Any]:
    sent = JSON.encode(message)
    return dict(msgspec.json.decode(sent))


def test_the_sections_are_in_the_order_in_which_they_are_sent() -> None:
    """All eight; the provider's own overhead is no part of the text."""
    assert get_args(SectionName) == (
        "system_prompt",
        "response_format",
        "memory",
        "skills",
        "tools",
        "history",
        "user_message",
        "provider_overhead",
    )


@FEW
@given(values(TokenCounts))
def test_usage_adds_up(counts: TokenCounts) -> None:
    """The input is everything, cached or not; the total is input and output."""
    usage = Usage.of(counts, estimated=True)
    parts = usage.input_details
    assert usage.input_tokens == (
        parts.uncached + parts.cache_read + parts.cache_write5m + parts.cache_write1h
    )
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert usage.output_details.thinking == counts.thinking
    assert (usage.web_searches, usage.estimated) == (counts.web_searches, True)


class _SentCost(msgspec.Struct, rename="camel"):
    """A cost as it is read to the last digit."""

    input_cost: Decimal
    output_cost: Decimal
    total_cost: Decimal


@FEW
@given(values(Cost))
def test_a_cost_goes_out_exactly(cost: Cost) -> None:
    """To the last digit of each part and of their sum."""
    wire = WireCost.of(cost)
    assert wire is not None
    sent = msgspec.json.Encoder(decimal_format="number").encode(wire)
    assert wire.estimated is (True if cost.estimated else UNSET)
    assert msgspec.json.decode(sent, type=_SentCost) == _SentCost(
        cost.input_cost, cost.output_cost, cost.input_cost + cost.output_cost
    )


def test_a_cost_that_is_not_known_is_null() -> None:
    """Never a guess."""
    assert WireCost.of(None) is None


def test_a_failure_says_what_is_known_of_it() -> None:
    """The request, the turn in the way, when to try again."""
    failure = Failure(
        code="SESSION_BUSY", message="Wait.", retryable=True, retry_after_ms=5, turn_id="t"
    )
    assert decoded(ErrorMessage.of(failure, "r")) == {
        "type": "error",
        "code": "SESSION_BUSY",
        "message": "Wait.",
        "retryable": True,
        "requestId": "r",
        "turnId": "t",
        "retryAfterMs": 5,
    }


def test_a_failure_says_nothing_that_is_not_known() -> None:
    """Not even the request, when its id could not be read."""
    failure = Failure(code="INVALID_MESSAGE", message="No.")
    assert decoded(ErrorMessage.of(failure, None)) == {
        "type": "error",
        "code": "INVALID_MESSAGE",
        "message": "No.",
        "retryable": False,
    }
