"""A request of the provider, in pieces, so that a turn's next step only adds to it.

The pieces before an addition stay the same to the byte: the provider remembers what it has read
up to a breakpoint, and bills a tenth for it when it comes again. It puts the last breakpoint
itself (`cache_control` of the head), and finds what the former request left behind at most twenty
blocks before it. Where more lie between, a breakpoint is put at that very place (its page on
prompt caching).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from protocol.provider.content import block_types
from protocol.provider.request import RequestMessage
from protocol.records import MessageRecord

LOOKBACK = 20
"""Blocks before a breakpoint in which the provider looks for what it remembers."""

_BREAKPOINT = b'"cache_control":{"type":"ephemeral"}'
_encode = msgspec.json.Encoder().encode


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What a model takes: a window of `limit` tokens, of which the input has `room`.

    A request may have `most_attached` pictures and documents. Beyond `clears_at` tokens of input
    the provider is asked to clear old results of tools; `None`: it is not asked to.
    """

    limit: int
    room: int
    most_attached: int
    clears_at: int | None = None


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What a step of a turn sends.

    `head` is the request's JSON without messages; `turns` the history, whole turns, oldest first;
    `current` this turn's messages so far. `fixed_tokens` counts what is neither, `left_out_tokens`
    the turns that found no room; counts are the tokenizer's. With `caches` the provider is asked
    to remember it. `betas` names the unreleased features of the provider that the head uses.
    """

    model: str
    head: bytes
    turns: list[list[MessageRecord]]
    current: list[MessageRecord]
    fixed_tokens: int
    has_tools: bool
    allowance: Allowance
    caches: bool
    left_out_tokens: int = 0
    betas: tuple[str, ...] = ()

    def body(self) -> bytes:
        """The body of `POST /v1/messages`, as JSON."""
        return self.head[:-1] + b',"messages":' + _encode(self.messages()) + b"}"

    def messages(self) -> list[RequestMessage]:
        """The messages as they are sent."""
        return sent_messages(self._records, caches=self.caches)

    @property
    def counted_tokens(self) -> int:
        """All of its text, as the tokenizer counts."""
        return self.fixed_tokens + sum(message.token_count for message in self._records)

    @property
    def media_tokens(self) -> int:
        """What its pictures and documents weigh."""
        return sum(message.media_tokens for message in self._records)

    @property
    def _records(self) -> list[MessageRecord]:
        return [message for turn in self.turns for message in turn] + self.current


def sent_messages(records: Sequence[MessageRecord], *, caches: bool) -> list[RequestMessage]:
    """The messages as they are sent, with a breakpoint where one is needed."""
    place = _distant_end(records) if caches else None
    return [
        RequestMessage(
            record.role,
            msgspec.Raw(_marked(record.content) if number == place else record.content),
        )
        for number, record in enumerate(records)
    ]


def ends_in_thoughtless_calls(records: Sequence[MessageRecord]) -> bool:
    """Whether the model called tools without a thought before them, and has said nothing since.

    One that thinks within a budget does so once, before the first of the calls, and cannot begin
    behind them (the provider's page on extended thinking).
    """
    begin, end = _last_answer(records)
    if begin == end or end == len(records) or not _has_results(records[end]):
        return False
    while begin and _has_results(records[begin - 1]):
        begin, _ = _last_answer(records[:begin])
    return block_types(records[begin].content)[:1] not in (["thinking"], ["redacted_thinking"])


def _has_results(record: MessageRecord) -> bool:
    return "tool_result" in block_types(record.content)


def _last_answer(records: Sequence[MessageRecord]) -> tuple[int, int]:
    """Where the last run of the assistant's messages begins, and where it ends."""
    end = len(records)
    while end and records[end - 1].role == "user":
        end -= 1
    begin = end
    while begin and records[begin - 1].role == "assistant":
        begin -= 1
    return begin, end


def _distant_end(records: Sequence[MessageRecord]) -> int | None:
    """Where the former request ended, if that is too far away to be found."""
    at, _ = _last_answer(records)
    if not at:
        return None
    blocks = sum(len(block_types(record.content)) for record in records[at:])
    return at - 1 if blocks >= LOOKBACK else None


def _marked(content: bytes) -> bytes:
    """A user's content with a breakpoint at its end."""
    if content.startswith(b'"'):
        return b'[{"type":"text","text":' + content + b"," + _BREAKPOINT + b"}]"
    return content[:-2] + b"," + _BREAKPOINT + b"}]"
