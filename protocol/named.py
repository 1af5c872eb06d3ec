"""Values of the wire that have a name of their own in its schema, each with what it means."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from protocol.client import (
    AgentId,
    CacheTtl,
    Domain,
    Id,
    ModelId,
    OnDisconnect,
    OpaqueId,
    ServerTool,
    ThinkingChoice,
    Timestamp,
    ToolChoice,
    ToolName,
)
from protocol.context import SectionName
from protocol.errors import ErrorCode
from protocol.provider.content import Role
from protocol.provider.model_info import Lifecycle
from protocol.provider.thinking import Effort
from protocol.server import ContentType, HistoryStatus, LedgerState, NoticeKind, Tier
from protocol.tools import Approval, Risk

NAMED: dict[str, tuple[Any, str]] = {
    "Id": (Id, "1 to 64 of `A-Za-z0-9_.:-`."),
    "AgentId": (AgentId, "An id that cannot begin with a dot or a sign: it names a folder."),
    "ModelId": (ModelId, "A model's name, as `model.list` tells it, or as a cloud spells it."),
    "ToolName": (ToolName, "A tool's name, as the model sees it."),
    "Timestamp": (
        Timestamp,
        "A date, or a date and time, of ISO 8601. Without an offset it is UTC.",
    ),
    "Domain": (Domain, "A domain without `https://`; a path may follow."),
    "OpaqueId": (
        OpaqueId,
        "An id that does not reveal a person: no mail address, and no blanks as in a name.",
    ),
    "Usd": (Decimal, "An exact decimal number of US dollars."),
    "OnDisconnect": (
        OnDisconnect,
        (
            "What becomes of a turn when its connection is lost: it goes on and can be resumed for "
            "a while (`detach`), or it ends (`cancel`)."
        ),
    ),
    "ThinkingChoice": (
        ThinkingChoice,
        "The best thinking that the model has (`auto`), or the least (`off`).",
    ),
    "Effort": (Effort, "How much work the model puts into an answer."),
    "CacheTtl": (CacheTtl, "How long the provider keeps the prompt in its cache."),
    "ServerTool": (ServerTool, "A tool that the provider runs itself."),
    "ToolChoice": (
        ToolChoice,
        "The model decides (`auto`), must call one of the tools (`any`), or calls none (`none`).",
    ),
    "ContentType": (
        ContentType,
        "Prose, or a block of code from its opening fence to its closing one, both included.",
    ),
    "Tier": (Tier, "The price class of a model that the gateway chose."),
    "NoticeKind": (
        NoticeKind,
        (
            "`retry`: the provider could not answer and is asked again. `thinking_dropped`: the "
            "model goes on without some of its earlier thinking. `window`: the conversation is too "
            "long for the model, and its oldest turns are not sent."
        ),
    ),
    "Risk": (Risk, "How much harm a tool can do, as its server tells it."),
    "Approval": (
        Approval,
        (
            "Who must agree to a call: nobody (`auto`); a person, until told that the session may "
            "(`session`); a person each time (`always`)."
        ),
    ),
    "ErrorCode": (ErrorCode, "What kind of failure it is. Programs decide by it."),
    "SectionName": (
        SectionName,
        (
            "A section of the context, in the order in which they are sent. `provider_overhead` is "
            "what the provider adds of its own: it has tokens, but no text."
        ),
    ),
    "Role": (Role, "Who wrote a message."),
    "HistoryStatus": (
        HistoryStatus,
        (
            "Why a stored message is not whole: the answer broke off (`partial`), the question "
            "never got one (`unanswered`), or the provider refused it (`refused`)."
        ),
    ),
    "Lifecycle": (Lifecycle, "Whether a model is offered, about to go, or gone."),
    "LedgerState": (
        LedgerState,
        (
            "Whether the ledger can be written: another process has locked it (`locked`), or the "
            "disk is full (`full`)."
        ),
    ),
}
"""By name: the type, and its meaning."""
