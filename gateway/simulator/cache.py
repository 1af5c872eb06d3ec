"""The prompt cache: which part of a prompt was read, which was written, which was neither.

An entry stands for a prefix: the chained digest of every segment up to a breakpoint, under one
model. A breakpoint finds an entry within twenty positions, its own place being the first; a run of
calls counts as one position, and so does a run of results. The longest find counts. It lengthens
the entry's life; what lies between it and the last breakpoint is written, at the price of the
breakpoint that ends it.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

import msgspec

from gateway.simulator.prompt import RUNS, Segment

LOOKBACK = 20
SECONDS = {"5m": 300.0, "1h": 3600.0}


class Charge(msgspec.Struct, frozen=True):
    """How a prompt is billed, in tokens; the four add up to the whole prompt."""

    uncached: int
    read: int = 0
    written_5m: int = 0
    written_1h: int = 0

    def again(self, more: int) -> "Charge":
        """The bill of the same prompt with `more` tokens at its end, right after this one."""
        return Charge(self.uncached + more, self.read + self.written_5m + self.written_1h)

    def __add__(self, other: "Charge") -> "Charge":
        return Charge(
            self.uncached + other.uncached,
            self.read + other.read,
            self.written_5m + other.written_5m,
            self.written_1h + other.written_1h,
        )


class _Entry(msgspec.Struct):
    seconds: float
    expires: float


class PromptCache:
    """Remembers up to `limit` prefixes; the one unused for longest goes first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, limit: int = 20_000) -> None:
        self._clock = clock
        self._limit = limit
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()

    def charge(self, model: str, prompt: Sequence[Segment], least: int) -> Charge:
        """Bill a prompt and cache what its breakpoints ask for, from `least` tokens up."""
        total = sum(segment.tokens for segment in prompt)
        breakpoints = [at for at, segment in enumerate(prompt) if segment.ttl]
        if not breakpoints:
            return Charge(total)
        keys, ends = _prefixes(model, prompt)
        breakpoints = [at for at in breakpoints if ends[at] >= least]
        found = self._find(prompt, keys, breakpoints)
        read = ends[found] if found >= 0 else 0
        written = {"5m": 0, "1h": 0}
        done = read
        for at in breakpoints:
            ttl = prompt[at].ttl or "5m"
            if at > found:
                written[ttl] += ends[at] - done
                done = ends[at]
            self._store(keys[at], SECONDS[ttl], renews=at > found)
        return Charge(total - done, read, written["5m"], written["1h"])

    def _find(
        self, prompt: Sequence[Segment], keys: Sequence[bytes], breakpoints: Sequence[int]
    ) -> int:
        """The place of the longest living prefix, or -1."""
        now = self._clock()
        for last in reversed(breakpoints):
            for at in _within_sight(prompt, last):
                entry = self._entries.get(keys[at])
                if entry is not None and entry.expires > now:
                    entry.expires = now + entry.seconds
                    self._entries.move_to_end(keys[at])
                    return at
        return -1

    def _store(self, key: bytes, seconds: float, *, renews: bool) -> None:
        """Keep an entry. One that was read, not written, keeps the life it was paid for."""
        now = self._clock()
        known = self._entries.get(key)
        if known is not None and known.expires > now and not renews:
            known.expires = now + known.seconds
        else:
            self._entries[key] = _Entry(seconds, now + seconds)
        self._entries.move_to_end(key)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)


def _within_sight(prompt: Sequence[Segment], last: int) -> Iterator[int]:
    """The places that a breakpoint at `last` looks at, its own first."""
    positions, after = 0, ""
    for at in range(last, -1, -1):
        kind = prompt[at].kind
        positions += not (kind in RUNS and kind == after)
        if positions > LOOKBACK:
            return
        yield at
        after = kind


def _prefixes(model: str, prompt: Sequence[Segment]) -> tuple[list[bytes], list[int]]:
    """For each place, the key of the prefix that ends there, and its tokens."""
    keys, ends = [], []
    key, end = model.encode(), 0
    for segment in prompt:
        key = hashlib.blake2b(key + segment.digest, digest_size=16).digest()
        end += segment.tokens
        keys.append(key)
        ends.append(end)
    return keys, ends
