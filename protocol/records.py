"""What the ledger keeps: plain data, the same for every database.

Times are milliseconds since the epoch (UTC); `content` is JSON, exactly as it goes upstream.
Token counts of text are the tokenizer's own; the learned ratio is applied when they are shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from protocol.context import SectionName, SectionWeight
from protocol.usage import MOST_FIGURE, MOST_SUM, Cost, Terms, TokenCounts
from protocol.wire import NAME_OF_A_FOLDER

Moment = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
"""Milliseconds since the epoch, before the year 10000, which ISO 8601 cannot write."""

Quantity = Annotated[int, Meta(ge=0, le=MOST_SUM)]
"""A count, a size or a place."""

TurnStatus = Literal["open", "completed", "cancelled", "failed", "interrupted"]

EntryRole = Literal["user", "assistant", "system"]
"""A `system` entry tells the model what has changed since it was told (`protocol.announcing`)."""

EntryStatus = Literal["complete", "partial", "unanswered", "refused", "replaced"]
"""How an entry ended, and whether the model gets it.

`complete` and `partial` entries are sent. The provider never accepted an `unanswered` question.
The model would not answer a `refused` turn, or the provider refused it later. Both are kept for
people. A `replaced` entry is written again, mended, at a later place; nobody is shown it.
"""

SENT: frozenset[EntryStatus] = frozenset({"complete", "partial"})
"""The statuses of what the model gets."""


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """Where the provider has executed code; times in milliseconds since the epoch.

    `since` is when it was first heard of, `idle_until` what the provider last told of its end.
    """

    id: str
    since: Moment
    idle_until: Moment


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One session. `model`, `system` and `tools` (JSON) are the last ones asked for.

    `container` is the one in which its code was executed last.
    `version` grows by one with every write to the session or its entries.
    """

    session_id: str
    agent_id: Annotated[str, Meta(max_length=64, pattern=NAME_OF_A_FOLDER)]
    model: Annotated[str, Meta(pattern=r"^[!-~]{1,128}(?!\n)$")]
    system: str | None
    tools: bytes | None
    title: str | None
    created_at: Moment
    last_active_at: Moment
    message_count: Quantity = 0
    version: Quantity = 0
    container: Container | None = None

    @property
    def key(self) -> str:
        """The session's key on the wire."""
        return f"agent:{self.agent_id}:{self.session_id}"


class Attached(msgspec.Struct, frozen=True, gc=False):
    """A message's pictures and documents: how many, and the longest side of a picture in pixels."""

    pictures: Quantity = 0
    documents: Quantity = 0
    edge: Quantity = 0

    def __add__(self, other: Attached) -> Attached:
        return Attached(
            pictures=self.pictures + other.pictures,
            documents=self.documents + other.documents,
            edge=max(self.edge, other.edge),
        )


class Announced(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one block of a `system` entry adds to a section: UTF-8 bytes, and tokens as counted."""

    section: SectionName
    byte_count: Quantity
    token_count: Quantity


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):  # many, and in no cycle
    """One entry of a session's transcript: written once, measured once.

    `place` is its number in the session, from 0 without a gap. `byte_count` is of `content`,
    `token_count` of its text; `thinking_tokens` is the part of them that is thinking.
    `media_tokens` is what its pictures and documents weigh; the learned ratio does not apply to
    them. `model` wrote the answer. `sections` are those of a `system` entry's blocks, in order.
    """

    place: Quantity
    turn_id: str
    role: EntryRole
    content: bytes
    status: EntryStatus
    created_at: Moment
    byte_count: Quantity
    token_count: Quantity
    thinking_tokens: Quantity = 0
    media_tokens: Quantity = 0
    attached: Attached = Attached()
    model: str = ""
    sections: tuple[Announced, ...] = ()


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What every request of an epoch begins with.

    `system` are the texts of the system prompt's sections in their order, empty ones left out,
    `tools` the definitions of the tools as a JSON list. The request goes on with the entries from
    the place `first` on. Those before `began` are from an earlier epoch: for models that check it
    they go without their thinking, which was bound to another head. Those before `bare` go without
    it for every model: the provider has refused it. An epoch that began `inside_turn` has thinking
    of that turn that does not fit it: the next turn begins another. `left_out_turns` and
    `left_out_messages` are before `first`.
    """

    epoch: Quantity
    first: Quantity
    began: Quantity
    system: tuple[tuple[SectionName, str], ...]
    tools: bytes = b"[]"
    bare: Quantity = 0
    inside_turn: bool = False
    left_out_turns: Quantity = 0
    left_out_messages: Quantity = 0


class Withheld(msgspec.Struct, frozen=True, kw_only=True):
    """The entries from the place `first` to `last`, or to the end, are not sent any more.

    Their `status` says why.
    """

    first: int
    status: EntryStatus
    last: int | None = None

    def has(self, entry: Entry) -> bool:
        """Whether the entry is one of them."""
        return entry.place >= self.first and (self.last is None or entry.place <= self.last)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What one write does to a session, in this order: withhold, append, put a head.

    `session` is the session after the write, but with the `version` that the change was built on.
    The write is refused if the stored version differs.
    """

    session: SessionRecord
    withheld: Withheld | None = None
    entries: tuple[Entry, ...] = ()
    head: Head | None = None


class StoredSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session as it is loaded: its newest head, and the entries from that head's `first` on.

    `next_place` is that of the next entry. Without a head all entries are there.
    """

    session: SessionRecord
    head: Head | None
    entries: list[Entry]
    next_place: int


class CalibrationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """For one request, what the tokenizer counted and what the provider billed for the same.

    Both are of text: what pictures and documents are taken for is in neither. A prompt that
    `is_opaque` may have been billed for text that only the provider can read.
    """

    model: str
    has_tools: bool
    counted: int
    billed: int
    is_opaque: bool = False


class StepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One request that a turn made of the provider, and what was billed for it.

    `counted_tokens` is the tokenizer's count of the text that was sent, `media_tokens` the estimate
    for its pictures and documents. `has_tools` says whether tools were on offer. The provider
    cleared `cleared_tokens` of the input by itself and did not bill them. `tells_size` when the
    bill of the input is that of the prompt, once. A prompt that `is_opaque` has text that only the
    provider can read. `terms` are those of its price; its `cost` is known once the turn is settled.
    """

    counts: TokenCounts
    stop_reason: str | None
    estimated: bool
    counted_tokens: int
    media_tokens: int = 0
    has_tools: bool = False
    cleared_tokens: int = 0
    tells_size: bool = True
    is_opaque: bool = False
    terms: Terms = Terms()
    cost: Cost | None = None

    def sample(self, model: str) -> CalibrationRecord | None:
        """What to learn from it; `None` if the bill says nothing of the prompt's size."""
        if not self.tells_size or self.counts.web_searches:  # older rows do not tell the former
            return None
        if self.estimated and self.has_tools:
            return None  # it broke off before the provider could tell what it has cleared
        billed = self.counts.input + self.cleared_tokens - self.media_tokens
        if not self.counts.input or not self._is_believable(billed):
            return None
        return CalibrationRecord(
            model=self.terms.model or model,
            has_tools=self.has_tools,
            counted=self.counted_tokens,
            billed=billed,
            is_opaque=self.is_opaque,
        )

    def _is_believable(self, billed: int) -> bool:
        """Whether a request can have been of this size; rows may hold what was never checked."""
        return 0 < billed <= MOST_FIGURE and 0 <= self.counted_tokens <= MOST_FIGURE


class TurnRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One turn's row: opened before the provider is called, settled exactly once.

    `counts` and `cost` are the sums of its `steps`. The other figures are of its first request:
    `counted_tokens` is the tokenizer's count, `token_estimate` the estimate of its weight, and
    `weights` the estimate for each section. The `model` of a settled turn is the one that was
    billed.
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
    def terms(self) -> Terms:
        """The terms of its latest request that told where it ran, or how fast."""
        told = (one.terms for one in reversed(self.steps) if one.terms.region or one.terms.speed)
        return next(told, Terms())

    @property
    def billed_model(self) -> str:
        """The model that was billed, if one was billed for all of its requests."""
        models = billed_models(self.model, self.steps)
        return models[0] if len(models) == 1 else self.model

    @property
    def is_mixed(self) -> bool:
        """Whether several models were billed for its requests."""
        return len(self.steps) > 1 and len(billed_models(self.model, self.steps)) > 1

    @property
    def first_counts(self) -> TokenCounts:
        """What its first request was billed, the one that was estimated."""
        return self.steps[0].counts if self.steps else self.counts


def billed_models(model: str, steps: Iterable[StepRecord]) -> list[str]:
    """The models that were billed for these requests of a turn for which `model` was asked."""
    return list(dict.fromkeys(step.terms.model or model for step in steps if step.counts.any))


class ModelTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What one model was billed: sums; `cost` is of the requests whose price is known.

    The cost of `estimated` requests is not exact.
    """

    model: str
    counts: TokenCounts
    cost: Decimal
    requests: int
    unpriced: int
    estimated: int = 0

    def __add__(self, other: ModelTotals) -> ModelTotals:
        return ModelTotals(
            model=self.model,
            counts=self.counts + other.counts,
            cost=self.cost + other.cost,
            requests=self.requests + other.requests,
            unpriced=self.unpriced + other.unpriced,
            estimated=self.estimated + other.estimated,
        )


class UsageTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What was billed: sums by model, and the turns of several models, which are in no sum."""

    models: tuple[ModelTotals, ...] = ()
    mixed: tuple[TurnRecord, ...] = ()
