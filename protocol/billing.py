"""What is known of an answer's bill: what the provider tells, and what was seen of its own tools.

The provider's figures are cumulative: a later one replaces the former. An answer that breaks off
never tells how often its tools ran; each of its blocks that was seen is one that was billed.
"""

from __future__ import annotations

from collections.abc import Sequence

from protocol.passes import Passes, Readings
from protocol.provider.brought import size_brought
from protocol.provider.content import Block
from protocol.provider.events import ProviderUsage
from protocol.provider.pricing import refusal_is_free
from protocol.usage import MOST_FIGURE, Terms, TokenCounts

LONGEST_WORD = 64
"""Characters of a region's or a speed's name."""

_INPUT = frozenset({"input", "written", "written_5m", "written_1h", "read"})
_SEARCH = "web_search"
_UNKNOWN_PLACE = "not_available"
_STANDARD = "standard"


class Meter:
    """Counts one answer; what was never told is 0.

    The prompt was to be cached `for_an_hour`, or else for five minutes. After `most_searches` each
    further one fails, and is not billed (the page "Web search tool").
    """

    def __init__(self, *, for_an_hour: bool = False, most_searches: int | None = None) -> None:
        self._for_an_hour = for_an_hour
        self._most_searches = MOST_FIGURE if most_searches is None else most_searches
        self._figures: dict[str, int] = {}
        self._words: dict[str, str] = {}
        self._prompt: TokenCounts | None = None
        self._told_at = 0
        self._told_passes = 1
        self._is_mixed = False
        self._is_torn = False
        self._calls = 0
        self._open_calls = 0
        self._vain_calls = 0
        self._searches = 0
        self._executes = False
        self._is_served = False
        self._has_data = False
        self._passes = Passes()

    # --- what comes ----------------------------------------------------------------------------

    def add(self, usage: ProviderUsage | None) -> None:
        """The provider has told these figures."""
        if usage is None:
            return
        told = {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "written": usage.cache_creation_input_tokens,
            "read": usage.cache_read_input_tokens,
        }
        if usage.cache_creation is not None:
            told["written_5m"] = usage.cache_creation.ephemeral_5m_input_tokens
            told["written_1h"] = usage.cache_creation.ephemeral_1h_input_tokens
            kinds = (told["written_5m"] or 0) + (told["written_1h"] or 0)
            self._is_torn = told["written"] not in (None, kinds)
        if usage.output_tokens_details is not None:
            told["thinking"] = usage.output_tokens_details.thinking_tokens
        if usage.server_tool_use is not None:
            told["searches"] = usage.server_tool_use.web_search_requests
        self._figures.update({name: one for name, one in told.items() if one is not None})
        self._add_words(usage)
        if any(told.get(name) is not None for name in _INPUT):
            self._told_at = self._passes.begun.passes
            self._prompt = self._prompt or self._told_input()

    def _add_words(self, usage: ProviderUsage) -> None:
        words = {
            "region": usage.inference_geo,
            "speed": usage.speed,
            "tier": usage.service_tier,
        }
        for name, word in words.items():
            if isinstance(word, str) and word.strip() and word != _UNKNOWN_PLACE:
                self._words[name] = word[:LONGEST_WORD]
        if isinstance(usage.iterations, list):
            self._told_passes = max(self._told_passes, len(usage.iterations))
            self._is_mixed |= not all(map(_is_message, usage.iterations))

    def cite(self, citations: Sequence[Block]) -> None:
        """A text rests on these; each later pass reads them again."""
        self._passes.add(size_brought(citations))

    def see(self, block: Block, said: float = 0.0) -> None:
        """A content block has begun, after so many characters that the model has `said`."""
        kind = str(block.get("type"))
        self.cite(block.get("citations") or [])
        self._has_data |= kind != "text"
        if kind == "server_tool_use":
            self._is_served = True
            name = str(block.get("name"))
            is_vain = name == _SEARCH and self._calls + self._open_calls >= self._most_searches
            self._passes.add(size_brought(block))
            self._passes.call("" if is_vain else name, said)
            self._vain_calls += is_vain
            self._open_calls += name == _SEARCH and not is_vain
            self._executes |= name.endswith("code_execution")
        elif kind.endswith("_tool_result"):
            self._is_served = True
            self._passes.bring(kind.removesuffix("_tool_result"), size_brought(block), said)
            if kind == "web_search_tool_result":
                self._see_results(block.get("content"))

    def close(self, block: Block) -> None:
        """A content block is whole; before, a tool that it calls cannot have run."""
        if block.get("type") == "server_tool_use" and self._open_calls:
            self._open_calls -= 1
            self._calls += 1

    def _see_results(self, content: object) -> None:
        """A search has ended; one that failed is not billed (the page "Web search tool")."""
        if isinstance(content, list):
            self._searches += 1
        elif self._vain_calls:
            self._vain_calls -= 1
        else:
            self._calls -= 1

    # --- what it comes to ----------------------------------------------------------------------

    def counts(self, *, is_final: bool) -> TokenCounts:
        """What is billed; `is_final` once the provider has told all that it tells."""
        told = self._figures.get
        seen = self._searches if is_final else max(self._calls, self._searches)
        return self._told_input() + TokenCounts(
            output=told("output", 0),
            thinking=told("thinking", 0),
            web_searches=max(told("searches", 0), seen),
        )

    def estimate(
        self, prompt_tokens: int, characters_a_token: float, *, coming: bool = False
    ) -> TokenCounts:
        """What is billed, where the answer has no end yet that tells it.

        The passes of which nothing was told are estimated; a prompt of which nothing was told
        counts as so many tokens. With what is `coming`: the open calls have run, too.
        """
        told = self.counts(is_final=False)
        prompt = self._prompt or TokenCounts(uncached=prompt_tokens)
        whole = prompt + self.readings(coming=coming).input(prompt, characters_a_token)
        if whole.input <= told.input:
            whole = told
        return TokenCounts(
            uncached=whole.uncached,
            cache_read=whole.cache_read,
            cache_write5m=whole.cache_write5m,
            cache_write1h=whole.cache_write1h,
            output=told.output,
            thinking=told.thinking,
            web_searches=told.web_searches + (self._open_calls if coming else 0),
        )

    def readings(self, *, coming: bool) -> Readings:
        """How often more than once the prompt is read; with what is `coming`, for open calls."""
        return self._passes.coming if coming else self._passes.begun

    def _told_input(self) -> TokenCounts:
        """What is told of the input."""
        told = self._figures.get
        for_minutes, for_an_hour = self._written()
        return TokenCounts(
            uncached=told("input", 0),
            cache_read=told("read", 0),
            cache_write5m=for_minutes,
            cache_write1h=for_an_hour,
        )

    def terms(
        self,
        asked: str,
        other: str | None,
        *,
        refusal: str | None,
        is_refused: bool,
        has_text: bool,
    ) -> Terms:
        """What else its price depends on, where the model `asked` or an `other` one has answered.

        It `is_refused` for the category `refusal`. A block of text in which nothing stands is no
        output: an answer `has_text`, or a block of another kind.
        """
        is_empty = not (has_text or self._has_data)
        free = refusal_is_free(refusal) if is_refused and is_empty else False
        return Terms(
            model=other,
            asked=None if other is None else asked,
            region=self._words.get("region"),
            speed=self._words.get("speed"),
            prompt=None if self.tells_size or self._prompt is None else self._prompt.input,
            is_free=bool(free),
            is_uncertain=free is None or self._is_uncertain,
        )

    @property
    def tells_input(self) -> bool:
        """Whether anything is told of the input."""
        return not self._figures.keys().isdisjoint(_INPUT)

    @property
    def tells_passes(self) -> bool:
        """Whether the input was told since the latest pass began: what is told has every pass."""
        return self.tells_input and self._told_at == self._passes.begun.passes

    @property
    def tells_size(self) -> bool:
        """Whether the input's bill says how large the prompt was.

        Where the provider's own tools run, the prompt is billed for each of its passes, with what
        the tools brought (the page "Server tools", November 2026).
        """
        return self.tells_input and not self._is_served and self._told_passes == 1

    @property
    def _is_uncertain(self) -> bool:
        """Whether its price is not known, for all that is told.

        Hours of code execution have a price, a free quota, and cost nothing next to some other
        tools. The priority tier has prices of its own. Passes of other kinds may be of other
        models, and are no part of the sums.
        """
        told = self._figures.get
        return (
            self._executes
            or self._is_mixed
            or self._words.get("tier", _STANDARD) != _STANDARD
            or self._searches > told("searches", 0)
            or self._is_of_doubtful_kind
        )

    @property
    def _is_of_doubtful_kind(self) -> bool:
        """Whether the sum of what was written to the cache is another than that of its kinds.

        Only where the sum alone has grown since, and all that is told by kind is of the kind that
        was asked for, the rest is surely of that one, too.
        """
        told = self._figures.get
        for_minutes, for_an_hour = told("written_5m", 0), told("written_1h", 0)
        more = told("written", for_minutes + for_an_hour) - for_minutes - for_an_hour
        if not more or not (for_minutes or for_an_hour):
            return False
        other = for_minutes if self._for_an_hour else for_an_hour
        return more < 0 or self._is_torn or other > 0

    def _written(self) -> tuple[int, int]:
        """Tokens written to the cache for five minutes, and for an hour.

        The provider tells their sum, or each kind, or both. It may go on with the sum alone: what
        was then written since is of the kind that was told before, or else of the one asked for.
        A sum below its kinds takes nothing from them.
        """
        told = self._figures.get
        for_minutes, for_an_hour = told("written_5m", 0), told("written_1h", 0)
        more = max(0, told("written", 0) - for_minutes - for_an_hour)
        if for_minutes or not (for_an_hour or self._for_an_hour):
            return for_minutes + more, for_an_hour
        return 0, for_an_hour + more


def _is_message(iteration: object) -> bool:
    """Whether a pass was one of the model that was asked."""
    return isinstance(iteration, dict) and iteration.get("type", "") == "message"
