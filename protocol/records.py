"""What the ledger keeps: plain data, the same for every database.

Times are milliseconds since the epoch (UTC); `content` is JSON, exactly as it goes upstream.
Token counts of text are the tokenizer's own; the learned ratio is applied when they are shown.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from protocol.context import SectionWeight
from protocol.provider.content import Role
from protocol.usage import Cost, TokenCounts

TurnStatus = Literal["open", "completed", "cancelled", "failed", "interrupted"]
MessageStatus = Literal["complete", "partial", "refused"]
"""A `refused` answer is kept for people to read, and its turn is not sent to the model again."""


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One session. `model`, `system` and `tools` (JSON) are the last ones asked for."""

    session_id: str
    agent_id: str
    model: str
    system: str | None
    tools: bytes | None
    title: str | None
    created_at: int
    last_active_at: int
    message_count: int = 0

    @property
    def key(self) -> str:
        """The session's key on the wire."""
        return f"agent:{self.agent_id}:{self.session_id}"


class Attached(msgspec.Struct, frozen=True):
    """A message's pictures and documents: how many, and the longest side of a picture in pixels."""

    pictures: int = 0
    documents: int = 0
    edge: int = 0

    def __add__(self, other: Attached) -> Attached:
        return Attached(
            pictures=self.pictures + other.pictures,
            documents=self.documents + other.documents,
            edge=max(self.edge, other.edge),
        )


class MessageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a session, measured once: bytes of `content`, tokens of its text.

    `media_tokens` is what its pictures and documents weigh, which the learned ratio leaves alone.
    """

    session_id: str
    turn_id: str
    role: Role
    content: bytes
    status: MessageStatus
    created_at: int
    byte_count: int
    token_count: int
    media_tokens: int = 0
    attached: Attached = Attached()
    message_id: int = 0


class CalibrationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """For one request, what the tokenizer counted and what the provider billed for the same.

    Both are of text: what pictures and documents are taken for is in neither.
    """

    model: str
    has_tools: bool
    counted: int
    billed: int


class StepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One request that a turn made of the provider, and what was billed for it.

    `counted_tokens` is the tokenizer's count of the text that was sent, `media_tokens` what its
    pictures and documents were taken for; `has_tools` whether tools went with it. Of
    the input the provider has cleared `cleared_tokens` by itself, and not billed them.
    """

    counts: TokenCounts
    stop_reason: str | None
    estimated: bool
    counted_tokens: int
    media_tokens: int = 0
    has_tools: bool = False
    cleared_tokens: int = 0

    def sample(self, model: str) -> CalibrationRecord | None:
        """What there is to learn from it, once the provider has told what the input is billed."""
        if self.estimated and self.has_tools:
            return None  # it broke off before the provider could tell what it has cleared
        billed = self.counts.input + self.cleared_tokens - self.media_tokens
        if not self.counts.input or billed <= 0:
            return None
        return CalibrationRecord(
            model=model, has_tools=self.has_tools, counted=self.counted_tokens, billed=billed
        )


class TurnRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One turn's row: opened before the provider is called, settled exactly once.

    `counts` and `cost` are the sums of its `steps`. `counted_tokens` is the tokenizer's count of
    what was sent first, `token_estimate` and `weights` what that was estimated to weigh, in all
    and section by section.
    """

    turn_id: str
    session_id: str
    request_id: str
    model: str
    status: TurnStatus
    created_at: int
    settled_at: int | None = None
    stop_reason: str | None = None
    error_code: str | None = None
    counted_tokens: int = 0
    counts: TokenCounts = TokenCounts()
    estimated: bool = False
    cost: Cost | None = None
    steps: tuple[StepRecord, ...] = ()
    token_estimate: int = 0
    cost_estimate: Decimal | None = None
    weights: tuple[SectionWeight, ...] = ()

    @property
    def first_counts(self) -> TokenCounts:
        """What its first request was billed, the one that was estimated."""
        return self.steps[0].counts if self.steps else self.counts


class ModelTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What one model was billed: exact sums; `cost` is of the requests whose price is known."""

    model: str
    counts: TokenCounts
    cost: Decimal
    requests: int
    unpriced: int
