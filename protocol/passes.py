"""How often one request reads its prompt: once, and once more for what each server tool brings.

The provider bills each reading, and tells them with the end of the answer (the page "Server tools",
November 2026; laravel/ai#996). An answer that is cut off has no such end, and the client's limit
must hold before it. So the readings are estimated from what came.

A pass after the first reads the prompt, what all tools brought until then (with calls and sources),
and what the model said until then. What was written to the cache by the first pass is read from it.

    input of a further pass = prompt + (brought + said) / characters of a token

Example: a prompt of 1,000 tokens. The model says 400 characters and searches, which brings 8,000
characters. It says 400 more and searches again, which brings 8,000 more. Four characters are a
token. The second pass reads 1,000 + (8,000 + 400) / 4 = 3,100 tokens, and the third one
1,000 + (16,000 + 800) / 4 = 5,200: with the first, 9,300 tokens of input are billed.

A pass has begun when its result is there: the provider reads it at once. A call without a result
has cost no pass yet. What it will bring is not known: `coming` takes the largest that the same tool
has brought in this answer, and as much as an average page for a search or a fetch.

It ignores that calls next to each other are read in one pass, and that the provider may cache what
was brought: it is rather too much than too little.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from protocol.provider.brought import FOUND
from protocol.sizes import CHARACTERS_A_TOKEN
from protocol.usage import TokenCounts

_PAGES = ("web_search", "web_fetch")


class Readings(NamedTuple):
    """So many further passes, which read so many characters besides the prompt, all together."""

    passes: int = 0
    characters: float = 0.0

    def input(self, prompt: TokenCounts, characters_a_token: float) -> TokenCounts:
        """What they are billed for, where the first pass was billed for this `prompt`."""
        cached = prompt.input - prompt.uncached
        more = ceil(self.characters / characters_a_token)
        return TokenCounts(
            uncached=self.passes * prompt.uncached + more, cache_read=self.passes * cached
        )


class Passes:
    """Counts the passes of one answer after its first."""

    def __init__(self) -> None:
        self.begun = Readings()
        """Those that the provider has begun."""
        self._pending: list[float] = []
        self._brought = 0.0
        self._largest = dict.fromkeys(_PAGES, float(FOUND * CHARACTERS_A_TOKEN))

    def add(self, size: float) -> None:
        """The answer has got a call, or a text its sources, of so many characters: read later."""
        self._brought += size

    def call(self, tool: str, said: float) -> None:
        """A tool is called, after so many characters that the model has `said`."""
        self._pending.append(self._brought + said + self._largest.get(tool, 0.0))

    def bring(self, tool: str, size: float, said: float) -> None:
        """A tool has brought so many characters.

        What the answer before has called comes first: the first pass reads it.
        """
        passes, characters = self.begun
        self._brought += size
        self._largest[tool] = max(self._largest.get(tool, 0.0), size)
        if self._pending or said or passes:
            del self._pending[:1]
            self.begun = Readings(passes + 1, characters + self._brought + said)
        else:
            self.begun = Readings(0, characters + size)

    @property
    def coming(self) -> Readings:
        """Those that have begun, and those that the open calls will cost."""
        passes, characters = self.begun
        return Readings(passes + len(self._pending), characters + sum(self._pending))
