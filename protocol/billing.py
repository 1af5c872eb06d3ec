"""What the provider tells of an answer's bill, from its first figure to the last."""

from __future__ import annotations

from protocol.provider.events import ProviderUsage
from protocol.usage import TokenCounts

_INPUT = frozenset({"input", "written", "written_5m", "written_1h", "read"})


class ToldUsage:
    """The latest figures of one answer; what was never told is 0.

    The provider's figures are cumulative: a later one replaces the former.
    """

    def __init__(self) -> None:
        self._figures: dict[str, int] = {}
        self.passes = 1
        """How often the prompt was billed, as far as the provider says."""

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
        if usage.output_tokens_details is not None:
            told["thinking"] = usage.output_tokens_details.thinking_tokens
        if usage.server_tool_use is not None:
            told["searches"] = usage.server_tool_use.web_search_requests
        if usage.iterations is not None:
            self.passes = max(self.passes, len(usage.iterations))
        self._figures.update({name: one for name, one in told.items() if one is not None})

    @property
    def counts(self) -> TokenCounts:
        """What is billed by these figures."""
        told = self._figures.get
        for_minutes, for_an_hour = self._written()
        return TokenCounts(
            uncached=told("input", 0),
            cache_read=told("read", 0),
            cache_write5m=for_minutes,
            cache_write1h=for_an_hour,
            output=told("output", 0),
            thinking=told("thinking", 0),
            web_searches=told("searches", 0),
        )

    @property
    def tells_input(self) -> bool:
        """Whether anything is told of the input."""
        return not self._figures.keys().isdisjoint(_INPUT)

    def _written(self) -> tuple[int, int]:
        """Tokens written to the cache for five minutes, and for an hour.

        The provider tells their sum, or each kind, or both. It may go on with the sum alone: what
        was then written since is of the kind that was told before.
        """
        told = self._figures.get
        for_minutes, for_an_hour = told("written_5m", 0), told("written_1h", 0)
        written = told("written", for_minutes + for_an_hour)
        if for_minutes or not for_an_hour:
            return written - min(for_an_hour, written), min(for_an_hour, written)
        return 0, written
