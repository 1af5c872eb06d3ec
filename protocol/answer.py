"""Folding the provider's events into an answer: its blocks, its usage, and what to show of it.

Pure: events in, turn events out. Blocks are kept as the provider sent them. Usage figures are
cumulative, so the latest one replaces the former; only a seen `message_stop` is a whole answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from protocol.billing import Meter
from protocol.blocks import OpenBlock, text_in, text_of
from protocol.calls import CallIds, judged
from protocol.closing import without_gap
from protocol.fences import FenceSplitter, NoFences
from protocol.free_form import is_too_deep
from protocol.passes import Readings
from protocol.provider.asides import AppliedEdit, applied_edits, transformations
from protocol.provider.containers import container_id
from protocol.provider.content import Block
from protocol.provider.events import (
    BlockDelta,
    CitationsDelta,
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    InputJsonDelta,
    MalformedEvent,
    MessageDelta,
    MessageStart,
    MessageStop,
    ProviderEvent,
    ProviderMessage,
    TextDelta,
    ThinkingDelta,
    UnknownDelta,
    UnreadableStart,
)
from protocol.provider.model_ids import LONGEST_ID, other_model
from protocol.provider.thinking import THINKING
from protocol.server_uses import ServerUses, without_result
from protocol.sizes import JSON_DENSITY, size_of
from protocol.sources import Sources
from protocol.stopping import StopDetails, reason_of
from protocol.turn import Reasoning, TurnEvent
from protocol.usage import Terms, TokenCounts


class Answer:
    """What has been received of one answer.

    `urls` are those that the turn has shown already, `ids` those of its tool calls, `uses` those of
    the provider's own tools. The prompt may be asked to be cached `for_an_hour`. The model may
    search `most_searches` times.
    """

    def __init__(
        self,
        urls: set[str] | None = None,
        ids: CallIds | None = None,
        uses: ServerUses | None = None,
        *,
        is_data: bool = False,
        for_an_hour: bool = False,
        most_searches: int | None = None,
    ) -> None:
        self.started = False
        self.complete = False
        self.model: str | None = None
        """The model that answers, as the provider says."""
        self.stop_reason: str | None = None
        self.stop_details: StopDetails | None = None
        self.stop_sequence: str | None = None
        self.blocks: list[Block] = []
        self._open: dict[int, OpenBlock] = {}
        self._fences: FenceSplitter | NoFences = NoFences() if is_data else FenceSplitter()
        self._sources = Sources(set() if urls is None else urls)
        self._ids = CallIds("call") if ids is None else ids
        self._uses = ServerUses() if uses is None else uses
        self.faults: dict[str, str] = {}
        """Why calls cannot be run, for the model, by their id."""
        self._meter = Meter(for_an_hour=for_an_hour, most_searches=most_searches)
        self._is_closing = False
        self._output_is_final = False
        self._unfit: set[int] = set()  # the places of blocks that the provider does not take back
        self._running: set[str] = set()  # the ids of uses of the provider's own tools
        self.size = 0.0
        """Of what came so far, in characters of English: for an estimate of its tokens."""
        self.edits: list[AppliedEdit] = []
        """What the provider left out of the prompt by itself."""
        self.container: Any = None
        """Where code was executed, as the provider tells it."""
        self.mismatched = 0
        """Thinking blocks of the request that did not fit what stood before them."""
        self.dropped = 0
        """Those of them that the model did not see."""

    def feed(self, event: ProviderEvent) -> Sequence[TurnEvent]:
        """What `event` adds to the turn's log. Raises MalformedEvent when it is out of order."""
        if isinstance(event, ContentBlockDelta):  # several times as fast as a pattern
            return self._grow(self._block(event.index), event.delta)
        match event:
            case ContentBlockStart(index=index, content_block=block):
                return self._begin(index, block)
            case ContentBlockStop(index=index):
                self._finish(index)
            case UnknownDelta(index=index):
                if index in self._open:
                    self._open[index].is_known = False
            case MessageStart(message=message):
                self._start(message)
            case UnreadableStart():
                self.started = True
                raise MalformedEvent("the beginning of the answer cannot be read")
            case MessageDelta():
                self._stop(event)
            case MessageStop():
                return self._end()
        return []

    @property
    def counts(self) -> TokenCounts:
        """What the provider has told so far; all zero before `message_start`."""
        return self._meter.counts(is_final=self._output_is_final)

    @property
    def tells_bill(self) -> bool:
        """Whether the provider has told the final figures."""
        return self._output_is_final and self._meter.tells_passes

    @property
    def tells_size(self) -> bool:
        """Whether the input's bill says how large the prompt was."""
        return self._meter.tells_size

    def billed(
        self, prompt_tokens: int, characters_a_token: float, *, coming: bool = False
    ) -> TokenCounts:
        """What is billed: as it was told, or else estimated, but for the output; see `Meter`."""
        if self.tells_bill:
            return self.counts
        estimate = self._meter.estimate(prompt_tokens, characters_a_token, coming=coming)
        return estimate if self.started else self.counts

    def readings(self, *, coming: bool = False) -> Readings:
        """How often more than once the prompt is read, and how much with it."""
        return self._meter.readings(coming=coming)

    def terms(self, asked: str) -> Terms:
        """What its price depends on besides its counts, where the model `asked` was asked."""
        category = UNSET if self.stop_details is None else self.stop_details.category
        return self._meter.terms(
            asked,
            other_model(asked, self.model),
            refusal=None if category is UNSET else category,
            is_refused=self.stop_reason == "refusal",
            has_text=self.size > 0,
        )

    @property
    def output_is_final(self) -> bool:
        """Whether the provider has told the final output figure."""
        return self._output_is_final

    @property
    def is_working(self) -> bool:
        """Whether the model may work on without a word, so that a ping is a sign of life.

        It may while it thinks: of thinking with the display `omitted` nothing comes but the
        signature, and a summary comes late (the provider's page on thinking; reports:
        Yeachan-Heo/gajae-code 4096, charmbracelet/fantasy 362). So it may while it writes
        arguments, while a tool of the provider's runs, and between two blocks: it then reads a
        result and thinks about it. It may not while it writes text, which comes as it is written,
        nor once the answer is closing.
        """
        if self._is_closing:
            return False
        return bool(self._running) or {one.begun["type"] for one in self._open.values()} != {"text"}

    @property
    def text(self) -> str:
        """All text, reasoning and arguments received, for estimating what was never billed."""
        parts = [text_of(block) for block in self.blocks]
        for block in self._open.values():
            parts += (text_of(block.begun), *block.text, *block.thinking, *block.json)
        return "".join(parts)

    @property
    def said(self) -> str:
        """The text of its whole blocks."""
        return "".join(text_in(block, "text") for block in self.blocks if block["type"] == "text")

    @property
    def reasoning(self) -> str:
        """All reasoning received, a part of `text`."""
        parts = [text_in(block, "thinking") for block in self.blocks]
        for block in self._open.values():
            parts += (text_in(block.begun, "thinking"), *block.thinking)
        return "".join(parts)

    @property
    def calls(self) -> list[Block]:
        """The tools called that are not the provider's own, each with whole arguments."""
        return [block for block in self.blocks if block.get("type") == "tool_use"]

    @property
    def pauses(self) -> bool:
        """Whether the provider wants it back as it is, to go on."""
        return self.complete and self.stop_reason == "pause_turn"

    def kept_blocks(self) -> list[Block]:
        """The blocks for the session's history: as they came, where the provider takes them back.

        It takes back no blank text, and no thinking without its signature or its data. Of an answer
        that broke off the text of an open block is kept, and whole tool calls are: the model is
        told that nobody ran them. Where a block is missing, the thinking after it goes too, for it
        is bound to what stood before; but not from an answer that calls tools, which is not over.
        So does thinking at the end, with which no message may end. A use of one of the provider's
        own tools stays without its result: see `protocol.closing`. A block of an unknown type is
        kept; one that grew in an unknown way, or by a piece of another type than its own, would not
        go back as it came, and is missing.
        """
        blocks = self.blocks if self.complete else [*self.blocks, *self._open_texts()]
        gone = {at for at, one in enumerate(blocks) if at in self._unfit or not _stays(one)}
        gone |= without_result(blocks, gone)
        if self.complete and self.calls:  # a tool loop goes on with all of its thinking
            kept = [block for at, block in enumerate(blocks) if at not in gone]
        else:
            kept = without_gap(blocks, gone)
        while kept and kept[-1].get("type") in THINKING:
            kept.pop()
        return kept

    def _open_texts(self) -> list[Block]:
        unfinished = [self._open[index] for index in sorted(self._open)]
        return [block.whole() for block in unfinished if block.begun.get("type") == "text"]

    def flush(self) -> Sequence[TurnEvent]:
        """The text still held back, when the answer is over or broke off."""
        return self._fences.flush()

    def _block(self, index: int) -> OpenBlock:
        try:
            return self._open[index]
        except KeyError:
            raise MalformedEvent("a piece of a content block that is not open") from None

    def _start(self, message: ProviderMessage) -> None:
        if self.started:
            raise MalformedEvent("a second message_start")
        self.started = True
        if isinstance(message.model, str):
            self.model = message.model[:LONGEST_ID] or None
        found = transformations(message.input_transformations)
        self.container = message.container
        self.mismatched = sum(one.is_mismatch for one in found)
        self.dropped = sum(one.is_dropped for one in found)
        self._meter.add(message.usage)

    def _begin(self, index: int, block: Block) -> Sequence[TurnEvent]:
        if not self.started or self.complete or index in self._open:
            raise MalformedEvent("content_block_start out of order")
        if len(self._open) >= MOST_OPEN:
            raise MalformedEvent(f"more than {MOST_OPEN} content blocks are open at once")
        self._open[index] = OpenBlock(block)
        block = self._open[index].begun
        self._meter.see(block, self.size)
        match block:
            case {"type": "text", "text": str(text)}:
                return self._show(text)
            case {"type": "thinking", "thinking": str(text)}:
                return self._reason(text)
        return self._sources.of_block(block)

    def _grow(self, block: OpenBlock, delta: BlockDelta) -> Sequence[TurnEvent]:
        block.grow(delta)
        if isinstance(delta, TextDelta):
            return self._show(delta.text)
        if isinstance(delta, ThinkingDelta):
            return self._reason(delta.thinking)
        if isinstance(delta, InputJsonDelta):
            if block.begun.get("type") in ("text", *THINKING):
                raise MalformedEvent("arguments for a block that takes none")
            self.size += size_of(delta.partial_json) * JSON_DENSITY
        elif isinstance(delta, CitationsDelta) and isinstance(delta.citation, dict):
            self._meter.cite([delta.citation])
            return self._sources.of_citation(delta.citation)
        return []

    def _finish(self, index: int) -> None:
        grown = self._block(index)
        del self._open[index]
        block = grown.whole()
        self._meter.close(block)
        if not grown.is_known and block.get("type") not in _SAID:
            self._unfit.add(len(self.blocks))
        match block:
            case {"type": "tool_use"}:
                block, fault = judged(block, self._ids)
                if fault is not None:
                    self.faults[block["id"]] = fault
            case {"type": "server_tool_use", "id": str(use), **more}:
                self._running.add(use)
                given = more.get("input", {})
                if not isinstance(given, dict) or is_too_deep(given):
                    block["input"] = {}  # nothing else is taken back
            case {"tool_use_id": str(use)}:
                self._running.discard(use)
        if not self._uses.takes(block):
            self._unfit.add(len(self.blocks))
        self.blocks.append(block)

    def _stop(self, event: MessageDelta) -> None:
        if not self.started or self.complete:
            raise MalformedEvent("message_delta out of order")
        self._is_closing = True
        self._meter.add(event.usage)
        self.stop_reason = reason_of(event.delta.stop_reason) or self.stop_reason
        if container_id(event.delta.container) is not None:
            self.container = event.delta.container
        self.stop_details = StopDetails.of(event.delta.stop_details) or self.stop_details
        if isinstance(event.delta.stop_sequence, str):
            self.stop_sequence = event.delta.stop_sequence[:LONGEST_STOP]
        self.edits = applied_edits(event.context_management) or self.edits
        told = event.usage is not None and event.usage.output_tokens is not None
        if self.stop_reason is not None and told:
            self._output_is_final = True

    def _end(self) -> Sequence[TurnEvent]:
        # Without a message_delta nobody knows why it stopped, nor what it costs.
        if not self._is_closing or self._open or self.complete:
            raise MalformedEvent("message_stop out of order")
        self.complete = True
        return self.flush()

    def _show(self, text: str) -> Sequence[TurnEvent]:
        self.size += size_of(text)
        return self._fences.feed(text)

    def _reason(self, text: str) -> Sequence[TurnEvent]:
        self.size += size_of(text)
        return [Reasoning(text)] if text else []


def _stays(block: Block) -> bool:
    match block:
        case {"type": "text"}:
            return bool(str(block.get("text") or "").strip())
        case {"type": "thinking"}:
            return bool(text_in(block, "signature"))
        case {"type": "redacted_thinking"}:
            return bool(text_in(block, "data"))
    return True


_SAID = ("text", "tool_use", "server_tool_use")
"""Blocks that the provider takes back without what else may belong to them."""

MOST_OPEN = 256
"""Content blocks that may be open at once. The provider writes one after another; some proxies
open all the calls of an answer before they write the first."""

LONGEST_STOP = 256
"""Characters of a stop sequence, as a client may give it."""
