"""A session as the provider reads it: a head, and a list of entries that only grows.

The rule. A request is the head and the entries after it. The provider binds a model's thinking to
everything before it, and caches a prompt only from its beginning. So nothing that was sent ever
changes. A later change is told in an entry of its own (`protocol.announcing`). Only a new *epoch*
replaces the head. Entries from before the epoch are then sent without their thinking, because it is
bound to the old head, and without their announcements, because the new head has their texts.

Three kinds of models read one session differently (`protocol.provider.model_info.Binding`):

- *checked*: as described above;
- *appended*: the same, but an epoch leaves no thinking out, because nothing checks it;
- *rebuilt*: the head is made anew for every request, and announcements are left out.

A `Transcript` renders the session for one kind and keeps running sums. So asking, weighing and
shortening cost as much as the new text, however long the session is. An entry is rendered once,
when it is added.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import add, sub
from typing import Any, NamedTuple

import msgspec

from protocol.provider.content import (
    Block,
    block_types,
    has_cited_document,
    has_sealed_text,
)
from protocol.provider.limits import EDGE_AMONG_MANY, LOOKBACK
from protocol.provider.model_info import Binding
from protocol.provider.models import binding
from protocol.provider.request import CACHE_MARK
from protocol.provider.thinking import THINKING
from protocol.records import Entry

PICTURE = 6_000
"""Characters of English that cost about what a picture does."""

_MESSAGE_END = b"}]}"
_CALL = "tool_use"
_PLAIN = ["text"]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Block]).decode


class Sums(NamedTuple):
    """The sums over the first messages of a request.

    `size` counts the bytes that are sent, with a comma after each message; `announced` is the part
    of `size` that announcements have. `counted` is the tokenizer's count of the text, `media` are
    the tokens of pictures and documents. `blocks` counts blocks of content, `results` answers of
    tools, `thoughts` blocks of thinking. `cited` counts messages with a document that the model is
    to cite, `sealed` those with text that only the provider can read.
    """

    size: int = 0
    announced: int = 0
    counted: int = 0
    media: int = 0
    pictures: int = 0
    documents: int = 0
    blocks: int = 0
    results: int = 0
    thoughts: int = 0
    tool_changes: int = 0
    cited: int = 0
    sealed: int = 0

    def plus(self, other: Sums) -> Sums:
        """Both together."""
        return Sums._make(map(add, self, other))

    def minus(self, other: Sums) -> Sums:
        """These sums without the `other` ones, which are a part of them."""
        return Sums._make(map(sub, self, other))


NOTHING = Sums()


class Result(NamedTuple):
    """One answer of a tool: the message that has it, and the tokens of all answers up to it."""

    message: int
    counted: float
    media: float


class Transcript:
    """The messages of one epoch, as models of one kind get them; see `Head` for the places."""

    def __init__(self, binding: Binding, began: int, bare: int = 0) -> None:
        self.binding = binding
        self.began = began
        self.bare = bare
        self.entries: list[Entry] = []
        """Those that are sent, in their order."""
        self.turns: list[int] = []
        """Which messages begin a turn."""
        self.results: list[Result] = []
        """Every answer of a tool among them."""
        self.announced: list[int] = []
        """Which messages announce something."""
        self.large: list[int] = []
        """Which messages have a picture that is too large to be one of many."""
        self._calls: dict[str, int] = {}
        """The ids of calls, in their order, and the first message that has each."""
        self._places: list[int] = []
        self._sums: list[Sums] = [NOTHING]
        self._messages = bytearray()

    def __len__(self) -> int:
        return len(self.entries)

    # --- adding --------------------------------------------------------------------------------

    def add(self, entry: Entry) -> None:
        """Put an entry at the end, if models of this kind get it."""
        if entry.role == "system" and (entry.place < self.began or self.binding == "rebuilt"):
            return
        content, counted = self._content(entry)
        kinds = block_types(content)
        if not self.entries or self.entries[-1].turn_id != entry.turn_id:
            self.turns.append(len(self.entries))
        if entry.role == "system":
            self.announced.append(len(self.entries))
        if entry.attached.edge > EDGE_AMONG_MANY:
            self.large.append(len(self.entries))
        results = kinds.count("tool_result")
        if results:
            self._add_results(content, results, counted, entry.media_tokens)
        if kinds != _PLAIN and any(kind.endswith(_CALL) for kind in kinds):
            self._add_calls(content)
        message = b'{"role":"%b","content":%b},' % (entry.role.encode(), content)
        added = Sums(
            size=len(message),
            announced=len(message) if entry.role == "system" else 0,
            counted=counted,
            media=entry.media_tokens,
            pictures=entry.attached.pictures,
            documents=entry.attached.documents,
            blocks=len(kinds),
            results=results,
            thoughts=sum(map(kinds.count, THINKING)),
            tool_changes=kinds.count("tool_addition") + kinds.count("tool_removal"),
            cited=entry.role == "user" and has_cited_document(content),
            sealed=has_sealed_text(content),
        )
        self._messages += message
        self.entries.append(entry)
        self._places.append(entry.place)
        self._sums.append(self._sums[-1].plus(added))

    def _content(self, entry: Entry) -> tuple[bytes, int]:
        """What is sent of an entry, and its tokens."""
        if entry.role != "assistant" or self._keeps_thinking(entry):
            return _listed(entry.content), entry.token_count
        blocks = _decode(entry.content)
        kept = [block for block in blocks if block.get("type") not in THINKING]
        if len(kept) == len(blocks):
            return entry.content, entry.token_count
        return _encode(kept), entry.token_count - entry.thinking_tokens

    def _keeps_thinking(self, entry: Entry) -> bool:
        """Whether the thinking of an answer is still sent.

        The thinking of a `rebuilt` model is bound to a head that no checking model was sent, or to
        nothing. A checking model that can read it would refuse it.
        """
        if self.binding != "checked":
            return entry.place >= self.bare
        is_bound = not entry.model or binding(entry.model) != "rebuilt"
        return is_bound and entry.place >= max(self.began, self.bare)

    def _add_results(self, content: bytes, results: int, counted: int, media: int) -> None:
        """Divide the tokens of a message among its answers of tools, by their size."""
        sizes = [1]
        if results > 1:
            blocks = _decode(content)
            sizes = [_shown_size(one) for one in blocks if one.get("type") == "tool_result"]
        whole = max(1, sum(sizes))
        last = self.results[-1] if self.results else Result(0, 0.0, 0.0)
        for size in sizes:
            part = size / whole
            last = Result(
                len(self.entries), last.counted + counted * part, last.media + media * part
            )
            self.results.append(last)

    def _add_calls(self, content: bytes) -> None:
        for block in _decode(content):
            if block["type"].endswith(_CALL):
                self._calls.setdefault(str(block["id"]), len(self.entries))

    def keep(self, count: int) -> None:
        """Take away all but the first `count` messages."""
        sums = self._sums[count]
        while self._calls and next(reversed(self._calls.values())) >= count:
            self._calls.popitem()
        del self._messages[sums.size :]
        del self.results[sums.results :]
        del self.entries[count:], self._places[count:], self._sums[count + 1 :]
        for marks in (self.turns, self.announced, self.large):
            del marks[bisect_left(marks, count) :]

    @contextmanager
    def draft(self, keep: int, entries: Sequence[Entry]) -> Iterator[None]:
        """Inside the block, `entries` follow the first `keep` messages."""
        gone = self.entries[keep:]
        self.keep(keep)
        try:
            for entry in entries:
                self.add(entry)
            yield
        finally:
            self.keep(keep)
            for entry in gone:
                self.add(entry)

    # --- looking -------------------------------------------------------------------------------

    def sums(self, end: int | None = None) -> Sums:
        """Of the first `end` messages, or of all."""
        return self._sums[-1 if end is None else end]

    def before(self, place: int) -> int:
        """How many messages stand before the place."""
        return bisect_left(self._places, place)

    def has_call(self, call_id: str, end: int) -> bool:
        """Whether one of the first `end` messages calls a tool with this id."""
        return self._calls.get(call_id, end) < end

    def body(self, head: bytes, *, caches: bool, mark: bytes = CACHE_MARK) -> bytes:
        """The body of a request; `head` is its JSON without the messages.

        With `caches` the provider is asked to cache it. The provider sets the last breakpoint
        itself, and looks for the former request's cache in the `LOOKBACK` blocks before it. If the
        former request ended earlier, a breakpoint is set at its end.
        """
        end = len(self._messages) - 1  # without the last comma
        at = self._mark(len(self), caches=caches)
        parts: list[bytes | memoryview] = [head[:-1], b',"messages":[']
        with memoryview(self._messages) as messages:
            if at is None:
                parts.append(messages[:end])
            else:
                parts += [messages[:at], mark, messages[at:end]]
            body = b"".join([*parts, b"]}"])
            parts.clear()  # while a part is held, nothing can be added
        return body

    def history(self, end: int, *, caches: bool) -> bytes:
        """The first `end` messages as in `body`, without announcements; empty if there are none.

        Its length is `history_size`.
        """
        if not self.history_size(end, caches=False):
            return b""
        mark = self._mark(end, caches=caches)
        parts: list[bytes | memoryview] = [b"["]
        begin = 0
        with memoryview(self._messages) as messages:
            for announced in [*self.announced[: bisect_left(self.announced, end)], end]:
                first, last = self._sums[begin].size, self._sums[announced].size
                if mark is not None and first <= mark < last:
                    parts += [messages[first:mark], CACHE_MARK]
                    first = mark
                if first < last:
                    parts.append(messages[first:last])
                begin = announced + 1
            parts[-1] = parts[-1][:-1]  # without the last comma
            text = b"".join([*parts, b"]"])
            parts.clear()  # while a part is held, nothing can be added
        return text

    def history_size(self, end: int, *, caches: bool) -> int:
        """Bytes of `history`."""
        sums = self._sums[end]
        size = sums.size - sums.announced
        if not size:
            return 0
        mark = self._distant_end() if caches else None
        is_marked = mark is not None and mark < end and mark not in self.announced
        return size + 1 + (len(CACHE_MARK) if is_marked else 0)

    def _mark(self, end: int, *, caches: bool) -> int | None:
        """The breakpoint's position in the bytes; `None` if the first `end` messages have none."""
        marked = self._distant_end() if caches else None
        if marked is None or marked >= end:
            return None
        return self._sums[marked + 1].size - 1 - len(_MESSAGE_END)

    def _distant_end(self) -> int | None:
        """The former request's last message, if it is too far back for the cache to find."""
        at = self._last_answer()
        if not at:
            return None
        blocks = self._sums[-1].blocks - self._sums[at].blocks
        return at - 1 if blocks >= LOOKBACK else None

    def _last_answer(self) -> int:
        """Where the last run of answers begins."""
        begin = len(self)
        while begin and self.entries[begin - 1].role != "assistant":
            begin -= 1
        while begin and self.entries[begin - 1].role == "assistant":
            begin -= 1
        return begin


def _listed(content: bytes) -> bytes:
    """Content as a list of blocks, so that a breakpoint in it changes nothing else."""
    if content.startswith(b'"'):
        return b'[{"type":"text","text":' + content + b"}]"
    return content


def _shown_size(block: Any) -> int:
    """About how much of an answer the model reads, in characters of English."""
    match block:
        case {"type": "image" | "document"}:
            return PICTURE
        case str():
            return len(block)
        case list():
            return sum(_shown_size(one) for one in block)
        case dict():
            return sum(_shown_size(one) for one in block.values())
    return 1
