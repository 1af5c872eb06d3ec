"""The prompt cache: which part of a prompt was read, which was written, which was neither.

An entry stands for a prefix: the chained digest of every segment up to a breakpoint, under one
model. A breakpoint finds an entry at its own place or up to twenty segments before it, and the
longest find counts. A find lengthens the entry's life; what lies between it and the last breakpoint
is written, at the price of the breakpoint that ends it.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec

from gateway.simulator.prompt import Segment

LOOKBACK = 20
SECONDS = {"5m": 300.0, "1h": 3600.0}


class Charge(msgspec.Struct, frozen=True):
    """How a prompt is billed, in tokens; the four add up to the whole prompt."""

    uncached: int
    read: int = 0
    written_5m: int = 0
    written_1h: int = 0


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
        found = self._find(keys, breakpoints)
        read = ends[found] if found >= 0 else 0
        written = {"5m": 0, "1h": 0}
        done = read
        for at in breakpoints:
            ttl = prompt[at].ttl or "5m"
            if at > found:
                written[ttl] += ends[at] - done
                done = ends[at]
            self._store(keys[at], SECONDS[ttl])
        return Charge(total - done, read, written["5m"], written["1h"])

    def _find(self, keys: Sequence[bytes], breakpoints: Sequence[int]) -> int:
        """The place of the longest living prefix, or -1."""
        now = self._clock()
        for last in reversed(breakpoints):
            for at in range(last, max(-1, last - LOOKBACK - 1), -1):
                entry = self._entries.get(keys[at])
                if entry is not None and entry.expires > now:
                    entry.expires = now + entry.seconds
                    self._entries.move_to_end(keys[at])
                    return at
        return -1

    def _store(self, key: bytes, seconds: float) -> None:
        self._entries[key] = _Entry(seconds, self._clock() + seconds)
        self._entries.move_to_end(key)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)


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
