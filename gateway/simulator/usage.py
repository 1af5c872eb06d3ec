"""The bill of one answer, in the API's shapes."""

import msgspec

from gateway.simulator.cache import Charge
from gateway.simulator.reply import Json


class ReplyUsage(msgspec.Struct, frozen=True):
    """What an answer costs: tokens, searches, fetches.

    `overrides` replace single figures, `late` only at the stream's end.
    """

    prompt: Charge
    output: int
    thinking: int = 0
    searches: int = 0
    fetches: int = 0
    overrides: Json = {}
    late: Json = {}

    def at_start(self) -> Json:
        """The usage in `message_start`: the whole prompt, and next to no output."""
        return {
            **self._prompt(),
            "cache_creation": self._written(),
            "output_tokens": 1,
            "service_tier": "standard",
            "inference_geo": "not_available",
            **self.overrides,
        }

    def in_delta(self) -> Json:
        """The usage in `message_delta`: cumulative, final."""
        return {**self._prompt(), **self._output(), **self.overrides, **self.late}

    def in_message(self) -> Json:
        """The usage of a whole message."""
        return {**self.at_start(), **self._output(), **self.overrides}

    def after(self, output: int, thinking: int) -> "ReplyUsage":
        """The bill of an answer that broke off after this much output."""
        return msgspec.structs.replace(self, output=output, thinking=thinking)

    def _prompt(self) -> Json:
        return {
            "input_tokens": self.prompt.uncached,
            "cache_creation_input_tokens": self.prompt.written_5m + self.prompt.written_1h,
            "cache_read_input_tokens": self.prompt.read,
        }

    def _written(self) -> Json:
        return {
            "ephemeral_5m_input_tokens": self.prompt.written_5m,
            "ephemeral_1h_input_tokens": self.prompt.written_1h,
        }

    def _output(self) -> Json:
        output: Json = {
            "output_tokens": self.output,
            "output_tokens_details": {"thinking_tokens": self.thinking},
        }
        if self.searches or self.fetches:
            output["server_tool_use"] = {
                "web_search_requests": self.searches,
                "web_fetch_requests": self.fetches,
            }
        return output
